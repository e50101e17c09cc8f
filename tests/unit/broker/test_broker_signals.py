"""Which middleware hears which of Dramatiq's signals: all that it listens to, and nothing is lost."""

from __future__ import annotations

import logging
from typing import cast

import dramatiq
import pytest
from dramatiq.broker import MessageProxy
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware

from flowengine.broker.signals import QuietActor, QuietSignals


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


class Begins(Quiet):
    """Keeps when messages begin and end, where its middleware keeps what it hears of them."""

    def __init__(self) -> None:
        self.told: list[str] = []
        super().__init__([HearsOfMessages(self.told)])

    def begin(self, message: MessageProxy) -> None:
        """It begins."""
        self.told.append("begins")

    def end(self) -> None:
        """It has ended."""
        self.told.append("ended")


class HearsOfMessages(Middleware):
    """Tells when it hears that a message is processed."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        """It is about to be."""
        self.told.append("before")

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: MessageProxy,
        *,
        result: object = None,
        exception: BaseException | None = None,
    ) -> None:
        """It has been."""
        self.told.append("after")


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


def test_middleware_hears_of_a_message_while_the_broker_has_it() -> None:
    """It begins before they hear of it, and ends after: it ends as well when it is skipped."""
    broker = Begins()
    broker.emit_before("process_message", MESSAGE)
    broker.emit_after("process_message", MESSAGE)
    assert broker.told == ["begins", "before", "after", "ended"]
    broker.emit_after("skip_message", MESSAGE)
    assert broker.told[4:] == ["ended"]


def test_an_actor_does_not_log_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    """They are payloads, whatever the level."""
    seen: list[str] = []
    actor = QuietActor(
        seen.append, broker=StubBroker(), actor_name="act", queue_name="q", priority=0, options={}
    )
    with caplog.at_level(logging.DEBUG):
        actor("secret")
    assert seen == ["secret"]
    assert "secret" not in caplog.text
