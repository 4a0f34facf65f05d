"""The classic approximate multipliers, each a circuit beside its definition.

A module here describes one family or a few that belong together, in a tuple
`FAMILIES`; it is found by being here.
"""

from .design import Design as Design
from .design import build_design as build_design
from .design import families as families
from .design import find_design as find_design
from .design import shipped_names as shipped_names
from .family import Family as Family
from .family import Parameter as Parameter
from .operand import Operand as Operand
from .operand import Shape as Shape
