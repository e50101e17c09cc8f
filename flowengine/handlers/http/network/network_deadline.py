"""The deadline that all network calls of this thread or task must keep.

A read timeout bounds the silence between two bytes, not the whole call: a server that sends one byte a
second is never silent. So the connections of the shared clients look here before every read and write.
Needs no HTTP library, so that a worker that makes no call does not load one.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Final

from flowengine.handlers.context_value import ContextValue

DEADLINE: Final[ContextVar[float | None]] = ContextVar("flowengine_deadline", default=None)
"""`until` sets it; what calls many handlers sets it by itself, as that costs less than a block."""


def until(deadline: float) -> AbstractContextManager[None]:
    """Within the block, network calls of this context end by `deadline` (on `time.monotonic`)."""
    return ContextValue(DEADLINE, deadline)


def bounded(timeout: float | None) -> float | None:
    """`timeout` in seconds, or the time until the deadline if that is shorter; None is no limit.

    The result is 0.0 or less when the deadline has passed.
    """
    deadline = DEADLINE.get()
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    return left if timeout is None else min(timeout, left)
