"""Queues that an execution has of its own: its processes say that they serve them, and serve no others."""

from __future__ import annotations

from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.wire import ACTOR, PAYLOAD
from flowengine.execution.rules.deadlines import worker_lost
from flowengine.queues import GROUP, ORCHESTRATOR_QUEUE, own_queues_key, stream_key
from tests.support.rigs.broker_rig import LEASE_S, QUEUE, Rig, Seen, encoded
from tests.support.waiting import wait_until

OWNER = "0" * 27
OWN = stream_key(QUEUE, owner=OWNER)
LEASES = own_queues_key()
MEMBER = f"{QUEUE}@{OWNER}"


def working(rig: Rig) -> Seen:
    """What a process of the execution has got so far."""
    broker, seen = rig.engine_broker(owner=OWNER), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    return seen


def send_own(rig: Rig, payload: bytes, actor: str = "act") -> None:
    """A message in its own queue."""
    rig.client.execute_command("XADD", OWN, "*", ACTOR, actor, PAYLOAD, payload)


def until(rig: Rig) -> float:
    """When the lease of its queue ends, in milliseconds; 0 where it has none."""
    return float(rig.client.zscore(LEASES, MEMBER) or 0)


def now(rig: Rig) -> float:
    """The server's time in milliseconds."""
    seconds, microseconds = rig.client.time()
    return float(seconds * 1000 + microseconds / 1000)


def test_a_process_serves_its_own_queue_and_no_other(rig: Rig) -> None:
    """Others' messages of the same name stay where they are."""
    rig.send(rig.broker(), b"theirs")
    seen = working(rig)
    send_own(rig, b"mine")
    wait_until(lambda: seen.payloads == [b"mine"] and rig.client.xlen(OWN) == 0)
    assert (rig.length(), rig.pending()) == (1, {})


def test_its_lease_begins_before_there_is_a_queue_and_is_kept(rig: Rig) -> None:
    """A queue that nobody knows of would be found by no sweep."""
    working(rig)
    wait_until(lambda: rig.client.exists(OWN))
    first = until(rig)
    assert 0 < first <= now(rig) + LEASE_S * 1000
    wait_until(lambda: until(rig) > first + LEASE_S * 1000, what="it has been renewed for a lease")


def test_a_process_that_was_given_up_has_its_queue_again(rig: Rig) -> None:
    """It stood still for longer than its lease. What it is sent from now on is found by a sweep as well."""
    seen = working(rig)
    wait_until(lambda: rig.client.exists(OWN))
    rig.client.delete(OWN, LEASES)
    wait_until(lambda: until(rig) > 0 and rig.client.exists(OWN))
    send_own(rig, b"more")
    wait_until(lambda: seen.payloads == [b"more"])


def test_what_kills_its_processes_is_buried_with_all_others(rig: Rig) -> None:
    """Its dead letter is where operators look; its own orchestrator is told."""
    policy = ActorPolicy(on_dead=lambda task, starts: worker_lost(task, starts, 0))
    broker, seen = rig.engine_broker("run_node", policy=policy, owner=OWNER), Seen()
    rig.actor(broker, seen, name="run_node")
    send_own(rig, encoded(), actor="run_node")
    rig.client.xgroup_create(OWN, GROUP, "0")
    rig.client.execute_command(b"XREADGROUP", "GROUP", GROUP, "gone", "STREAMS", OWN, ">")
    [row] = rig.client.xpending_range(OWN, GROUP, "-", "+", 1)
    rig.client.xclaim(OWN, GROUP, "gone", 0, [row["message_id"]], retrycount=3, justid=True)
    rig.work(broker)
    wait_until(lambda: len(rig.dead()) == 1)
    assert rig.client.xlen(stream_key(ORCHESTRATOR_QUEUE, owner=OWNER)) == 1
    assert (rig.length(ORCHESTRATOR_QUEUE), seen.calls) == (0, [])


def test_what_it_does_not_understand_waits_beside_its_own_queue(rig: Rig) -> None:
    """It is handed over from there with the rest."""
    working(rig)
    send_own(rig, b"x", actor="newer")
    wait_until(lambda: rig.client.xlen(f"{OWN}:later") == 1)
    assert rig.put_off() == []
