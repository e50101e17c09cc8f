"""What `engine.running.asynchronous.async_nodes` asks of the broker for nodes that run without a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowengine.broker.delivery import Delivery
from flowengine.broker.streams.wire import acknowledge
from flowengine.engine.held import Held, Sink

if TYPE_CHECKING:
    from flowengine.broker.broker import StreamsBroker


class AsyncHolding:
    """Lets go of messages that no thread ends, and settles those of many deliveries together."""

    def __init__(self, broker: StreamsBroker) -> None:
        self._broker = broker

    def let_go(self, held: Sequence[Held[Any]], error: BaseException | None = None) -> None:
        """These are dealt with. What is not acknowledged is handed back."""
        self._broker.let_go([_delivery(each) for each in held], error)

    def is_handed_back(self, held: Held[Any]) -> bool:
        """Whether it was handed back meanwhile: what comes of it is for others to tell."""
        return _delivery(held).withdrawn

    def weigh(self, held: Held[Any], size: int) -> None:
        """It has begun, and keeps so many bytes in memory."""
        self._broker.held_messages.weigh(_delivery(held), size)

    def keeps_too_much(self) -> bool:
        """Whether what has begun keeps so much in memory that nothing more is to begin."""
        return self._broker.held_messages.keeps_too_much

    def hand_back(self, held: Sequence[Held[Any]]) -> None:
        """Hand these back, uncounted: they have not begun, and cannot now."""
        self._broker.hand_back_async([_delivery(each) for each in held], reason="no memory for more")

    def acknowledge(self, sink: Sink, held: Sequence[Held[Any]]) -> None:
        """Queue what settles them: two commands for each stream that they come from."""
        ids: dict[str, list[bytes]] = {}
        for each in held:
            delivery = _delivery(each)
            ids.setdefault(delivery.stream, []).append(delivery.entries[each.entry].id)
        for stream, chosen in ids.items():
            acknowledge(sink, stream, chosen)


def _delivery(held: Held[Any]) -> Delivery:
    if not isinstance(held.receipt, Delivery):
        raise TypeError(f"not a message of this broker: {held.receipt!r}")
    return held.receipt
