"""Dead letters as operators see them: listed, removed, sent again.

Each queue has a bounded stream of them. A letter holds the message as it was, and behind that three fields
that say what became of it. Its id names the queue and the entry.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, cast, get_args

from flowengine.engine.held import Sink
from flowengine.engine.ports import Acknowledge, Letter
from flowengine.errors import BadCursorError, ConflictError, DeadLetterNotFoundError
from flowengine.execution.messages import Payload
from flowengine.execution.views.operations import DeadReason
from flowengine.queues import MOVED_KEPT_S, dead_letter_key
from flowengine.store.access.audit_log import add_note, note_now, was_written
from flowengine.store.connection.sessions import Commands
from flowengine.store.state import RedisState

CHUNK: Final = 10
"""How many letters of a queue are read at once: each may carry a result of a megabyte."""

PAGE_BYTES: Final = 8 * 1024 * 1024
"""A page ends once the letters that were read for it are so large together."""

TRIES: Final = 20
REASONS: Final = frozenset(get_args(DeadReason))

_ENTRY: Final = re.compile(r"(\d{1,20})-(\d{1,20})")
_TOLD: Final = (b"reason", b"entry", b"deliveries")
"""The fields behind those of the message, in this order."""

ReadMessage = Callable[[Sequence[bytes]], Payload | None]
"""What a message's fields say; None where this process cannot read it."""

Place = tuple[int, int, str]
"""Where a letter stands among those of all queues: its entry's two numbers, its queue."""


class DeadLetters:
    """Implements `flowengine.engine.ports.LetterStore`, for the letters of these queues."""

    def __init__(self, state: RedisState, queues: Sequence[str], read: ReadMessage) -> None:
        self._state = state
        self._queues = queues
        self._read = read

    def page(self, limit: int, cursor: str | None) -> tuple[list[Letter], str | None]:
        """The newest letters behind the one that the cursor names, and the cursor of the next page."""
        after = None if cursor is None else self._place(cursor)
        if cursor is not None and after is None:
            raise BadCursorError(
                "The query parameter 'cursor' must be the `next_cursor` of a page of dead letters."
            )
        merged = heapq.merge(
            *(self._backwards(queue, after) for queue in self._queues), key=self._sort_key, reverse=True
        )
        found: list[Letter] = []
        size = 0
        for letter in merged:
            if len(found) == limit or size > PAGE_BYTES:
                return found, found[-1].id
            found.append(letter)
            size += sum(map(len, letter.fields))
        return found, None

    def find(self, letter: str) -> Letter:
        """The letter of this id. Raises DeadLetterNotFoundError."""
        key, entry = self._known(letter)
        (found,) = self._state.sessions.retrying_read([("XRANGE", key, entry, entry)])
        if not found:
            raise DeadLetterNotFoundError.of(letter)
        return self._letter(letter.rpartition(":")[0], found[0])

    def remove(self, letter: str) -> bool:
        """Remove a letter; returns whether it was there."""
        key, entry = self._known(letter)
        removed = bool(self._state.sessions.retrying_write([("XDEL", key, entry)])[0])
        if removed:
            note_now(self._state.sessions, self._state.keys, letter)
        return removed

    def removal(self, letter: Letter) -> Acknowledge:
        """What removes it in a transaction of the caller's."""
        key, entry = self._known(letter.id)

        def remove(sink: Sink) -> None:
            sink.execute_command("XDEL", key, entry)

        return remove

    def send_again(self, letter: Letter) -> None:
        """Move it back to its queue, in one transaction. Its deliveries count anew there.

        The stream is WATCHed, so that of two retries one sends it. Raises DeadLetterNotFoundError.
        """
        key, entry = self._known(letter.id)
        names, sessions = self._state.keys, self._state.sessions
        for _ in range(TRIES):
            (found,) = sessions.retrying_watch([key], [("XRANGE", key, entry, entry)])
            session = sessions.here()
            if not found:
                session.unwatch()
                raise DeadLetterNotFoundError.of(letter.id)
            moves = Commands(
                [
                    ("XADD", names.stream(letter.queue), "*", *letter.fields),
                    ("XDEL", key, entry),
                    ("SET", names.moved(letter.queue), self._state.now(), "EX", MOVED_KEPT_S),
                ]
            )
            note = add_note(moves, names, letter.id)
            if session.transact(moves, session.epoch) is not None:
                was_written(note)
                return
        raise ConflictError(f"the dead letters of '{letter.queue}' keep changing; try again")

    # -- reading

    def _backwards(self, queue: str, after: Place | None) -> Iterator[Letter]:
        """The letters of one queue, newest first, from behind a place on; read as they are needed."""
        key, start = self._key(queue), "+"
        if after is not None:
            # Of letters of the same moment, that of the queue whose name is last comes first.
            start = f"{'' if queue < after[2] else '('}{after[0]}-{after[1]}"
        while True:
            (rows,) = self._state.sessions.retrying_read([("XREVRANGE", key, start, "-", "COUNT", CHUNK)])
            for row in rows:
                yield self._letter(queue, row)
            if len(rows) < CHUNK:
                return
            start = f"({rows[-1][0].decode()}"

    def _letter(self, queue: str, row: Sequence[Any]) -> Letter:
        entry, fields = row[0].decode(), [bytes(field) for field in row[1]]
        told = dict(zip(fields[-6::2], fields[-5::2], strict=False))
        whole = tuple(told) == _TOLD
        reason = told[b"reason"].decode(errors="replace") if whole else ""
        message = fields[:-6] if whole else fields
        return Letter(
            id=f"{queue}:{entry}",
            queue=queue,
            reason=cast(DeadReason, reason if reason in REASONS else "undecodable"),
            deliveries=int(told[b"deliveries"]) if whole and told[b"deliveries"].isdigit() else 0,
            buried_at=int(entry.partition("-")[0]),
            fields=tuple(message),
            payload=self._read(message),
        )

    def _key(self, queue: str) -> str:
        return dead_letter_key(queue, self._state.keys.partition)

    def _known(self, letter: str) -> tuple[str, str]:
        """The key and the entry of an id. Raises DeadLetterNotFoundError for what can be none."""
        place = self._place(letter)
        if place is None:
            raise DeadLetterNotFoundError.of(letter)
        return self._key(place[2]), f"{place[0]}-{place[1]}"

    def _place(self, letter: str) -> Place | None:
        queue, _, entry = letter.rpartition(":")
        found = _ENTRY.fullmatch(entry)
        if found is None or queue not in self._queues or max(int(found[1]), int(found[2])) >= 2**64:
            return None
        return int(found[1]), int(found[2]), queue

    def _sort_key(self, letter: Letter) -> Place:
        place = self._place(letter.id)
        assert place is not None, "made from an entry of a queue that is known"
        return place
