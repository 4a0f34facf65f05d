# pyright: basic
"""Instructions that Python has no word for, each with a twin for the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .compile import check_packages
from .kernel import SIMULATED

if TYPE_CHECKING:
    # Kernels are typed by Numba, with its own rules.
    cuda: Any
    inlined: Any
    load4: Any
    store4: Any
    dp2a_unsigned: Any
    dp2a_signed: Any
    deliver: Any
    round_product: Any

elif SIMULATED:
    from numba import cuda

    def inlined(function):
        """A step of a kernel."""
        return function

    def load4(words, index):
        """Four words from the 16-byte cell `index`."""
        first = 4 * int(index)
        return words[first], words[first + 1], words[first + 2], words[first + 3]

    def store4(words, index, a, b, c, d):
        """Four words into the 16-byte cell `index`."""
        first = 4 * int(index)
        words[first], words[first + 1], words[first + 2], words[first + 3] = a, b, c, d

    def _dp2a(word, chosen, total, sign):
        low, high = int(word) & 0xFFFF, int(word) >> 16
        if sign:
            low, high = (low ^ 0x8000) - 0x8000, (high ^ 0x8000) - 0x8000
        exact = int(total) + low * (int(chosen) & 255) + high * (int(chosen) >> 8 & 255)
        return (exact + (1 << 31)) % (1 << 32) - (1 << 31)

    def dp2a_unsigned(word, chosen, total):
        """`total` plus both unsigned halves of `word` times two bytes of `chosen`."""
        return _dp2a(word, chosen, total, False)

    def dp2a_signed(word, chosen, total):
        """`total` plus both signed halves of `word` times two bytes of `chosen`."""
        return _dp2a(word, chosen, total, True)

    def deliver(pointer, index, value, alone):
        """Stores a whole number, or adds it where other blocks add as well."""
        pointer[index] = value if alone else pointer[index] + value

    def round_product(x, factor):
        """x * factor rounded to float32, then to a whole number, ties to even."""
        return np.rint(np.float32(x) * np.float32(factor))

else:
    check_packages()
    from llvmlite import ir
    from numba import cuda, types
    from numba.cuda.extending import intrinsic

    # Other device functions need a driver to compile; these are written out in place.
    inlined = cuda.jit(device=True, inline="always")

    I32 = ir.IntType(32)
    QUAD = ir.VectorType(I32, 4)

    def _cell(context, builder, array_type, array, index):
        data = context.make_array(array_type)(context, builder, array).data
        return builder.gep(builder.bitcast(data, QUAD.as_pointer()), [index])

    @intrinsic
    def load4(typingctx, words, index):
        """Four words from the 16-byte cell `index`: one 128-bit load."""

        def emit(context, builder, signature, args):
            quad = builder.load(_cell(context, builder, words, *args))
            quad.align = 16
            parts = [builder.extract_element(quad, I32(i)) for i in range(4)]
            return context.make_tuple(builder, signature.return_type, parts)

        return types.UniTuple(types.uint32, 4)(words, index), emit

    @intrinsic
    def store4(typingctx, words, index, a, b, c, d):
        """Four words into the 16-byte cell `index`: one 128-bit store."""

        def emit(context, builder, signature, args):
            quad = ir.Constant(QUAD, ir.Undefined)
            for i, part in enumerate(args[2:]):
                quad = builder.insert_element(quad, part, I32(i))
            stored = builder.store(quad, _cell(context, builder, words, *args[:2]))
            stored.align = 16
            return context.get_dummy_value()

        return types.void(words, index, *[types.uint32] * 4), emit

    def _assembly(text, constraints, result, operands, effects=False):
        def emit(context, builder, signature, args):
            kind = ir.FunctionType(result, operands)
            value = builder.asm(kind, text, constraints, list(args), effects)
            return context.get_dummy_value() if effects else value

        return emit

    @intrinsic
    def dp2a_unsigned(typingctx, word, chosen, total):
        """`total` plus both unsigned halves of `word` times two bytes of `chosen`."""
        emit = _assembly("dp2a.lo.u32.u32 $0, $1, $2, $3;", "=r,r,r,r", I32, [I32] * 3)
        return types.int32(types.uint32, types.uint32, types.int32), emit

    @intrinsic
    def dp2a_signed(typingctx, word, chosen, total):
        """`total` plus both signed halves of `word` times two bytes of `chosen`."""
        emit = _assembly("dp2a.lo.s32.u32 $0, $1, $2, $3;", "=r,r,r,r", I32, [I32] * 3)
        return types.int32(types.uint32, types.uint32, types.int32), emit

    @intrinsic
    def deliver(typingctx, pointer, index, value, alone):
        """Stores a whole number, or adds it where other blocks add as well."""
        bits = pointer.dtype.bitwidth
        letter, kind = ("l", "u64") if bits == 64 else ("r", "u32")
        text = (
            "{ .reg .pred p; .reg .u64 g; setp.ne.u32 p, $2, 0; "
            "cvta.to.global.u64 g, $0; "
            f"@p st.global.{kind} [g], $1; @!p red.global.add.{kind} [g], $1; }}"
        )

        def emit(context, builder, signature, args):
            where = builder.gep(args[0], [args[1]])
            word = builder.zext(args[3], I32)
            call = ir.FunctionType(ir.VoidType(), [where.type, args[2].type, I32])
            operands = [where, args[2], word]
            builder.asm(call, text, f"l,{letter},r,~{{memory}}", operands, True)
            return context.get_dummy_value()

        return types.void(pointer, index, pointer.dtype, types.boolean), emit

    @intrinsic
    def round_product(typingctx, x, factor):
        """x * factor rounded to float32, then to a whole number, ties to even."""
        real = ir.FloatType()
        # Written out so that no compiler fuses the product with what follows.
        emit = _assembly(
            "{ .reg .f32 p; mul.rn.f32 p, $1, $2; cvt.rni.f32.f32 $0, p; }",
            "=f,f,f",
            real,
            [real] * 2,
        )
        return types.float32(types.float32, types.float32), emit
