"""Gates: a cheap part of a layer always, the rest only where it matters."""

from .bits import Bits as Bits
from .bits import composite as composite
from .channels import Channels as Channels
from .decision import Decision as Decision
from .gate import Gate as Gate
from .meter import Counts as Counts
from .oracles import Closed as Closed
from .oracles import Open as Open
from .oracles import Random as Random
from .sigmoid import SigmoidThreshold as SigmoidThreshold
from .split import Split as Split
from .threshold import Threshold as Threshold
