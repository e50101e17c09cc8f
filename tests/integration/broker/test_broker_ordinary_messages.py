"""Messages of ordinary Dramatiq actors on the engine's broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed, QueueJoinTimeout, QueueNotFound

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.errors import DelayRefusedError
from tests.support.rigs.broker_rig import QUEUE, Rig
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until


def declare(broker: StreamsBroker, function: Callable[..., None]) -> Any:
    """An ordinary actor on the queue."""
    return dramatiq.actor(queue_name=QUEUE, broker=broker)(function)


def test_arguments_arrive_as_they_were_sent(rig: Rig) -> None:
    """Positional and keyword arguments survive the way through JSON."""
    broker = rig.broker()
    calls: list[object] = []

    def record(*args: object, **kwargs: object) -> None:
        calls.append((args, kwargs))

    actor = declare(broker, record)
    actor.send(1, "two", [3.5, None], four={"five": True})
    rig.work(broker)
    wait_until(lambda: calls and rig.length() == 0)
    assert calls == [((1, "two", [3.5, None]), {"four": {"five": True}})]


def test_delayed_message_is_refused(rig: Rig) -> None:
    """A delay raises at the sender: nothing would keep the message until then."""
    actor = declare(rig.broker(), lambda: None)
    with pytest.raises(DelayRefusedError, match="fe:timers"):
        actor.send_with_options(delay=1000)
    assert rig.length() == 0


def test_message_whose_actor_raised_is_buried(rig: Rig) -> None:
    """An ordinary message that failed is kept among the dead letters instead of vanishing."""
    broker = rig.broker()

    def fail() -> None:
        raise RuntimeError("no")

    actor = declare(broker, fail)
    actor.send()
    rig.work(broker)
    wait_until(lambda: rig.dead())
    assert rig.dead()[0][b"reason"] == b"raised"
    assert rig.length() == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"m": b"\xff\xfe"},
        {"m": b'{"queue_name":"q"}'},
        {"m": b"[" * 100_000},
        {"x": b"?"},
        {"a": b"act"},
        {"p": b"1", "a": b"act"},
    ],
)
def test_what_is_not_a_message_is_buried_alone(rig: Rig, fields: dict[Any, Any]) -> None:
    """Whatever stands in a queue, the consumer lives, sets it aside and goes on."""
    broker = rig.broker()
    calls: list[int] = []
    actor = declare(broker, calls.append)
    rig.client.xadd(f"fe:q:{QUEUE}", fields)
    actor.send(1)
    rig.work(broker)
    wait_until(lambda: calls == [1] and rig.length() == 0)
    [dead] = rig.dead()
    assert dead[b"reason"] == b"undecodable"


def test_sending_while_redis_is_away_raises_dramatiqs_error(private_valkey: Callable[..., Valkey]) -> None:
    """A sender learns in Dramatiq's words that its message was not sent."""
    server = private_valkey()
    broker = StreamsBroker(server.connect)
    actor = declare(broker, lambda: None)
    server.kill()
    with pytest.raises(ConnectionClosed):
        actor.send()
    broker.close()


def test_consuming_an_undeclared_queue_is_refused(rig: Rig) -> None:
    """A consumer is made for declared queues only."""
    with pytest.raises(QueueNotFound):
        rig.broker().consume("nobody's")


def test_join_gives_up_in_time(rig: Rig) -> None:
    """Waiting for a queue that nobody works on ends with an error."""
    broker = rig.broker()
    declare(broker, lambda: None).send()
    with pytest.raises(QueueJoinTimeout):
        broker.join(QUEUE, timeout=30)


def test_paused_worker_goes_on_when_resumed(rig: Rig) -> None:
    """Dramatiq's pause stops the flow, and its resume starts it again."""
    broker = rig.broker()
    calls: list[int] = []
    actor = declare(broker, calls.append)
    worker = rig.work(broker)
    actor.send(1)
    wait_until(lambda: calls == [1])
    for child in worker.workers:
        child.pause()
    for child in worker.workers:
        child.paused_event.wait(5)
    actor.send(2)
    assert calls == [1]
    for child in worker.workers:
        child.resume()
    wait_until(lambda: calls == [1, 2])


def test_message_for_an_unknown_actor_is_buried(rig: Rig) -> None:
    """An ordinary message whose actor nobody declared is kept among the dead letters, and not put off."""
    broker, other = rig.broker(), rig.broker()
    declare(broker, lambda: None)
    dramatiq.actor(actor_name="nobody", queue_name=QUEUE, broker=other)(lambda: None).send()
    rig.work(broker)
    wait_until(lambda: rig.dead())
    assert rig.dead()[0][b"reason"] == b"unknown_actor"
    assert (rig.length(), rig.put_off()) == (0, [])
