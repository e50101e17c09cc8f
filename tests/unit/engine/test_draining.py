"""How long a process that drains may take, and when it is done."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.delivery import Delivery
from flowengine.broker.held_messages import HeldMessages
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.wire import PAYLOAD
from flowengine.worker.draining import Draining
from tests.support.rigs.broker_rig import QUEUE, make_assembler
from tests.unit.engine.tasks import task


class Broker:
    """Stands for the broker: what this process holds, and whether it takes more."""

    def __init__(self) -> None:
        self.held_messages = HeldMessages()
        self.held_messages.open(4)

    def get_declared_queues(self) -> set[str]:
        """One."""
        return {QUEUE}

    def stop_fetching(self) -> None:
        """Takes no more."""
        self.held_messages.stop()

    def hold(self, *payloads: bytes) -> list[Delivery]:
        """Fetch these messages."""
        raw = [
            ((b"%d-0" % at, [b"a", b"run_node", PAYLOAD, payload]), 1) for at, payload in enumerate(payloads)
        ]
        assembler = make_assembler({"run_node": ActorPolicy()}, release=self.held_messages.release)
        found = assembler.assemble(raw).deliveries
        self.held_messages.hold(found)
        return found


@pytest.fixture
def broker() -> Broker:
    """A process that takes messages."""
    return Broker()


@pytest.fixture
def announced() -> list[float]:
    """For how many seconds the supervisor was told to wait."""
    return []


@pytest.fixture
def draining(broker: Broker, announced: list[float]) -> Draining:
    """Of that process."""
    return Draining(cast(StreamsBroker, broker), announced.append)


def payload(node: str, timeout_s: float) -> bytes:
    """The message of one node."""
    return msgspec.json.encode(msgspec.structs.replace(task(node), timeout_ms=int(timeout_s * 1000)))


@pytest.mark.proves("handler-hangs")
def test_what_is_about_to_begin_has_its_whole_time(
    broker: Broker, draining: Draining, announced: list[float]
) -> None:
    """A node that no thread has told of yet was fetched, and will run."""
    running, waiting = broker.hold(payload("running", 5), payload("waiting", 300))
    broker.held_messages.start(running)
    draining.begin(30.0)
    assert announced == [330.0]
    assert broker.held_messages.stopping
    broker.held_messages.start(waiting)
    assert not draining.is_over()
    for delivery in (running, waiting):
        assert not draining.is_over()
        delivery.confirm([0])
    assert draining.is_over()


def test_a_process_that_holds_nothing_drains_at_once(draining: Draining, announced: list[float]) -> None:
    """The lost thread's node has been reported."""
    draining.begin(30.0)
    assert announced == [30.0]
    assert draining.is_over()


def test_what_nobody_can_read_does_not_hold_it_up(
    broker: Broker, draining: Draining, announced: list[float]
) -> None:
    """It is on its way to the dead letters."""
    broker.hold(b"?", payload("other", 7))
    draining.begin(1.0)
    assert announced == [8.0]


def test_a_process_drains_no_longer_than_it_said(broker: Broker, draining: Draining) -> None:
    """What cannot be reported is handed back."""
    broker.hold(payload("late", 0.0))
    draining.begin(-1.0)
    assert draining.is_over()
