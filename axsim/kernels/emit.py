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


def spread(builder: Any, value: Any, kind: Any) -> Any:
    """A vector with the value in every lane."""
    empty = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(empty, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, empty, splat(0, ir.VectorType(I32, kind.count)))


def concatenate(builder: Any, parts: list[Any]) -> Any:
    """One vector of all parts, a power of two of them."""
    while len(parts) > 1:
        size = 2 * parts[0].type.count
        order = ir.Constant(ir.VectorType(I32, size), list(range(size)))
        parts = [
            builder.shuffle_vector(low, high, order)
            for low, high in zip(parts[0::2], parts[1::2], strict=True)
        ]
    return parts[0]


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


def look_up(builder: Any, registers: list[Any], codes: Any) -> Any:
    """64 bytes of a table of 64, 128 or 256, held in registers, by 64 codes."""
    if len(registers) == 1:
        name = "llvm.x86.avx512.permvar.qi.512"
        return builder.call(
            declare(builder, name, BYTES, [BYTES] * 2), [registers[0], codes]
        )
    name = "llvm.x86.avx512.vpermi2var.qi.512"
    permute = declare(builder, name, BYTES, [BYTES] * 3)
    low = builder.call(permute, [registers[0], codes, registers[1]])
    if len(registers) == 2:
        return low
    high = builder.call(permute, [registers[2], codes, registers[3]])
    return builder.select(builder.icmp_signed("<", codes, splat(0, BYTES)), high, low)


def alternate(builder: Any, even: Any, odd: Any) -> Any:
    """even[0], odd[0], even[1], odd[1], ..."""
    size = even.type.count
    order = [i // 2 + i % 2 * size for i in range(2 * size)]
    mask = ir.Constant(ir.VectorType(I32, 2 * size), order)
    return builder.shuffle_vector(even, odd, mask)
