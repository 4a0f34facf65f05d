"""A site as one operation of torch, for graphs without holes under `torch.compile`.

What a site computes depends on numbers in tensors, which a compiler cannot follow. In
inference it therefore sees `axsim::site`, which knows the shape of the result and does
when it runs what the site does without a compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .forms import ConvolutionForm, Form, LinearForm
from .matmul import BatchedForm
from .product import result_type
from .site import SITES
from .transposed import TransposedForm

FORMS = {k.__name__: k for k in
         (LinearForm, ConvolutionForm, TransposedForm, BatchedForm)}  # fmt: skip

library = torch.library.Library("axsim", "FRAGMENT")
library.define(
    "site(Tensor x, Tensor weight, Tensor? bias, int site, str form, int[] numbers) "
    "-> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)


@torch.library.impl(library, "site", "CompositeExplicitAutograd")
def at_site(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    site: int,
    form: str,
    numbers: Sequence[int],
) -> Tensor:
    with torch.no_grad():
        y = SITES[site].multiply(x, weight, bias, form_of(form, numbers))
    return y.contiguous()


@torch.library.register_fake("axsim::site", lib=library)
def shape_at_site(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    site: int,
    form: str,
    numbers: Sequence[int],
) -> Tensor:
    given = form_of(form, numbers)
    y = _in_reals(given, x.float(), weight.float())
    return x.new_empty(y.shape, dtype=result_type(x))


def form_of(name: str, numbers: Sequence[int]) -> Form:
    """A form from its name and its settings in a row, as `site.settings_of` has them.

    Example:
        >>> form_of("ConvolutionForm", [2, 2, 1, 1, 1, 1, 3])
        ConvolutionForm(stride=(2, 2), padding=(1, 1), dilation=(1, 1), groups=3)
    """
    kind: Any = FORMS[name]
    single = [setting.type == "int" for setting in fields(kind)]
    dims = (len(numbers) - sum(single)) // max(1, len(single) - sum(single))
    rest = list(numbers)
    settings: list[Any] = []
    for alone in single:
        count = 1 if alone else dims
        settings.append(rest[0] if alone else tuple(rest[:count]))
        rest = rest[count:]
    return kind(*settings)


def _in_reals(form: Form, x: Tensor, w: Tensor) -> Tensor:
    """The float operation that a form stands for."""
    if isinstance(form, TransposedForm):
        settings = (form.stride, form.padding, form.output_padding)
        return F.conv_transpose2d(x, w, None, *settings, form.groups, form.dilation)
    if isinstance(form, LinearForm | ConvolutionForm):
        return form.reals(x, w)
    return x @ w.mT
