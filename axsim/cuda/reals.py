# pyright: basic
"""Steps of float32 that are each rounded by themselves, and elements of other types.

A compiler would fuse a product with the sum behind it into one rounding, and codes
would differ from those of the CPU; so products are written out. Every step has a twin
for the simulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .compile import check_packages
from .kernel import SIMULATED

LARGEST_HALF = 65504.0
LARGEST_BRAIN = (2.0 - 2.0**-7) * 2.0**127

if TYPE_CHECKING:
    # Kernels are typed by Numba, with its own rules.
    wrapping: Any
    bits_of: Any
    real_of: Any
    product: Any
    ratio: Any
    floor_of: Any
    even_of: Any
    ceil_of: Any
    load_real: Any
    store_real: Any

elif SIMULATED:
    # NumPy warns where integers wrap around and reals leave their range.
    wrapping = np.errstate(all="ignore")

    def bits_of(x):
        """The int32 with the bits of a float32."""
        return np.float32(x).view(np.int32)

    def real_of(bits):
        """The float32 with the bits of an int32."""
        return np.int32(bits).view(np.float32)

    @wrapping
    def product(a, b):
        """a * b, rounded."""
        return np.float32(a) * np.float32(b)

    @wrapping
    def ratio(a, b):
        """a / b, rounded."""
        return np.float32(a) / np.float32(b)

    floor_of, even_of, ceil_of = np.floor, np.rint, np.ceil

    def load_real(x, index):
        """An element as float32; uint16 holds a float16, int16 a bfloat16."""
        element = x[index]
        if x.dtype == np.uint16:
            return np.float32(element.view(np.float16))
        if x.dtype == np.int16:
            return real_of(np.int32(element) << np.int32(16))
        return np.float32(element)

    def store_real(x, index, real):
        """Stores a float32 as an element, rounded to even; no finite one overflows."""
        if x.dtype == np.uint16:
            half = np.float16(np.clip(real, -LARGEST_HALF, LARGEST_HALF))
            x[index] = half.view(np.uint16)
        elif x.dtype == np.int16:
            largest = np.float32(LARGEST_BRAIN)
            bits = int(bits_of(np.clip(real, -largest, largest)))
            x[index] = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
        else:
            x[index] = real

else:
    check_packages()
    from llvmlite import ir
    from numba import types
    from numba.cuda.extending import intrinsic

    I8, I16, I32 = (ir.IntType(bits) for bits in (8, 16, 32))
    REAL, HALF = ir.FloatType(), ir.HalfType()

    def wrapping(function):
        """A step whose integers wrap around."""
        return function

    @intrinsic
    def bits_of(typingctx, x):
        """The int32 with the bits of a float32."""

        def emit(context, builder, signature, args):
            return builder.bitcast(args[0], I32)

        return types.int32(types.float32), emit

    @intrinsic
    def real_of(typingctx, bits):
        """The float32 with the bits of an int32."""

        def emit(context, builder, signature, args):
            return builder.bitcast(args[0], REAL)

        return types.float32(types.int32), emit

    def _step(text, count):
        def emit(context, builder, signature, args):
            kind = ir.FunctionType(REAL, [REAL] * count)
            return builder.asm(kind, text, "=f" + ",f" * count, list(args), False)

        return types.float32(*[types.float32] * count), emit

    @intrinsic
    def product(typingctx, a, b):
        """a * b, rounded."""
        return _step("mul.rn.f32 $0, $1, $2;", 2)

    @intrinsic
    def ratio(typingctx, a, b):
        """a / b, rounded."""
        return _step("div.rn.f32 $0, $1, $2;", 2)

    @intrinsic
    def floor_of(typingctx, x):
        """The next whole number below."""
        return _step("cvt.rmi.f32.f32 $0, $1;", 1)

    @intrinsic
    def even_of(typingctx, x):
        """The nearest whole number, ties to even."""
        return _step("cvt.rni.f32.f32 $0, $1;", 1)

    @intrinsic
    def ceil_of(typingctx, x):
        """The next whole number above."""
        return _step("cvt.rpi.f32.f32 $0, $1;", 1)

    @intrinsic
    def load_real(typingctx, x, index):
        """An element as float32; uint16 holds a float16, int16 a bfloat16."""

        def emit(context, builder, signature, args):
            element = builder.load(builder.gep(args[0], [args[1]]))
            if x.dtype == types.uint16:
                return builder.fpext(builder.bitcast(element, HALF), REAL)
            if x.dtype == types.int16:
                wide = builder.shl(builder.zext(element, I32), I32(16))
                return builder.bitcast(wide, REAL)
            return (
                element if x.dtype == types.float32 else builder.uitofp(element, REAL)
            )

        return types.float32(x, index), emit

    @intrinsic
    def store_real(typingctx, x, index, real):
        """Stores a float32 as an element, rounded to even; no finite one overflows."""

        def emit(context, builder, signature, args):
            where, element = builder.gep(args[0], [args[1]]), args[2]
            builder.store(_narrowed(builder, element, x.dtype), where)
            return context.get_dummy_value()

        return types.void(x, index, types.float32), emit

    def _narrowed(builder, real, kind):
        if kind == types.uint16:
            half = builder.fptrunc(_clamped(builder, real, LARGEST_HALF), HALF)
            return builder.bitcast(half, I16)
        if kind == types.int16:
            bits = builder.bitcast(_clamped(builder, real, LARGEST_BRAIN), I32)
            odd = builder.and_(builder.lshr(bits, I32(16)), I32(1))
            rounded = builder.add(builder.add(bits, I32(0x7FFF)), odd)
            return builder.trunc(builder.lshr(rounded, I32(16)), I16)
        if kind == types.uint8:
            return builder.trunc(builder.fptosi(real, I32), I8)
        return real

    def _clamped(builder, real, largest):
        for order, bound in (">", largest), ("<", -largest):
            limit = ir.Constant(REAL, bound)
            beyond = builder.fcmp_ordered(order, real, limit)
            real = builder.select(beyond, limit, real)
        return real
