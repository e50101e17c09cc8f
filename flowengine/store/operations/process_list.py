"""The live processes that serve queues, by what the server knows of them and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from flowengine.engine.process_note import ProcessNote, decode_note
from flowengine.execution.views.executions import moment
from flowengine.execution.views.operations import WorkersView, WorkerView
from flowengine.queues import GROUP, process_key
from flowengine.store.connection.clock import milliseconds
from flowengine.store.state import RedisState

SHOWN: Final = 1000
"""So many processes are shown: those that gave a sign of life last."""


class _Seen:
    """When a process last gave a sign of life, in milliseconds before now, and the queues that it serves."""

    def __init__(self) -> None:
        self.idle_ms = 0
        self.queues: list[str] = []


class Processes:
    """The processes of a stack's queues."""

    def __init__(self, state: RedisState, queues: Sequence[str]) -> None:
        self._state = state
        self._queues = queues

    def __call__(self) -> WorkersView:
        """Those of now. Raises StoreUnavailableError."""
        sessions, names = self._state.sessions, self._state.keys
        time, *replies = sessions.retrying_read_each(
            [("TIME",), *(("XINFO", "CONSUMERS", names.stream(queue), GROUP) for queue in self._queues)]
        )
        # The reply of a queue that no process ever served is an error.
        rows = [reply if isinstance(reply, list) else [] for reply in replies]
        seen = _seen(zip(self._queues, rows, strict=True), self._state.lease_ms)
        chosen = sorted(seen, key=lambda name: seen[name].idle_ms)[:SHOWN]
        if not chosen:
            return WorkersView(items=())
        (notes,) = sessions.retrying_read(
            [("MGET", *(process_key(name, names.partition) for name in chosen))]
        )
        now = milliseconds(time)
        found = [
            _view(name, note, seen[name], now)
            for name, note in zip(chosen, map(_read, notes), strict=True)
            if note is not None
        ]
        return WorkersView(items=tuple(sorted(found, key=lambda view: (view.service, view.host, view.pid))))


def _seen(listed: Iterable[tuple[str, Sequence[Sequence[Any]]]], within_ms: int) -> Mapping[str, _Seen]:
    """The consumers that gave a sign of life within this time."""
    found: dict[str, _Seen] = {}
    for queue, rows in listed:
        for row in rows:
            fields = dict(zip(row[::2], row[1::2], strict=True))
            name, idle_ms = fields[b"name"].decode(errors="replace"), int(fields[b"idle"])
            if idle_ms < within_ms:
                known = found.setdefault(name, _Seen())
                known.idle_ms = min(known.idle_ms, idle_ms) if known.queues else idle_ms
                known.queues.append(queue)
    return found


def _read(note: bytes | None) -> ProcessNote | None:
    """What a process says of itself; None where it says nothing, or nothing that can be read."""
    try:
        return None if note is None else decode_note(note)
    except msgspec.DecodeError:
        return None


def _view(name: str, note: ProcessNote, seen: _Seen, now: int) -> WorkerView:
    # Its first notice is a sign of life too, and the server may have moved its clock since the others.
    seen_at = max(now - seen.idle_ms, note.started_at)
    return WorkerView(
        id=name,
        service=note.service,
        host=note.host,
        pid=note.pid,
        version=note.version,
        queues=tuple(seen.queues),
        threads=note.threads,
        busy=note.busy,
        concurrency=note.concurrency,
        async_running=note.async_running,
        stopping=note.stopping,
        started_at=moment(note.started_at),
        seen_at=moment(seen_at),
    )
