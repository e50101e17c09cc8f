"""How many messages a process fetches, and which it holds no longer."""

from __future__ import annotations

import threading

from flowengine.broker.delivery import Delivery
from flowengine.broker.held_messages import HeldMessages
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.wire import PAYLOAD
from flowengine.heuristics import FETCHED_AHEAD
from tests.support.rigs.broker_rig import make_assembler
from tests.support.waiting import wait_until

POLICIES = {"act": ActorPolicy()}


def fetch(
    held_messages: HeldMessages,
    number: int,
    *,
    first: int = 1,
    deliveries: int = 1,
    needs_thread: bool = True,
) -> list[Delivery]:
    """So many deliveries of one entry each, held."""
    assembler = make_assembler(POLICIES, release=held_messages.release)
    fields = [b"a", b"act", PAYLOAD, b"{}"]
    raw = [((b"%d-0" % at, fields), deliveries) for at in range(first, first + number)]
    found = assembler.assemble(raw).deliveries
    held_messages.hold(found, needs_thread=needs_thread)
    return found


def opened(threads: int) -> HeldMessages:
    """A process of so many threads that has just begun."""
    held_messages = HeldMessages()
    held_messages.open(threads)
    return held_messages


def warmed(threads: int) -> HeldMessages:
    """A process of so many threads whose messages have been quick."""
    held_messages = opened(threads)
    for delivery in fetch(held_messages, 30, first=1000):
        held_messages.start(delivery)
        held_messages.finish(delivery)
    return held_messages


def test_new_process_takes_one_message_a_thread() -> None:
    """Before it is known how long messages take, nothing is fetched ahead."""
    held_messages = opened(4)
    assert held_messages.wait_to_fetch(join=1, within_s=0) == 4
    fetch(held_messages, 3)
    assert held_messages.wait_to_fetch(join=1, within_s=0) == 1


def test_quick_messages_are_fetched_ahead() -> None:
    """Where messages are quick, a few more than there are threads are taken."""
    held_messages = warmed(4)
    assert held_messages.wait_to_fetch(join=1, within_s=0) == 4 + 4 * FETCHED_AHEAD


def test_busy_process_fetches_nothing_to_join() -> None:
    """A joining queue is not read while every thread has its delivery: what waits makes a larger batch."""
    held_messages = warmed(2)
    assert held_messages.wait_to_fetch(join=64, within_s=0) == 64
    fetch(held_messages, 2)
    assert held_messages.wait_to_fetch(join=64, within_s=0) == 0


def test_a_finished_delivery_frees_its_thread_and_its_lease() -> None:
    """A finished delivery frees its thread and is renewed no more."""
    held_messages = opened(1)
    [delivery] = fetch(held_messages, 1)
    assert held_messages.start(delivery)
    assert held_messages.held_ids("q") == {b"1-0"}
    held_messages.finish(delivery)
    assert held_messages.held_ids("q") == set()
    assert held_messages.wait_to_fetch(join=1, within_s=0) >= 1


def test_confirmed_entry_is_renewed_no_more_though_its_thread_goes_on() -> None:
    """Once its transaction has succeeded, an entry is held no longer."""
    held_messages = opened(1)
    [delivery] = fetch(held_messages, 1)
    held_messages.start(delivery)
    delivery.confirm([0])
    assert held_messages.held_ids("q") == set()
    assert held_messages.wait_to_fetch(join=1, within_s=0) == 0


def test_withdrawn_delivery_does_not_start() -> None:
    """What was handed back before a thread came to it must not run here."""
    held_messages = opened(1)
    [delivery] = fetch(held_messages, 1)
    assert held_messages.withdraw([delivery]) == [delivery]
    assert not held_messages.start(delivery)


def test_running_delivery_is_withdrawn_only_when_asked_for() -> None:
    """A running delivery stays, unless the process ends."""
    held_messages = opened(1)
    [delivery] = fetch(held_messages, 1)
    held_messages.start(delivery)
    assert held_messages.withdraw([delivery]) == []
    assert held_messages.withdraw([delivery], even_running=True) == [delivery]


def test_one_suspect_at_a_time() -> None:
    """While an entry that was delivered before is in hand, no other is admitted."""
    held_messages = opened(1)
    [delivery] = fetch(held_messages, 1, deliveries=2)
    assert held_messages.admit_suspects("q").most == 0
    delivery.confirm([0])
    assert held_messages.admit_suspects("q") == (1, True)


def test_two_queues_do_not_both_admit_suspects() -> None:
    """Between the admission and the fetch, another queue's consumer is refused."""
    held_messages = opened(1)
    assert held_messages.admit_suspects("q").most == 1
    assert held_messages.admit_suspects("other").most == 0
    held_messages.end_admission("q")
    assert held_messages.admit_suspects("other").most == 1


def test_an_entry_whose_lease_is_lost_says_so() -> None:
    """Who works on it learns that it is another's by now."""
    held_messages = opened(1)
    [delivery] = fetch(held_messages, 1)
    assert not delivery.is_lost(0)
    held_messages.forget("q", [delivery.entries[0].id])
    assert delivery.is_lost(0)
    assert held_messages.held_ids("q") == set()


def test_what_keeps_much_in_memory_leaves_room_for_less() -> None:
    """By what the newest have kept; none beyond the bound, and one in any case."""
    held_messages = HeldMessages(async_bytes=1000)
    held_messages.open(1, 100)

    def room() -> int:
        return held_messages.wait_for_room(within_s=0)

    assert room() == 100
    heavy = fetch(held_messages, 2, needs_thread=False)
    assert room() == 98
    for _ in range(30):
        held_messages.weigh(heavy[0], 400)
    assert 1 <= room() <= 2
    held_messages.weigh(heavy[1], 700)
    assert (room(), held_messages.keeps_too_much) == (0, True)
    held_messages.finish(heavy[1])
    assert (room() >= 1, held_messages.keeps_too_much) == (True, False)
    held_messages.withdraw(heavy, even_running=True)
    assert room() == 100


def test_entry_delivered_again_is_not_let_go_of_by_its_first_delivery() -> None:
    """A late end of an older delivery leaves the newer delivery's lease alone."""
    held_messages = opened(2)
    [older] = fetch(held_messages, 1)
    held_messages.start(older)
    fetch(held_messages, 1, deliveries=2)
    held_messages.finish(older)
    assert held_messages.held_ids("q") == {b"1-0"}


class Waiting:
    """Consumers of several queues that wait for a thread of their process."""

    def __init__(self, held_messages: HeldMessages, count: int) -> None:
        self.told: list[int] = []
        self._count = count
        for _ in range(count):
            threading.Thread(target=self._wait, args=(held_messages,), daemon=True).start()
        wait_until(lambda: len(held_messages._sleepers) == count)

    def _wait(self, held_messages: HeldMessages) -> None:
        self.told.append(held_messages.wait_to_fetch(join=64, within_s=60))

    def end(self) -> list[int]:
        """How many entries each may fetch, told long before it would have looked by itself."""
        wait_until(lambda: len(self.told) == self._count)
        return self.told


def test_every_consumer_looks_when_a_thread_becomes_free() -> None:
    """The first to look may have an empty queue while another's message waits."""
    held_messages = warmed(1)
    [delivery] = fetch(held_messages, 1)
    held_messages.start(delivery)
    waiting = Waiting(held_messages, 3)
    held_messages.finish(delivery)
    told = waiting.end()
    assert len(told) == 3
    assert all(fetchable > 0 for fetchable in told)


def test_a_withdrawn_delivery_frees_its_thread() -> None:
    """Its thread is free for something else at once."""
    held_messages = warmed(1)
    [delivery] = fetch(held_messages, 1)
    waiting = Waiting(held_messages, 1)
    held_messages.withdraw([delivery])
    assert waiting.end() == [64]


def test_stop_ends_every_wait() -> None:
    """A thread that waits to fetch is told that nothing may be fetched."""
    held_messages = warmed(1)
    fetch(held_messages, 1)
    waiting = Waiting(held_messages, 2)
    held_messages.stop()
    assert waiting.end() == [0, 0]


def test_stopped_process_fetches_nothing() -> None:
    """Nothing is taken once the process stops."""
    held_messages = opened(4)
    held_messages.stop()
    assert held_messages.wait_to_fetch(join=1, within_s=0) == 0


def test_what_needs_no_thread_is_counted_apart() -> None:
    """Sync nodes leave room for async ones, and the other way round; what has ended makes room."""
    held_messages = HeldMessages()
    held_messages.open(2, concurrency=3)
    deliveries = fetch(held_messages, 2, needs_thread=False)
    assert held_messages.wait_to_fetch(join=1, within_s=0) == 2
    assert held_messages.wait_for_room(within_s=0) == 1
    fetch(held_messages, 2, first=10)
    assert held_messages.wait_to_fetch(join=1, within_s=0) == 0
    assert held_messages.wait_for_room(within_s=0) == 1
    held_messages.finish(deliveries[0])
    assert held_messages.wait_for_room(within_s=0) == 2


def test_a_node_may_leave_its_thread_while_there_is_room() -> None:
    """Its thread is free for another then; without room it keeps it. A stop waits for those that left."""
    held_messages = HeldMessages()
    held_messages.open(2, concurrency=1)
    first, second = fetch(held_messages, 2)
    assert held_messages.start(first)
    assert held_messages.start(second)
    assert held_messages.leave_thread(first)
    assert not held_messages.leave_thread(second)
    assert held_messages.wait_to_fetch(join=1, within_s=0) == 1
    assert not held_messages.wait_for_async(within_s=0)
    assert held_messages.withdraw(held_messages.all_async(), even_running=True) == [first]
    assert held_messages.wait_for_async(within_s=0)


def test_no_node_leaves_its_thread_in_a_process_that_stops() -> None:
    """The stop may have looked already for those that have left, and would hand back what still runs."""
    held_messages = HeldMessages()
    held_messages.open(1, concurrency=1)
    (delivery,) = fetch(held_messages, 1)
    assert held_messages.start(delivery)
    held_messages.stop()
    assert not held_messages.leave_thread(delivery)
