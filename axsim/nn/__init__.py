"""Layers that put the four answers together, and the conversion of whole networks."""

from . import compiled as compiled
from .attention import ApproxMultiheadAttention as ApproxMultiheadAttention
from .conv import ApproxConv1d as ApproxConv1d
from .conv import ApproxConv2d as ApproxConv2d
from .conv import ApproxConv3d as ApproxConv3d
from .functional import approx_conv1d as approx_conv1d
from .functional import approx_conv2d as approx_conv2d
from .functional import approx_conv3d as approx_conv3d
from .functional import approx_conv_transpose2d as approx_conv_transpose2d
from .functional import approx_linear as approx_linear
from .functional import approx_matmul as approx_matmul
from .linear import ApproxLinear as ApproxLinear
from .matmul import ApproxMatmul as ApproxMatmul
from .spec import ByKind as ByKind
from .transposed import ApproxConvTranspose2d as ApproxConvTranspose2d
