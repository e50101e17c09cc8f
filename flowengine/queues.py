"""What the queues are called, and where Redis keeps their messages. Pure.

The messages of one execution may have queues of its own, which only its own processes serve: `owner` is that
execution's id then, and empty for the common queues.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from flowengine.stored_format import FORMAT

GROUP: Final = "fe"
"""The consumer group of every queue."""

CONSUMER_PREFIX: Final = f"fe{FORMAT}-"
"""What the names of consumers begin with, so that processes of different versions can be told apart."""

NOBODY: Final = f"{CONSUMER_PREFIX}nobody"
"""The consumer in whose name is what a process has left behind in order. It is no process."""

ORCHESTRATOR_QUEUE: Final = "orchestrator"
WORKER_QUEUE: Final = "worker"
"""Where nodes go whose handler names no queue."""

MOVED_KEPT_S: Final = 24 * 3600
"""How long it is known that a queue may hold messages that are older than their ids say."""

_ASYNC: Final = ":async"
_CROWD: Final = ":crowd"
_HIGH: Final = ":high"
_LOW: Final = ":low"


def partition_prefix(partition: str) -> str:
    """What every key of a partition begins with. The partition without a name has no tag.

    Redis Cluster places keys by the text in braces, so all keys of a partition are on one server.
    """
    return f"fe:{{{partition}}}:" if partition else "fe:"


def owned(name: str, owner: str) -> str:
    """A name of one execution's own; the name itself where nobody owns it."""
    return f"{name}@{owner}" if owner else name


@lru_cache(maxsize=4096)
def stream_key(queue: str, partition: str = "", owner: str = "") -> str:
    """The stream that holds a queue's messages."""
    return f"{partition_prefix(partition)}q:{owned(queue, owner)}"


def dead_letter_key(queue: str, partition: str = "") -> str:
    """The stream that holds a queue's dead letters, those of executions' own queues included."""
    return f"{partition_prefix(partition)}q:{queue}:dead"


def later_key(queue: str, partition: str = "", owner: str = "") -> str:
    """The stream that holds those of a queue's messages that no process has understood yet."""
    return f"{stream_key(queue, partition, owner)}:later"


def handler_line(queue: str, handler: str) -> str:
    """The line beside a queue in which tasks wait for a worker that knows their handler.

    It has a stream as a queue has, and the same group.
    """
    return f"{queue}:handler:{handler}"


def async_line(queue: str) -> str:
    """The line beside a queue in which the nodes of async handlers wait: they need no thread of a worker.

    It has a stream as a queue has, and the same group. Everything else of it is its queue's: dead letters,
    what is put off, the lines of handlers.
    """
    return f"{queue}{_ASYNC}"


def crowd_line(queue: str) -> str:
    """The line behind a queue, or behind an async line, for all but the first of many nodes that one
    execution has sent at once: so they do not stand before the nodes of others.

    It has a stream as a queue has, and the same group. Everything else of it is its queue's.
    """
    return f"{queue}{_CROWD}"


def high_line(line: str) -> str:
    """The line before a queue, or before an async line, for the nodes of executions of high priority.

    It has a stream as a queue has, and the same group. Everything else of it is its queue's.
    """
    return f"{line}{_HIGH}"


def low_line(line: str) -> str:
    """The line behind a queue, or behind an async line, for the nodes of executions of low priority."""
    return f"{line}{_LOW}"


def is_of_crowd(place: str) -> bool:
    """Whether a task that stands there (see `Held.place`) is one of a crowd."""
    return place.endswith(_CROWD)


def lines_beside(queue: str) -> tuple[str, ...]:
    """The lines beside a queue that its own processes read, but for those of handlers."""
    if queue == ORCHESTRATOR_QUEUE:
        return (crowd_line(queue),)
    own = (queue, async_line(queue))
    return (own[1], *[beside(line) for line in own for beside in (crowd_line, high_line, low_line)])


def is_async_line(line: str) -> bool:
    """Whether the nodes of async handlers wait there."""
    return line.endswith(_ASYNC)


def queue_of_line(line: str) -> str:
    """The queue that an async line stands beside; a queue itself."""
    return line.removesuffix(_ASYNC)


def is_at(line: str, queue: str) -> bool:
    """Whether a line is this queue, or one beside it."""
    beside = (queue, crowd_line(queue), high_line(queue), low_line(queue))
    return line in beside or line.startswith(f"{queue}:handler:")


def handlers_key(queue: str, partition: str = "", owner: str = "") -> str:
    """The sorted set of the handlers that have a line beside a queue, by when a worker last knew them."""
    return f"{partition_prefix(partition)}handlers:{owned(queue, owner)}"


def moved_key(queue: str, partition: str = "", owner: str = "") -> str:
    """The string that says when messages that had waited elsewhere were last moved into a queue."""
    return f"{partition_prefix(partition)}moved:{owned(queue, owner)}"


def janitor_key(queue: str, partition: str = "") -> str:
    """The string that is present while nobody looks for a queue's consumers that are gone."""
    return f"{partition_prefix(partition)}janitor:{queue}"


def process_key(consumer: str, partition: str = "") -> str:
    """The string in which the process that is this consumer says what it is."""
    return f"{partition_prefix(partition)}process:{consumer}"


def own_queues_key(partition: str = "") -> str:
    """The sorted set of the queues that executions have of their own, by the end of their leases."""
    return f"{partition_prefix(partition)}own"
