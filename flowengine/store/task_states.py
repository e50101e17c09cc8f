"""What has become of a task that a worker began: read from its queue, decided by nobody here.

A start is noted as DELIVERY:MILLISECONDS:PLACE, and the place names the stream entry and who held it:
so a deadline timer can tell a worker that hangs from a task that only waits to be delivered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis

from flowengine.engine.ports import Begun
from flowengine.execution.rules.deadlines import TaskState
from flowengine.queues import GROUP, NOBODY
from flowengine.store.connection.sessions import Sessions
from flowengine.store.keys import Keys

ALIVE_MS: Final = 10_000
"""A consumer that has been silent for longer is taken for gone: its process renews and reads more often."""


def task_state(sessions: Sessions, queue: str, names: Keys, begun: Begun, lease_ms: int) -> TaskState:
    """Held, lost, waiting or settled; of a task whose queue was lost with its data: waiting.

    Raises StoreUnavailableError.
    """
    entry, holder, *line = begun.place.split("/", 2)
    key = names.stream(line[0] if line else queue)
    try:
        pending, consumers = sessions.retrying_read(
            [("XPENDING", key, GROUP, entry, entry, 1), ("XINFO", "CONSUMERS", key, GROUP)]
        )
    except redis.ResponseError as error:
        if str(error).startswith(("NOGROUP", "ERR no such key")):
            return "waiting"
        raise
    if not pending:
        return "settled"
    _, consumer, idle_ms, deliveries = pending[0]
    if int(idle_ms) < lease_ms:
        same = consumer.decode() == holder and int(deliveries) == begun.delivery
        return "held" if same else "waiting"
    handed_back = int(deliveries) < begun.delivery
    return "waiting" if handed_back or any(map(is_alive, consumers)) else "lost"


def is_alive(consumer: Sequence[Any]) -> bool:
    """Whether a row of XINFO CONSUMERS is that of a process which lives."""
    return bool(alive([consumer], within_ms=ALIVE_MS))


def alive(consumers: Sequence[Sequence[Any]], *, within_ms: int) -> set[bytes]:
    """The names of those rows of XINFO CONSUMERS whose processes gave a sign of life within this time."""
    rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in consumers]
    return {
        bytes(row[b"name"])
        for row in rows
        if int(row[b"idle"]) < within_ms and row[b"name"] != NOBODY.encode()
    }
