"""The integer contract: products of codes through a table, exact on every path."""

from .choice import choose as choose
from .contract import Convolution as Convolution
from .contract import describe_convolution as describe_convolution
from .cpu import variant as variant
from .inventory import device_name as device_name
from .inventory import missing as missing
from .inventory import paths as paths
from .ops import lut_conv1d as lut_conv1d
from .ops import lut_conv2d as lut_conv2d
from .ops import lut_conv3d as lut_conv3d
from .ops import lut_matmul as lut_matmul
