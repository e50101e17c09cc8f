"""The deadline that this thread's (or task's) network calls must keep.

A read timeout bounds the silence between two bytes, not the call: a server that sends one byte a
second is never silent. The sockets of the shared clients therefore look here before every read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("flowengine_deadline", default=None)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Within the block, network calls of this context end by `deadline` (on `time.monotonic`)."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def bounded(timeout: float | None) -> float | None:
    """`timeout`, in seconds, or less where the deadline is nearer; None: there is no limit.

    0.0 or less: the deadline has passed.
    """
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    return left if timeout is None else min(timeout, left)
