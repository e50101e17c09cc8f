"""Which middleware hears which of Dramatiq's signals: all that it listens to, and nothing is lost."""

from __future__ import annotations

from typing import cast

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware

from flowengine.broker.signals import QuietSignals


class Hears(Middleware):
    """Keeps what it is told of acknowledgements."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def before_ack(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        """It is about to happen."""
        self.told.append("before")

    def after_ack(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        """It has happened."""
        self.told.append("after")


class Quiet(QuietSignals):
    """A broker without queues."""

    def get_declared_queues(self) -> set[str]:
        """None."""
        return set()


MESSAGE = cast(MessageProxy, None)


def acknowledge(broker: dramatiq.Broker) -> None:
    """The signals of one acknowledgement."""
    broker.emit_before("ack", MESSAGE)
    broker.emit_after("ack", MESSAGE)


def test_middleware_hears_what_it_listens_to() -> None:
    """Others beside it that do not listen change nothing."""
    hears = Hears()
    acknowledge(Quiet([Middleware(), hears]))
    assert hears.told == ["before", "after"]


def test_middleware_that_is_added_later_hears_from_then_on() -> None:
    """What nobody listened to before is not taken for silent."""
    broker, hears = Quiet([Middleware()]), Hears()
    acknowledge(broker)
    broker.add_middleware(hears, before=Middleware)
    acknowledge(broker)
    assert hears.told == ["before", "after"]
    assert broker.middleware[0] is hears
