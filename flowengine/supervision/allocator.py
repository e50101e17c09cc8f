"""How glibc's allocator hands out the memory of this process. Nothing where it is not glibc's.

It keeps a heap for each thread, so that threads need not wait for each other, and what one heap has free the
others cannot use. Here the interpreter lock keeps them apart anyway, but for native code of handlers that
leaves it: that shares the one heap. See mallopt(3).
"""

from __future__ import annotations

import sys
from typing import Final

MMAP_THRESHOLD_BYTES: Final = 256 * 1024
"""Blocks of this size and more are mapped, and unmapped when they are freed."""

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def use_one_heap() -> bool:
    """One heap for all threads: a service is 1 MB smaller. To be called before there are threads.

    False where that is not possible.
    """
    return _set(_M_ARENA_MAX, 1)


def give_large_blocks_back() -> bool:
    """Unmap large blocks when they are freed; False where that is not possible.

    glibc keeps them for later once the first of them was freed: after a few hundred bodies of megabytes, each
    refused, and with a heap for each thread, the process stayed 80 MB larger for good. With the threshold
    pinned and one heap it stays 30 MB larger.
    """
    return _set(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def _set(parameter: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(parameter, value))
