"""Lone quick messages are processed by the thread that fetched them, and keep nobody waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import dramatiq
import pytest
from dramatiq.worker import ConsumerThread

from flowengine.broker import in_place
from flowengine.broker.broker import StreamsBroker
from flowengine.broker.in_place import LONE_IN_A_ROW
from flowengine.broker.policy import ActorPolicy
from tests.support.broker_rig import QUEUE, Rig
from tests.support.waiting import wait_until

THREADS = 4
"""Room for more while one is processed: what comes alone does so of its own."""

QUICK = ActorPolicy(is_quick=lambda payload: not payload.startswith(b"long"))


class Acting:
    """An engine actor that notes which thread ran which payload, and does what `meanwhile` says."""

    def __init__(
        self, broker: StreamsBroker, meanwhile: Callable[[bytes], None] = lambda payload: None
    ) -> None:
        self.done: list[bytes] = []
        self.begun: list[bytes] = []
        self.fetching_thread: dict[bytes, bool] = {}

        def act(payloads: Sequence[bytes]) -> None:
            payload = payloads[0]
            self.begun.append(payload)
            self.fetching_thread[payload] = isinstance(threading.current_thread(), ConsumerThread)
            receipt = broker.receipt()
            meanwhile(payload)
            pipe = broker.group.client.pipeline(transaction=True)
            receipt.acknowledge(pipe)
            pipe.execute()
            receipt.confirm()
            self.done.append(payload)

        dramatiq.actor(actor_name="act", queue_name=QUEUE, broker=broker)(act)

    def wait_for(self, payload: bytes) -> None:
        """Until this one has been dealt with."""
        wait_until(lambda: payload in self.done)


def one_by_one(rig: Rig, broker: StreamsBroker, acting: Acting, payloads: Sequence[bytes]) -> None:
    """Send each message once the one before has been dealt with."""
    for payload in payloads:
        rig.send(broker, payload)
        acting.wait_for(payload)
        wait_until(lambda: not broker.in_flight.all(QUEUE))


def warm_up(rig: Rig, broker: StreamsBroker, acting: Acting, *, count: int = LONE_IN_A_ROW) -> None:
    """After this the next lone message stays where it is fetched."""
    one_by_one(rig, broker, acting, [b"warm%d" % at for at in range(count)])


def test_lone_messages_stay_on_the_thread_that_fetches(rig: Rig) -> None:
    """The first few go through Dramatiq's threads; those that go on coming alone do not."""
    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker)
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    one_by_one(rig, broker, acting, [b"a", b"b"])
    assert [acting.fetching_thread[p] for p in (b"warm0", b"warm3", b"a", b"b")] == [False, False, True, True]
    assert (rig.length(), rig.pending()) == (0, {})


def test_messages_that_come_together_are_shared_out(rig: Rig) -> None:
    """Where several wait, all of them go to Dramatiq's threads, and so does the lone one after them."""
    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker)
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    rig.send(broker, b"a", b"b", b"c")
    wait_until(lambda: len(acting.done) == LONE_IN_A_ROW + 3 and not broker.in_flight.all(QUEUE))
    one_by_one(rig, broker, acting, [b"d"])
    assert not any(acting.fetching_thread.values())


def test_message_not_known_to_be_quick_is_handed_over(rig: Rig) -> None:
    """What may take long never keeps the fetching thread, however lonely it comes."""
    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker)
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    one_by_one(rig, broker, acting, [b"long"])
    assert acting.fetching_thread[b"long"] is False


def test_second_delivery_is_handed_over(rig: Rig) -> None:
    """A message that has failed before does not get near the fetching thread again."""
    failed: set[bytes] = set()

    def fail_once(payload: bytes) -> None:
        if payload == b"bad" and payload not in failed:
            failed.add(payload)
            raise RuntimeError("the first time")

    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, fail_once)
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    rig.send(broker, b"bad")
    wait_until(lambda: failed)
    assert acting.fetching_thread[b"bad"] is True
    wait_until(lambda: b"bad" in acting.done)
    assert acting.fetching_thread[b"bad"] is False


def test_others_are_fetched_while_a_quick_one_turns_out_slow(rig: Rig) -> None:
    """Messages behind one that hangs are processed by the other threads, as many as there are."""
    opened = threading.Event()

    def hang(payload: bytes) -> None:
        if payload == b"slow":
            assert opened.wait(20)

    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, hang)
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    rig.send(broker, b"slow")
    wait_until(lambda: b"slow" in acting.begun)
    one_at_a_time = [b"a", b"b", b"c"]
    for payload in one_at_a_time:
        rig.send(broker, payload)
        acting.wait_for(payload)
    assert b"slow" not in acting.done
    opened.set()
    wait_until(lambda: b"slow" in acting.done)
    one_by_one(rig, broker, acting, [b"after"])
    assert [acting.fetching_thread[p] for p in (b"slow", *one_at_a_time)] == [True, False, False, False]


def test_slow_one_counts_as_a_busy_thread(rig: Rig) -> None:
    """A process of one thread runs one message at a time, wherever it runs it; another gets the next."""
    opened = threading.Event()

    def hang(payload: bytes) -> None:
        if payload == b"slow":
            assert opened.wait(20)

    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, hang)
    rig.work(broker, threads=1)
    warm_up(rig, broker, acting, count=20)  # a single thread must be known as quick for there to be room
    rig.send(broker, b"slow")
    wait_until(lambda: b"slow" in acting.begun)
    rig.send(broker, b"next")
    other = rig.engine_broker(policy=QUICK)
    elsewhere = Acting(other)
    rig.work(other, threads=1)
    wait_until(lambda: b"next" in elsewhere.done)
    assert (acting.begun[-1], acting.fetching_thread[b"slow"]) == (b"slow", True)
    opened.set()
    wait_until(lambda: b"slow" in acting.done)


def test_stop_waits_for_a_message_in_place(rig: Rig) -> None:
    """A worker that is told to stop settles what its fetching thread is at."""
    opened = threading.Event()

    def hang(payload: bytes) -> None:
        if payload == b"slow":
            assert opened.wait(20)

    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, hang)
    worker = rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    rig.send(broker, b"slow")
    wait_until(lambda: b"slow" in acting.begun)
    stopping = threading.Thread(target=rig.stop, args=(worker,))
    stopping.start()
    wait_until(lambda: broker.in_flight.stopping)
    opened.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert (acting.done[-1], rig.length(), rig.pending()) == (b"slow", 0, {})


def test_stop_hands_back_a_message_in_place_that_does_not_end(rig: Rig) -> None:
    """What is not finished in time goes back to the queue, uncounted."""
    opened = threading.Event()

    def hang(payload: bytes) -> None:
        if payload == b"slow":
            assert opened.wait(20)

    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, hang)
    worker = rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    rig.send(broker, b"slow")
    wait_until(lambda: b"slow" in acting.begun)
    rig.stop(worker, timeout_ms=300)
    assert [deliveries for _, deliveries in rig.pending().values()] == [0]
    opened.set()


def test_standby_survives_an_error(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while it fetches for others is logged; the next slow message finds it at its place."""
    opened = threading.Event()

    def hang(payload: bytes) -> None:
        if payload.startswith(b"slow"):
            assert opened.wait(20)

    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, hang)
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    errors: list[str] = []
    monkeypatch.setattr(in_place.log, "error", lambda event, **values: errors.append(event))
    worker = broker.worker
    assert worker is not None
    thread = worker.consumers[QUEUE]
    with monkeypatch.context() as broken:
        broken.setattr(thread, "handle_message", lambda message: 1 / 0)
        rig.send(broker, b"slow1")
        wait_until(lambda: b"slow1" in acting.begun)
        rig.send(broker, b"lost")
        wait_until(lambda: errors)
    rig.send(broker, b"next")
    wait_until(lambda: b"next" in acting.done)
    assert set(errors) == {"broker.standby_failed"}
    opened.set()
    wait_until(lambda: b"slow1" in acting.done and b"lost" in acting.done)
