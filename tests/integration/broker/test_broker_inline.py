"""Lone quick messages are processed by the thread that fetched them, and keep nobody waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import dramatiq
import msgspec
import pytest
from dramatiq.worker import ConsumerThread

from flowengine.broker import inline_processor
from flowengine.broker.broker import StreamsBroker
from flowengine.broker.delivery import Delivery, Entry
from flowengine.broker.inline_processor import InlineProcessor
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.timing import Timing
from flowengine.heuristics import LONE_IN_A_ROW
from flowengine.queues import GROUP, stream_key
from tests.support.rigs.broker_rig import PATIENT, QUEUE, Rig, release_nothing
from tests.support.waiting import wait_until

THREADS = 4
"""More than one: a message that comes alone does not do so because threads are missing."""

AHEAD = msgspec.structs.replace(PATIENT, ahead_s=10.0)
"""Messages are fetched ahead, on a machine of any speed."""

QUICK = ActorPolicy(is_quick=lambda payload: not payload.startswith(b"long"))


class Acting:
    """An engine actor that notes which thread ran which payload, and does what `meanwhile` says."""

    def __init__(
        self, broker: StreamsBroker, meanwhile: Callable[[bytes], None] = lambda payload: None
    ) -> None:
        self.done: list[bytes] = []
        self.begun: list[bytes] = []
        self.by_fetching_thread: list[tuple[bytes, bool]] = []

        def act(payloads: Sequence[bytes]) -> None:
            payload = payloads[0]
            here = isinstance(threading.current_thread(), ConsumerThread)
            self.by_fetching_thread.append((payload, here))
            self.begun.append(payload)
            receipt = broker.receipt()
            meanwhile(payload)
            pipe = broker.group.client.pipeline(transaction=True)
            receipt.acknowledge(pipe, [0])
            pipe.execute()
            receipt.confirm([0])
            self.done.append(payload)

        dramatiq.actor(actor_name="act", queue_name=QUEUE, broker=broker)(act)

    @property
    def fetching_thread(self) -> dict[bytes, bool]:
        """Whether the fetching thread was the last to run it, by payload."""
        return dict(self.by_fetching_thread)

    def wait_for(self, payload: bytes) -> None:
        """Until this one has been dealt with."""
        wait_until(lambda: payload in self.done)


def hanging(opened: threading.Event, *payloads: bytes) -> Callable[[bytes], None]:
    """What an actor does that hangs at these until it may go on."""

    def hang(payload: bytes) -> None:
        if payload in payloads:
            assert opened.wait(20)

    return hang


def one_by_one(rig: Rig, broker: StreamsBroker, acting: Acting, payloads: Sequence[bytes]) -> None:
    """Send each message once the one before has been dealt with."""
    for payload in payloads:
        rig.send(broker, payload)
        acting.wait_for(payload)
        wait_until(lambda: not broker.held_messages.all(QUEUE))


def warm_up(rig: Rig, broker: StreamsBroker, acting: Acting, *, count: int = LONE_IN_A_ROW) -> None:
    """After this the next lone message stays where it is fetched."""
    one_by_one(rig, broker, acting, [b"warm%d" % at for at in range(count)])


def delivery(*payloads: bytes, engine: bool = True, deliveries: int = 1) -> Delivery:
    """One of these payloads, held by nobody."""
    message: dramatiq.Message[object] = dramatiq.Message(
        queue_name=QUEUE, actor_name="act", args=(), kwargs={}, options={}
    )
    entries = [Entry(b"1-0", deliveries, "act", payload, []) for payload in payloads]
    return Delivery(
        message,
        QUEUE,
        entries,
        engine=engine,
        release=release_nothing,
        hand_back_part=lambda delivery, entries: None,
        stream=stream_key(QUEUE),
    )


def experienced() -> InlineProcessor:
    """One that has seen as many lone messages as it takes."""
    inline = InlineProcessor(QUEUE, {"act": QUICK}, lambda: None)
    assert [inline.suits(delivery(b"a"), alone=True) for _ in range(LONE_IN_A_ROW)] == [False] * LONE_IN_A_ROW
    return inline


def hung_inline(rig: Rig) -> tuple[threading.Event, StreamsBroker, Acting, dramatiq.Worker]:
    """A worker whose fetching thread hangs at `slow` until the event is set."""
    opened = threading.Event()
    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, hanging(opened, b"slow"))
    worker = rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    rig.send(broker, b"slow")
    wait_until(lambda: b"slow" in acting.begun)
    return opened, broker, acting, worker


def idle_for_ms(rig: Rig, entry: bytes) -> int:
    """How long ago its lease began or was renewed."""
    [row] = rig.client.xpending_range(stream_key(QUEUE), GROUP, entry, entry, 1)
    return int(row["time_since_delivered"])


def test_what_stays() -> None:
    """A lone one, after enough lone ones."""
    inline = experienced()
    assert [inline.suits(delivery(b"a"), alone=True) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(
    ("other", "alone"),
    [
        (delivery(b"a"), False),
        (delivery(b"a", b"b"), True),
        (delivery(b"a", engine=False), True),
        (delivery(b"a", deliveries=2), True),
    ],
    ids=["beside others", "joined", "of no engine actor", "delivered before"],
)
def test_what_does_not_stay_and_begins_the_count_anew(other: Delivery, alone: bool) -> None:
    """After such a one the next ones are handed over as well."""
    inline = experienced()
    assert not inline.suits(other, alone=alone)
    after = [inline.suits(delivery(b"a"), alone=True) for _ in range(LONE_IN_A_ROW + 1)]
    assert after == [False] * LONE_IN_A_ROW + [True]


def test_what_may_take_long_does_not_stay() -> None:
    """Nor what nobody says anything about; both leave the count as it is."""
    inline = experienced()
    assert not inline.suits(delivery(b"long"), alone=True)
    assert inline.suits(delivery(b"a"), alone=True)
    assert not InlineProcessor(QUEUE, {}, lambda: None).suits(delivery(b"a"), alone=True)


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
    wait_until(lambda: len(acting.done) == LONE_IN_A_ROW + 3 and not broker.held_messages.all(QUEUE))
    one_by_one(rig, broker, acting, [b"d"])
    assert not any(acting.fetching_thread.values())


def test_message_not_known_to_be_quick_is_handed_over(rig: Rig) -> None:
    """What may take long never runs on the fetching thread, even if it comes alone."""
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
    wait_until(lambda: b"bad" in acting.done)
    assert acting.by_fetching_thread[-2:] == [(b"bad", True), (b"bad", False)]


def test_others_are_fetched_while_a_quick_one_turns_out_slow(rig: Rig) -> None:
    """Messages behind one that hangs are processed by the other threads, as many as there are."""
    opened = threading.Event()
    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, hanging(opened, b"slow", b"slow1"))
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
    broker = rig.engine_broker(policy=QUICK, timing=AHEAD)
    acting = Acting(broker, hanging(opened, b"slow"))
    rig.work(broker, threads=1)
    warm_up(
        rig, broker, acting, count=20
    )  # messages must be known to be quick, or a single thread fetches none ahead
    rig.send(broker, b"slow")
    wait_until(lambda: b"slow" in acting.begun)
    rig.send(broker, b"next")
    looks = counted_looks(broker)
    wait_until(lambda: looks.count > 1)
    assert (acting.begun[-1], acting.fetching_thread[b"slow"]) == (b"slow", True)
    other = rig.engine_broker(policy=QUICK, timing=AHEAD)
    elsewhere = Acting(other)
    rig.work(other, threads=1)
    wait_until(lambda: b"next" in elsewhere.done)
    opened.set()
    wait_until(lambda: b"slow" in acting.done)


def test_a_thread_that_was_idle_is_not_used_twice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standby learns that there is a thread, and the consumer uses it before the standby can."""
    opened, first, learnt, go_on = (threading.Event() for _ in range(4))

    def meanwhile(payload: bytes) -> None:
        if payload == b"slow":
            assert first.wait(20)
        elif payload in (b"one", b"two"):
            assert opened.wait(20)

    broker = rig.engine_broker(policy=QUICK, timing=AHEAD)
    acting = Acting(broker, meanwhile)
    rig.work(broker, threads=1)
    warm_up(rig, broker, acting, count=20)
    wait_for_thread = broker.held_messages.wait_for_thread

    def slowly(*, unassigned: int, within_s: float) -> bool:
        idle = wait_for_thread(unassigned=unassigned, within_s=within_s)
        if idle and not learnt.is_set():
            learnt.set()
            assert go_on.wait(20)
        return idle

    monkeypatch.setattr(broker.held_messages, "wait_for_thread", slowly)
    rig.send(broker, b"slow")
    wait_until(lambda: b"slow" in acting.begun)
    wait_until(lambda: broker.held_messages._sleepers)  # the standby, which waits for a thread
    first.set()
    assert learnt.wait(20)
    rig.send(broker, b"one")
    wait_until(lambda: b"one" in acting.begun)
    looks = counted_looks(broker)
    go_on.set()
    rig.send(broker, b"two")
    wait_until(lambda: looks.count > 1)
    assert b"two" not in acting.begun
    opened.set()
    wait_until(lambda: b"two" in acting.done)


def test_lease_of_an_inline_message_is_renewed(rig: Rig) -> None:
    """A process keeps what its fetching thread is at, as it keeps what the others are at."""
    opened, broker, acting, _ = hung_inline(rig)
    [entry] = rig.pending()
    idle_ms = [idle_for_ms(rig, entry)]

    def was_renewed() -> bool:
        idle_ms.append(idle_for_ms(rig, entry))
        return idle_ms[-1] < idle_ms[-2]

    wait_until(was_renewed)
    wait_until(was_renewed)
    assert broker.held_messages.held_ids(QUEUE) == {entry}
    opened.set()
    acting.wait_for(b"slow")


def test_consumers_of_several_queues_leave_messages_to_the_threads(rig: Rig) -> None:
    """They share the threads, and could not tell what another one runs by itself."""
    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker)
    broker.declare_queue("other")
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    one_by_one(rig, broker, acting, [b"a", b"b"])
    assert not any(acting.fetching_thread.values())


def test_what_comes_beside_a_running_message_is_handed_over(rig: Rig) -> None:
    """Alone means that this process has nothing else to do."""
    opened = threading.Event()
    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker, hanging(opened, b"long"))
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    rig.send(broker, b"long")
    wait_until(lambda: b"long" in acting.begun)
    for payload in (b"a", b"b", b"c", b"d", b"e", b"f"):
        rig.send(broker, payload)
        acting.wait_for(payload)
    assert not any(acting.fetching_thread.values())
    opened.set()
    wait_until(lambda: b"long" in acting.done)


class Looks:
    """How often a consumer's standby has tried to fetch."""

    def __init__(self) -> None:
        self.count = 0


def counted_looks(broker: StreamsBroker) -> Looks:
    """Counts from now on."""
    looks = Looks()
    inline = broker._consumers[QUEUE]._inline
    fetch = inline._fetch

    def counted() -> Delivery | None:
        looks.count += 1
        return fetch()

    inline._fetch = counted
    return looks


def standbys() -> list[threading.Thread]:
    """The standby threads that live."""
    return [thread for thread in threading.enumerate() if thread.name == f"standby-{QUEUE}"]


def test_standby_sleeps_while_nothing_comes_and_ends_with_its_consumer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs nothing on an idle stack, and is not left behind."""
    earlier = standbys()
    broker = rig.engine_broker(policy=QUICK)
    acting = Acting(broker)
    worker = rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    one_by_one(rig, broker, acting, [b"a"])
    inline = broker._consumers[QUEUE]._inline
    assert len([thread for thread in standbys() if thread not in earlier]) == 1
    wait_until(lambda: not inline._watched)
    looks: list[bool] = []
    takes_long = inline._takes_long

    def looking() -> bool:
        looks.append(takes_long())
        return looks[-1]

    monkeypatch.setattr(inline, "_takes_long", looking)
    time.sleep(0.3)
    assert not looks
    rig.stop(worker)
    wait_until(lambda: not standbys())


def test_standby_does_not_spin_while_the_process_drains(rig: Rig) -> None:
    """Nothing more is fetched then, and what runs needs the interpreter."""
    opened, broker, _, worker = hung_inline(rig)
    stopping = threading.Thread(target=rig.stop, args=(worker,))
    stopping.start()
    wait_until(lambda: broker.held_messages.stopping)
    looks, since = counted_looks(broker), time.monotonic()
    time.sleep(0.5)
    assert looks.count < 100 * (time.monotonic() - since)
    opened.set()
    stopping.join(10)
    assert (rig.length(), rig.pending()) == (0, {})


def test_stop_takes_its_time_once(rig: Rig) -> None:
    """However many messages hang, and wherever: all are handed back, uncounted, in the time given."""
    opened = threading.Event()
    broker = rig.engine_broker(policy=QUICK, lease_s=30.0)
    acting = Acting(broker, hanging(opened, b"slow", b"long"))
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=THREADS)
    worker.start()
    warm_up(rig, broker, acting)
    for payload in (b"slow", b"long"):
        rig.send(broker, payload)
        wait_until(lambda: acting.begun[-1] not in acting.done and len(acting.begun) > LONE_IN_A_ROW)
    wait_until(lambda: {b"slow", b"long"} <= set(acting.begun))
    assert acting.fetching_thread[b"slow"] is True
    # Dramatiq alone would wait eight seconds: four for its threads, four for the one that fetches.
    ended = broker.stop(worker, within_s=4.0)
    assert not ended
    assert [deliveries for _, deliveries in rig.pending().values()] == [0, 0]
    opened.set()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "stop"])


def test_stop_waits_for_an_inline_message(rig: Rig) -> None:
    """A worker that is told to stop finishes the message on its fetching thread."""
    opened, broker, acting, worker = hung_inline(rig)
    stopping = threading.Thread(target=rig.stop, args=(worker,))
    stopping.start()
    wait_until(lambda: broker.held_messages.stopping)
    opened.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert (acting.done[-1], rig.length(), rig.pending()) == (b"slow", 0, {})


def test_stop_hands_back_a_message_inline_that_does_not_end(rig: Rig) -> None:
    """What is not finished in time goes back to the queue, uncounted."""
    opened, _, _, worker = hung_inline(rig)
    rig.stop(worker, timeout_ms=300)
    assert [deliveries for _, deliveries in rig.pending().values()] == [0]
    opened.set()


def test_standby_survives_an_error(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while it fetches for others is logged; it still fetches beside the next slow message."""
    opened = threading.Event()
    # What was lost is handed back after a second.
    broker = rig.engine_broker(policy=QUICK, timing=Timing())
    acting = Acting(broker, hanging(opened, b"slow", b"slow1"))
    rig.work(broker, threads=THREADS)
    warm_up(rig, broker, acting)
    errors: list[str] = []
    monkeypatch.setattr(inline_processor.log, "error", lambda event, **values: errors.append(event))
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
