"""One message that this process holds, and the stream entries behind it.

Knows which entries are acknowledged. Does not talk to Redis: `acknowledge` queues commands on the caller's
transaction, and `confirm` records that this transaction has succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq.broker import MessageProxy

from flowengine.broker.streams.wire import acknowledge, decode
from flowengine.engine.held import Held, Sink
from flowengine.queues import queue_of_line


class Entry:
    """One stream entry: its id, how often it has been delivered (1: the first time), what it holds."""

    __slots__ = ("acknowledged", "actor", "deliveries", "fields", "id", "is_lost", "payload")

    def __init__(
        self, entry_id: bytes, deliveries: int, actor: str, payload: bytes | None, fields: list[bytes]
    ) -> None:
        self.id: Final = entry_id
        self.deliveries: Final = deliveries
        self.actor: Final = actor
        self.payload: Final = payload
        self.fields: Final = fields
        self.acknowledged = False
        self.is_lost = False
        """Whether its lease was lost: another process has it, or it is settled."""


class Delivery(MessageProxy):
    """What Dramatiq passes through its threads; also the engine's Receipt.

    `engine`: only the engine's own transactions acknowledge it. `withdrawn`: its entries were handed back, so
    that Dramatiq's acknowledgement does nothing. `line`: where its entries stand: the queue, or a line beside
    it.
    """

    def __init__(
        self,
        message: dramatiq.Message[Any],
        queue: str,
        entries: Sequence[Entry],
        *,
        engine: bool,
        release: Callable[[str, Iterable[Entry]], None],
        hand_back_part: Callable[[Delivery, Sequence[int]], None],
        stream: str,
        consumer: str = "",
        line: str = "",
        pass_on: Callable[[Delivery, Sequence[int]], None] | None = None,
    ) -> None:
        super().__init__(message)
        # Dramatiq asks for each of these several times, and its proxy looks them up in the message.
        self.queue_name = message.queue_name
        self.actor_name = message.actor_name
        self.message_id = message.message_id
        self.args = message.args
        self.kwargs = message.kwargs
        self.options = message.options
        self.queue = queue
        self.line = line or queue
        self.entries = entries
        self.engine = engine
        self.started = False
        self.withdrawn = False
        self.left_thread = False
        """Whether it goes on without the thread that began it, which must not end it."""
        self._release = release
        self._hand_back_part = hand_back_part
        self._pass_on = pass_on
        self.stream = stream
        self._consumer = consumer

    # A message is itself and no other, whatever Dramatiq's proxy compares.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __str__(self) -> str:
        """The actor and the entry, never the payload: this is what Dramatiq logs."""
        more = f" and {len(self.entries) - 1} more" if len(self.entries) > 1 else ""
        return f"{self._message.actor_name}({self._message.message_id}{more})"

    @property
    def exception(self) -> BaseException | None:
        """What the actor raised, if it did."""
        return self._exception

    @property
    def unacknowledged(self) -> list[Entry]:
        """The entries that no transaction has acknowledged."""
        return [entry for entry in self.entries if not entry.acknowledged]

    def held(self) -> list[Held[Any]]:
        """The payloads as their actor's structs. Raises UndecodablePayloadError."""
        beside = "" if self.line == queue_of_line(self.queue) else f"/{self.line}"
        return [
            Held(
                decode(entry.actor, entry.payload or b""),
                entry.deliveries,
                f"{entry.id.decode()}/{self._consumer}{beside}",
                self,
                index,
            )
            for index, entry in enumerate(self.entries)
        ]

    def acknowledge(self, sink: Sink, entries: Sequence[int]) -> None:
        """Queue exactly two commands, XACK and XDEL, for the payloads at these indexes."""
        acknowledge(sink, self.stream, [self.entries[index].id for index in entries])

    def confirm(self, entries: Sequence[int]) -> None:
        """The transaction that carried `acknowledge` has succeeded."""
        chosen = [self.entries[index] for index in entries]
        for entry in chosen:
            entry.acknowledged = True
        self._release(self.line, chosen)

    def is_lost(self, entry: int) -> bool:
        """Whether this payload is another process's by now, or settled."""
        return self.entries[entry].is_lost

    def hand_back(self, entries: Sequence[int]) -> None:
        """Hand back payloads that have not begun: at once, and uncounted."""
        self._hand_back_part(self, entries)

    def pass_on(self, entries: Sequence[int]) -> None:
        """Leave payloads to processes that know their handlers: uncounted. Raises StoreUnavailableError."""
        if self._pass_on is None:
            raise TypeError("this broker was not told which handlers its process knows")
        self._pass_on(self, entries)
