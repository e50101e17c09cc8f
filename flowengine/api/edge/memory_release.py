"""Gives the memory of large bodies back to the system as soon as they are dealt with.

glibc's allocator learns from the first large block that is freed to keep such blocks for later, and
keeps a heap for each thread: after a few hundred bodies of megabytes, each refused, the process stayed
80 MB larger for good. With the threshold pinned and one heap for all threads, which the interpreter lock
keeps apart anyway, it is 30 MB. See mallopt(3).
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

MMAP_THRESHOLD: Final = 256 * 1024
"""Bytes; blocks of this size and more are mapped, and unmapped when freed."""

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def give_large_blocks_back() -> bool:
    """Set up the allocator of this process, before it has threads; False where it cannot be."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD) and mallopt(_M_ARENA_MAX, 1))
