"""One message in this process's hands, and the stream entries behind it.

Knows which entries are settled; refuses to talk to Redis by itself: `acknowledge` queues commands on
the caller's transaction, and `confirm` records that this transaction has succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq.broker import MessageProxy

from flowengine.broker.streams.wire import CommandSink
from flowengine.queues import GROUP, stream_key


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
        consumer: str = "",
    ) -> None:
        super().__init__(message)
        self.queue = queue
        self.entries = entries
        self.engine = engine
        self.started = False
        self.given_back = False
        self._release = release
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

    @property
    def deliveries(self) -> tuple[int, ...]:
        """For each payload, how often it has been delivered (1: the first time)."""
        return tuple([entry.deliveries for entry in self.entries])

    @property
    def places(self) -> tuple[str, ...]:
        """For each payload, where it stands: ENTRY/CONSUMER, as `fe:x:ID:started` keeps it."""
        return tuple([f"{entry.id.decode()}/{self._consumer}" for entry in self.entries])

    def acknowledge(self, sink: CommandSink, *, only: tuple[int, ...] | None = None) -> None:
        """Queue exactly two commands, XACK and XDEL, for all payloads or those at the indexes `only`."""
        ids = [entry.id for entry in self._chosen(only)]
        key = stream_key(self.queue)
        sink.execute_command("XACK", key, GROUP, *ids)
        sink.execute_command("XDEL", key, *ids)

    def confirm(self, *, only: tuple[int, ...] | None = None) -> None:
        """The transaction that carried `acknowledge` has succeeded: these payloads are settled."""
        chosen = self._chosen(only)
        for entry in chosen:
            entry.settled = True
        self._release(self.queue, chosen)

    def _chosen(self, only: tuple[int, ...] | None) -> Sequence[Entry]:
        return self.entries if only is None else [self.entries[index] for index in only]
