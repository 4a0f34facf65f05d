"""The few words of LLVM that the vector kernels are written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba.extending
from llvmlite import ir

# Typed by what it makes: a function of the arguments but the first.
intrinsic: Any = numba.extending.intrinsic

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
BYTES = ir.VectorType(I8, 64)
WORDS = ir.VectorType(I16, 32)
INTS = ir.VectorType(I32, 16)


def constant(value: int) -> Any:
    return ir.Constant(I64, value)


def splat(value: int, kind: Any) -> Any:
    """A vector constant with the value in every lane."""
    return ir.Constant(kind, [value] * kind.count)


def pointer(builder: Any, base: Any, offset: Any, kind: Any) -> Any:
    """The address `base + offset` as a pointer."""
    return builder.inttoptr(builder.add(base, offset), kind.as_pointer())


def declare(builder: Any, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    """An LLVM intrinsic, declared once for a module."""
    known = builder.module.globals.get(name)
    kind = ir.FunctionType(result, arguments)
    return known or ir.Function(builder.module, kind, name)


def loop(
    builder: Any, first: Any, last: Any, sums: Sequence[Any], body: Callable[..., Any]
) -> list[Any]:
    """`for i in range(first, last)` at least once, with the sums held in registers.

    Args:
        sums: values before the loop.
        body: takes the index and the sums, returns the new sums.
    """
    entry = builder.block
    inside, after = (builder.append_basic_block(name) for name in ("steps", "done"))
    builder.branch(inside)
    builder.position_at_end(inside)
    index = builder.phi(I64)
    index.add_incoming(first, entry)
    held = [builder.phi(value.type) for value in sums]
    for phi, value in zip(held, sums, strict=True):
        phi.add_incoming(value, entry)
    results = body(index, held)
    following = builder.add(index, constant(1))
    for phi, value in zip([index, *held], [following, *results], strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, last), inside, after)
    builder.position_at_end(after)
    return results


def switch(builder: Any, selector: Any, cases: dict[int, Callable[[], None]]) -> None:
    """Runs the case whose number the selector is; none for any other number."""
    after = builder.append_basic_block("joined")
    choice = builder.switch(selector, after)
    for number, emit in cases.items():
        block = builder.append_basic_block(f"case{number}")
        choice.add_case(constant(number), block)
        builder.position_at_end(block)
        emit()
        builder.branch(after)
    builder.position_at_end(after)
