"""What the consumer makes of raw stream entries."""

from __future__ import annotations

from flowengine.broker.assembler import JOINED_BYTES, Assembled
from flowengine.broker.delivery import Delivery
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.wire import PAYLOAD
from flowengine.execution.rules.deadlines import worker_lost
from tests.support.rigs.broker_rig import make_assembler

POLICIES = {
    "join": ActorPolicy(join=3),
    "single": ActorPolicy(),
    "choosy": ActorPolicy(join=3, may_join=lambda payload: payload.startswith(b"quick")),
    "limited": ActorPolicy(on_dead=lambda task, starts: worker_lost(task, starts, 0)),
}


def assemble(*entries: tuple[str, bytes, int]) -> Assembled:
    """Entries of actor, payload and delivery count, numbered from 1-0."""
    raw = [
        ((b"%d-0" % number, [b"a", actor.encode(), PAYLOAD, payload]), count)
        for number, (actor, payload, count) in enumerate(entries, 1)
    ]
    return make_assembler(POLICIES, threads=16).assemble(raw)


def lists(assembled: Assembled) -> list[tuple[str, list[bytes]]]:
    """Each delivery's actor and payloads."""
    return [(delivery.actor_name, delivery.args[0]) for delivery in assembled.deliveries]


def counts(delivery: Delivery) -> tuple[int, ...]:
    """How often each of its entries has been delivered."""
    return tuple(entry.deliveries for entry in delivery.entries)


def test_entries_of_a_joining_actor_are_joined_up_to_its_limit() -> None:
    """Four entries of an actor that joins three make one list of three and one of one."""
    found = assemble(*[("join", b"%d" % number, 1) for number in range(4)])
    assert lists(found) == [("join", [b"0", b"1", b"2"]), ("join", [b"3"])]


def test_entries_of_other_actors_in_between_do_not_part_a_batch() -> None:
    """Entries of one actor are joined across those of another, which keep their place."""
    found = assemble(("join", b"a", 1), ("single", b"b", 1), ("join", b"c", 1), ("single", b"d", 1))
    assert lists(found) == [("join", [b"a", b"c"]), ("single", [b"b"]), ("single", [b"d"])]


def test_redelivered_entry_travels_alone() -> None:
    """An entry that was delivered before is not joined: it may be what broke its batch."""
    found = assemble(("join", b"a", 1), ("join", b"b", 2), ("join", b"c", 1))
    assert lists(found) == [("join", [b"a", b"c"]), ("join", [b"b"])]
    assert [counts(delivery) for delivery in found.deliveries] == [(1, 1), (2,)]


def test_joined_payloads_stay_within_their_bytes() -> None:
    """A payload that would take the batch over the limit begins the next one; a huge one goes alone."""
    half = b"x" * (JOINED_BYTES // 2)
    huge = b"y" * (JOINED_BYTES + 1)
    found = assemble(("join", half, 1), ("join", half, 1), ("join", b"z", 1), ("join", huge, 1))
    assert [len(payloads) for _, payloads in lists(found)] == [2, 1, 1]


def test_exhausted_entry_is_told_apart_where_its_actor_limits_deliveries() -> None:
    """Beyond the limit, an entry of a limited actor is not delivered; one of another actor is."""
    found = assemble(("limited", b"a", 3), ("limited", b"b", 4), ("single", b"c", 4))
    assert lists(found) == [("limited", [b"a"]), ("single", [b"c"])]
    assert [entry.payload for entry in found.exhausted] == [b"b"]


def test_delivery_is_named_by_its_entry_and_never_shows_its_payload() -> None:
    """Dramatiq logs deliveries as text: actor and entry, no content."""
    [delivery] = assemble(("join", b"secret", 1), ("join", b"secret", 1)).deliveries
    assert str(delivery) == "join(1-0 and 1 more)"
    assert (delivery.message_id, delivery.message_timestamp) == ("1-0", 1)


def test_a_choosy_actor_gets_only_lists_of_what_it_chose() -> None:
    """What may not be joined travels alone, and so does what was delivered before."""
    found = assemble(("choosy", b"quick 1", 1), ("choosy", b"slow", 1), ("choosy", b"quick 2", 2))
    assert sorted(lists(found)) == [
        ("choosy", [b"quick 1"]),
        ("choosy", [b"quick 2"]),
        ("choosy", [b"slow"]),
    ]


def test_what_a_choosy_actor_chose_goes_alone_when_it_comes_again() -> None:
    """Its worker may have died of it: nobody shares its next start."""
    made = (1, 2, 1, 1, 2, 1)
    found = assemble(*[("choosy", b"quick %d" % number, count) for number, count in enumerate(made)])
    assert sorted(counts(delivery) for delivery in found.deliveries) == [(1, 1), (1, 1), (2,), (2,)]


def test_what_a_choosy_actor_chose_is_shared_out_between_two_threads() -> None:
    """Four quick ones are two lists of two, not one of three and one of one."""
    found = assemble(*[("choosy", b"quick %d" % number, 1) for number in range(4)])
    assert lists(found) == [
        ("choosy", [b"quick 0", b"quick 1"]),
        ("choosy", [b"quick 2", b"quick 3"]),
    ]
