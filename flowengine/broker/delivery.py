"""One message in this process's hands, and the stream entries behind it.

Knows which entries are settled; refuses to talk to Redis by itself: `acknowledge` queues commands on
the caller's transaction, and `confirm` records that this transaction has succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq.broker import MessageProxy

from flowengine.broker.streams.wire import decode
from flowengine.engine.held import Held, Sink
from flowengine.queues import GROUP


class Entry:
    """One stream entry: its id, how often it has been delivered (1: the first time), its content."""

    __slots__ = ("actor", "deliveries", "fields", "id", "payload", "settled")

    def __init__(
        self, entry_id: bytes, deliveries: int, actor: str, payload: bytes | None, fields: list[bytes]
    ) -> None:
        self.id: Final = entry_id
        self.deliveries: Final = deliveries
        self.actor: Final = actor
        self.payload: Final = payload
        self.fields: Final = fields
        self.settled = False


class Delivery(MessageProxy):
    """What Dramatiq passes through its threads; also the engine's Receipt.

    `engine` tells whether only the engine's own transaction acknowledges it. `given_back` is set once
    its entries are no longer this process's to settle: Dramatiq's acknowledgement then does nothing.
    """

    def __init__(
        self,
        message: dramatiq.Message[Any],
        queue: str,
        entries: Sequence[Entry],
        *,
        engine: bool,
        release: Callable[[str, Iterable[Entry]], None],
        return_part: Callable[[Delivery, Sequence[int]], None],
        stream: str,
        consumer: str = "",
    ) -> None:
        super().__init__(message)
        self.queue = queue
        self.entries = entries
        self.engine = engine
        self.started = False
        self.given_back = False
        self._release = release
        self._return_part = return_part
        self._stream = stream
        self._consumer = consumer

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __str__(self) -> str:
        """The actor and the entry, never the payload: this is what Dramatiq logs."""
        more = f" and {len(self.entries) - 1} more" if len(self.entries) > 1 else ""
        return f"{self._message.actor_name}({self._message.message_id}{more})"

    @property
    def exception(self) -> BaseException | None:
        """What the actor raised, while Dramatiq settles the message."""
        return self._exception

    @property
    def unsettled(self) -> list[Entry]:
        """The entries that no transaction has acknowledged."""
        return [entry for entry in self.entries if not entry.settled]

    def held(self) -> list[Held[Any]]:
        """The payloads as their actor's structs. Raises UndecodablePayloadError."""
        return [
            Held(
                decode(entry.actor, entry.payload or b""),
                entry.deliveries,
                f"{entry.id.decode()}/{self._consumer}",
                self,
                index,
            )
            for index, entry in enumerate(self.entries)
        ]

    def acknowledge(self, sink: Sink, entries: Sequence[int]) -> None:
        """Queue exactly two commands, XACK and XDEL, for the payloads at these indexes."""
        ids = [self.entries[index].id for index in entries]
        sink.execute_command("XACK", self._stream, GROUP, *ids)
        sink.execute_command("XDEL", self._stream, *ids)

    def confirm(self, entries: Sequence[int]) -> None:
        """The transaction that carried `acknowledge` has succeeded: these payloads are settled."""
        chosen = [self.entries[index] for index in entries]
        for entry in chosen:
            entry.settled = True
        self._release(self.queue, chosen)

    def hand_back(self, entries: Sequence[int]) -> None:
        """Hand back payloads that have not been begun: at once, and uncounted."""
        self._return_part(self, entries)
