"""How much a process takes, and what it lets go of."""

from __future__ import annotations

import threading

from flowengine.broker.delivery import Delivery
from flowengine.broker.in_flight import AHEAD_AT_MOST, InFlight
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.wire import PAYLOAD
from tests.support.broker_rig import make_assembler
from tests.support.waiting import wait_until

POLICIES = {"act": ActorPolicy()}


def fetch(in_flight: InFlight, number: int, *, first: int = 1, deliveries: int = 1) -> list[Delivery]:
    """So many deliveries of one entry each, held."""
    assembler = make_assembler(POLICIES, release=in_flight.release)
    fields = [b"a", b"act", PAYLOAD, b"{}"]
    raw = [((b"%d-0" % at, fields), deliveries) for at in range(first, first + number)]
    found = assembler.assemble(raw).deliveries
    in_flight.hold(found)
    return found


def opened(threads: int) -> InFlight:
    """A process of so many threads that has just begun."""
    in_flight = InFlight()
    in_flight.open(threads)
    return in_flight


def warmed(threads: int) -> InFlight:
    """A process of so many threads whose messages have been quick."""
    in_flight = opened(threads)
    for delivery in fetch(in_flight, 30, first=1000):
        in_flight.start(delivery)
        in_flight.finish(delivery)
    return in_flight


def test_new_process_takes_one_message_a_thread() -> None:
    """Before anything is known of the pace, nothing is fetched ahead."""
    in_flight = opened(4)
    assert in_flight.wait_for_room(join=1, within_s=0) == 4
    fetch(in_flight, 3)
    assert in_flight.wait_for_room(join=1, within_s=0) == 1


def test_quick_messages_are_fetched_ahead() -> None:
    """Where messages are quick, a few more than there are threads are taken."""
    in_flight = warmed(4)
    assert in_flight.wait_for_room(join=1, within_s=0) == 4 + 4 * AHEAD_AT_MOST


def test_busy_process_has_no_room_for_joined_messages() -> None:
    """A joining queue is not read while every thread has its delivery: what waits makes a larger batch."""
    in_flight = warmed(2)
    assert in_flight.wait_for_room(join=64, within_s=0) == 64
    fetch(in_flight, 2)
    assert in_flight.wait_for_room(join=64, within_s=0) == 0


def test_finishing_makes_room_and_lets_go_of_the_lease() -> None:
    """A finished delivery frees its thread and is renewed no more."""
    in_flight = opened(1)
    [delivery] = fetch(in_flight, 1)
    assert in_flight.start(delivery)
    assert in_flight.held_ids("q") == {b"1-0"}
    in_flight.finish(delivery)
    assert in_flight.held_ids("q") == set()
    assert in_flight.wait_for_room(join=1, within_s=0) >= 1


def test_confirmed_entry_is_renewed_no_more_though_its_thread_goes_on() -> None:
    """Once its transaction has succeeded, an entry is let go of at once."""
    in_flight = opened(1)
    [delivery] = fetch(in_flight, 1)
    in_flight.start(delivery)
    delivery.confirm([0])
    assert in_flight.held_ids("q") == set()
    assert in_flight.wait_for_room(join=1, within_s=0) == 0


def test_delivery_given_back_does_not_start() -> None:
    """What was handed back before a thread came to it must not run here."""
    in_flight = opened(1)
    [delivery] = fetch(in_flight, 1)
    assert in_flight.give_back([delivery]) == [delivery]
    assert not in_flight.start(delivery)


def test_running_delivery_is_given_back_only_when_asked_for() -> None:
    """A running delivery stays, unless the process ends."""
    in_flight = opened(1)
    [delivery] = fetch(in_flight, 1)
    in_flight.start(delivery)
    assert in_flight.give_back([delivery]) == []
    assert in_flight.give_back([delivery], even_running=True) == [delivery]


def test_one_suspect_at_a_time() -> None:
    """While an entry that was delivered before is in hand, no other is admitted."""
    in_flight = opened(1)
    [delivery] = fetch(in_flight, 1, deliveries=2)
    assert not in_flight.admit_suspect("q")
    delivery.confirm([0])
    assert in_flight.admit_suspect("q")


def test_two_queues_do_not_both_admit_a_suspect() -> None:
    """Between the admission and the fetch, another queue's consumer is refused."""
    in_flight = opened(1)
    assert in_flight.admit_suspect("q")
    assert not in_flight.admit_suspect("other")
    in_flight.end_admission("q")
    assert in_flight.admit_suspect("other")


def test_entry_delivered_again_is_not_let_go_of_by_its_first_delivery() -> None:
    """A late end of an older delivery leaves the newer delivery's lease alone."""
    in_flight = opened(2)
    [older] = fetch(in_flight, 1)
    in_flight.start(older)
    fetch(in_flight, 1, deliveries=2)
    in_flight.finish(older)
    assert in_flight.held_ids("q") == {b"1-0"}


class Waiting:
    """Consumers of several queues that wait for a thread of their process."""

    def __init__(self, in_flight: InFlight, count: int) -> None:
        self.rooms: list[int] = []
        self._count = count
        for _ in range(count):
            threading.Thread(target=self._wait, args=(in_flight,), daemon=True).start()
        wait_until(lambda: len(in_flight._sleepers) == count)

    def _wait(self, in_flight: InFlight) -> None:
        self.rooms.append(in_flight.wait_for_room(join=64, within_s=60))

    def end(self) -> list[int]:
        """How much room each was told of, long before it would have looked by itself."""
        wait_until(lambda: len(self.rooms) == self._count)
        return self.rooms


def test_every_consumer_looks_when_a_thread_becomes_free() -> None:
    """The first to look may have an empty queue while another's message waits."""
    in_flight = warmed(1)
    [delivery] = fetch(in_flight, 1)
    in_flight.start(delivery)
    waiting = Waiting(in_flight, 3)
    in_flight.finish(delivery)
    rooms = waiting.end()
    assert len(rooms) == 3
    assert all(room > 0 for room in rooms)


def test_what_is_given_back_makes_room() -> None:
    """Its thread is free for something else at once."""
    in_flight = warmed(1)
    [delivery] = fetch(in_flight, 1)
    waiting = Waiting(in_flight, 1)
    in_flight.give_back([delivery])
    assert waiting.end() == [64]


def test_stop_ends_every_wait() -> None:
    """Whoever waits for room goes home."""
    in_flight = warmed(1)
    fetch(in_flight, 1)
    waiting = Waiting(in_flight, 2)
    in_flight.stop()
    assert waiting.end() == [0, 0]


def test_stopped_process_has_no_room() -> None:
    """Nothing is taken once the process stops."""
    in_flight = opened(4)
    in_flight.stop()
    assert in_flight.wait_for_room(join=1, within_s=0) == 0
