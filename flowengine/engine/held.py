"""One payload in this process's hands, and how it is let go of.

A message may carry several payloads, joined by the broker. Each is held, acknowledged and handed back
by itself; those that one transaction settles are acknowledged together, in two commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from flowengine.errors import ConflictError, StoreUnavailableError

PASSING: Final = (ConflictError, StoreUnavailableError)
"""Errors that say nothing of a message: it comes back until it can be dealt with."""

PayloadT = TypeVar("PayloadT")
OtherT = TypeVar("OtherT")


class Sink(Protocol):
    """Takes Redis commands that are to be sent together: a transaction, or a client."""

    def execute_command(self, *args: object) -> object: ...


class Receipt(Protocol):
    """The queue entries behind a message in hand. `entries` are indexes of its payloads."""

    def acknowledge(self, sink: Sink, entries: Sequence[int]) -> None:
        """Queue exactly two commands that settle these payloads."""

    def confirm(self, entries: Sequence[int]) -> None:
        """The transaction that carried `acknowledge` has succeeded."""

    def is_lost(self, entry: int) -> bool:
        """Whether this payload is another process's by now, or settled: what comes of it is not told."""

    def hand_back(self, entries: Sequence[int]) -> None:
        """Hand back payloads that have not been begun: at once, and uncounted."""

    def pass_on(self, entries: Sequence[int]) -> None:
        """Leave payloads to processes that know their handlers: uncounted. Raises StoreUnavailableError."""


class Held(Generic[PayloadT]):
    """One payload. Not confirmed when its actor returns, it is handed back by the broker.

    `delivery` is how often it has been delivered (1: the first time). `place` says where its entry
    stands: ENTRY/CONSUMER, or ENTRY/CONSUMER/LINE for one that stands in a line beside its queue.
    """

    __slots__ = ("delivery", "entry", "payload", "place", "receipt")

    def __init__(
        self, payload: PayloadT, delivery: int, place: str, receipt: Receipt, entry: int = 0
    ) -> None:
        self.payload = payload
        self.delivery = delivery
        self.place = place
        self.receipt = receipt
        self.entry = entry

    def of(self, payload: OtherT) -> Held[OtherT]:
        """The same message, with its payload as a narrower type or another payload in its place."""
        return Held(payload, self.delivery, self.place, self.receipt, self.entry)

    @property
    def is_lost(self) -> bool:
        """Whether its lease was lost: another process runs it, or has settled it."""
        return self.receipt.is_lost(self.entry)

    def acknowledge(self, sink: Sink) -> None:
        """Queue the acknowledgement of this payload on the transaction that carries its effect."""
        self.receipt.acknowledge(sink, (self.entry,))

    def confirm(self) -> None:
        """That transaction has succeeded."""
        self.receipt.confirm((self.entry,))

    def pass_on(self) -> None:
        """Leave this payload to a process that knows its handler. Raises StoreUnavailableError."""
        self.receipt.pass_on((self.entry,))


class HeldTogether:
    """Several payloads of one message that one transaction settles."""

    def __init__(self, held: Sequence[Held[Any]]) -> None:
        self._entries = tuple([each.entry for each in held])
        self._receipt = held[0].receipt if held else None

    def __bool__(self) -> bool:
        return bool(self._entries)

    def acknowledge(self, sink: Sink) -> None:
        """Queue the acknowledgement of all of them: two commands."""
        if self._receipt is not None:
            self._receipt.acknowledge(sink, self._entries)

    def confirm(self) -> None:
        """The transaction has succeeded."""
        if self._receipt is not None:
            self._receipt.confirm(self._entries)

    def hand_back(self) -> None:
        """Hand all of them back: none has been begun."""
        if self._receipt is not None:
            self._receipt.hand_back(self._entries)


class _NoReceipt:
    """Of what comes from no queue."""

    def acknowledge(self, sink: Sink, entries: Sequence[int]) -> None:
        """There is nothing to settle."""

    def confirm(self, entries: Sequence[int]) -> None:
        """There is nothing to settle."""

    def is_lost(self, entry: int) -> bool:
        """Nobody else can have it."""
        return False

    def hand_back(self, entries: Sequence[int]) -> None:
        """There is nothing to hand back."""

    def pass_on(self, entries: Sequence[int]) -> None:
        """There is nothing to pass on."""


def unheld(payload: PayloadT) -> Held[PayloadT]:
    """What the engine tells itself: no message has brought it."""
    return Held(payload, 1, "", _NoReceipt())
