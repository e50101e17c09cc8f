"""What the queues are called, and where Redis keeps their messages. Pure."""

from __future__ import annotations

from typing import Final

from flowengine.stored_format import FORMAT

GROUP: Final = "fe"
"""The consumer group of every queue."""

CONSUMER_PREFIX: Final = f"fe{FORMAT}-"
"""What the names of consumers begin with, so that processes of different versions can be told apart."""

ORCHESTRATOR_QUEUE: Final = "orchestrator"
WORKER_QUEUE: Final = "worker"
"""Where nodes go whose handler names no queue."""


def partition_prefix(partition: str) -> str:
    """What every key of a partition begins with. The partition without a name has no tag.

    Redis Cluster places keys by the text in braces, so all keys of a partition are on one server.
    """
    return f"fe:{{{partition}}}:" if partition else "fe:"


def stream_key(queue: str, partition: str = "") -> str:
    """The stream that holds a queue's messages."""
    return f"{partition_prefix(partition)}q:{queue}"


def dead_letter_key(queue: str, partition: str = "") -> str:
    """The stream that holds a queue's dead letters."""
    return f"{partition_prefix(partition)}q:{queue}:dead"


def later_key(queue: str, partition: str = "") -> str:
    """The stream that holds those of a queue's messages that no process has understood yet."""
    return f"{partition_prefix(partition)}q:{queue}:later"
