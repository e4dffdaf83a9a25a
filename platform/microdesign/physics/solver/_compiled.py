"""How loops are compiled with numba."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

FunctionT = TypeVar("FunctionT", bound=Callable)


def compiled(function: FunctionT) -> FunctionT:
    """Compiles a function of arrays and numbers at its first call and keeps the machine code on disk.

    The code releases the interpreter's lock and uses one thread: parallel work is one structure per thread or task.
    Floating-point sums may be reordered, which is what lets a loop use vector instructions.
    """
    return cast(FunctionT, numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")(function))


def compiled_strictly(function: FunctionT) -> FunctionT:
    """As `compiled`, but NaN and the order of sums are as written."""
    return cast(FunctionT, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
