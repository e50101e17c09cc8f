"""Whether this version may work on what a Redis holds: checked before a process takes part in anything.

State of version 1 has no version mark. It is recognised by the keys that only version 1 has; what it holds
cannot be read, so a process refuses to start on it, and beside live processes of that version.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from flowengine.errors import StoredFormatError
from flowengine.execution.status import ALL_EXECUTION_STATUSES
from flowengine.queues import GROUP, ORCHESTRATOR_QUEUE, WORKER_QUEUE, stream_key
from flowengine.store.keys import FORMAT as FORMAT_KEY
from flowengine.store.state import RedisState
from flowengine.store.task_states import is_alive
from flowengine.stored_format import FORMAT, READABLE

SAMPLE: Final = 10
"""So many executions of each status are looked at. Version 1 wrote one kind of key for all of them."""

TIMERS_OF_1: Final = "fe:timers"
_CONSUMER: Final = re.compile(rb"fe\d+-")

_DRAIN: Final = (
    "Version 0.1 wrote it, and this version cannot read it. To upgrade: let its executions end under "
    "version 0.1, stop all processes of that version, then name an empty database in REDIS_URL, or delete "
    "the keys that begin with `fe:`. See: flowengine help operating"
)


class FormatCheck:
    """The check of one process: made once, when it is first needed. Thread-safe."""

    def __init__(self, state: RedisState, queues: Sequence[str] = ()) -> None:
        self._state = state
        self._queues = tuple(dict.fromkeys([ORCHESTRATOR_QUEUE, WORKER_QUEUE, *queues]))
        self._passed = False

    def ensure(self) -> None:
        """Check, unless it has passed before. Raises StoredFormatError, StoreUnavailableError."""
        if not self._passed:
            self._refuse_other_formats()
            self._refuse_old_processes()
            self._state.sessions.retrying_read([("SET", FORMAT_KEY, FORMAT, "NX")])
            self._passed = True

    def _refuse_other_formats(self) -> None:
        (found,) = self._state.sessions.retrying_read([("GET", FORMAT_KEY)])
        if found is None:
            self._refuse_format_1()
        elif not found.isdigit() or int(found) not in READABLE:
            raise StoredFormatError(
                f"this Redis holds state of format {found.decode(errors='replace')[:20]}, and this version "
                f"reads {sorted(READABLE)}: start the version that wrote it, or a later one"
            )

    def _refuse_format_1(self) -> None:
        names = self._state.keys
        indexes = [names.index(status) for status in ALL_EXECUTION_STATUSES]
        has_timers, *listed = self._state.sessions.retrying_read(
            [("EXISTS", TIMERS_OF_1), *(("ZRANGE", index, 0, SAMPLE - 1) for index in indexes)]
        )
        ids = [member.decode() for members in listed for member in members if member.isascii()]
        metas = [("EXISTS", f"fe:x:{execution}:meta") for execution in ids]
        if has_timers or any(self._state.sessions.retrying_read(metas) if metas else ()):
            raise StoredFormatError(f"this Redis holds state of format 1. {_DRAIN}")

    def _refuse_old_processes(self) -> None:
        old = [name for queue in self._queues for name in self._old_consumers(queue)]
        if old:
            shown = ", ".join(name.decode(errors="replace")[:80] for name in old[:3])
            raise StoredFormatError(
                f"processes of version 0.1 work on this Redis ({len(old)}: {shown}): stop all of them, and "
                "that version's API, then start again. See: flowengine help operating",
                may_pass=True,
            )

    def _old_consumers(self, queue: str) -> list[bytes]:
        key = stream_key(queue, self._state.keys.partition)
        # No such queue, or no group: then nobody can be seen.
        rows = self._state.sessions.told(("XINFO", "CONSUMERS", key, GROUP)) or []
        return [name for name in map(_name_if_alive, rows) if name and not _CONSUMER.match(name)]


def _name_if_alive(row: Sequence[Any]) -> bytes:
    fields = dict(zip(row[::2], row[1::2], strict=True))
    return bytes(fields[b"name"]) if is_alive(row) else b""
