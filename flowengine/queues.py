"""What the queues are called, and where Redis keeps their messages. Pure."""

from __future__ import annotations

from typing import Final

GROUP: Final = "fe"
"""The consumer group of every queue."""

ORCHESTRATOR_QUEUE: Final = "orchestrator"
WORKER_QUEUE: Final = "worker"
"""Where nodes go whose handler names no queue."""


def stream_key(queue: str) -> str:
    """The stream that holds a queue's messages."""
    return f"fe:q:{queue}"


def dead_letter_key(queue: str) -> str:
    """The stream that holds a queue's dead letters."""
    return f"fe:q:{queue}:dead"
