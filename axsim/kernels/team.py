"""The threads torch itself works with: the team of its OpenMP runtime.

Threads of our own beside them would share the processors with those that torch leaves
spinning, and would wake up slowly. Compiled code starts the team by the address of the
runtime's own function.
"""

# pyright: basic

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils

from . import emit
from .emit import I8, I32, I64

# void(void (*member)(void *), void *data, unsigned threads, unsigned flags); GNU's
# runtime has it, and those of Intel and LLVM on Linux.
START = "GOMP_parallel"
_HOME = os.getpid()


def start() -> int:
    """Address of the function that starts the team; 0 where there is none.

    In the child of a fork there is none: the threads have stayed with the parent, and
    the runtime would wait for them.
    """
    return _address() if os.getpid() == _HOME else 0


@cache
def _address() -> int:
    if sys.platform != "linux":
        return 0
    # Looking a name up in a library looks it up in all that the library itself uses.
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib/libtorch_cpu.so"))
    if not hasattr(library, START):
        return 0
    return ctypes.cast(library[START], ctypes.c_void_p).value or 0


@emit.intrinsic
def call_in_team(context, address, threads, function, arguments):
    """Calls `function(*arguments)` in every thread of the team.

    Args:
        address: from `start`; 0 calls it in this thread alone.
        threads: of the team.
        function: compiled, returns nothing.
        arguments: a tuple.

    Returns:
        How many calls failed for want of memory.
    """
    called = function.get_call_type(context, tuple(arguments.types), {})

    def generate(context, builder, signature, given):
        address, threads, _, values = given
        held = cgutils.alloca_once_value(builder, values)
        failed = cgutils.alloca_once_value(builder, ir.Constant(I64, 0))
        data = cgutils.alloca_once_value(
            builder, cgutils.pack_struct(builder, [held, failed])
        )
        member = _member(context, builder.module, function, called, data.type)
        given = builder.bitcast(data, I8.as_pointer())
        alone = builder.icmp_unsigned("==", address, ir.Constant(I64, 0))
        with builder.if_else(alone) as (then, otherwise):
            with then:
                builder.call(member, [given])
            with otherwise:
                kind = ir.FunctionType(
                    ir.VoidType(), [member.type, given.type, I32, I32]
                ).as_pointer()
                begin = builder.inttoptr(address, kind)
                count, flags = builder.trunc(threads, I32), ir.Constant(I32, 0)
                builder.call(begin, [member, given, count, flags])
        return builder.load(failed)

    return types.intp(types.intp, types.intp, function, arguments), generate


def _member(context, module, function, called, data):
    """What a thread of the team runs: void(void *data)."""
    kind = ir.FunctionType(ir.VoidType(), [I8.as_pointer()])
    member = ir.Function(module, kind, module.get_unique_name("axsim.member"))
    member.linkage = "internal"
    builder = ir.IRBuilder(member.append_basic_block())
    both = builder.load(builder.bitcast(member.args[0], data))
    held, failed = cgutils.unpack_tuple(builder, both)
    result = function.dispatcher.get_compile_result(called)
    context.active_code_library.add_linking_library(result.library)
    status, _ = context.call_internal_no_propagate(
        builder,
        result.fndesc,
        called,
        cgutils.unpack_tuple(builder, builder.load(held)),
    )
    failure = builder.zext(status.is_error, I64)
    builder.atomic_rmw("add", failed, failure, "monotonic")
    builder.ret_void()
    return member
