"""Deadlines: a node whose worker hangs or is gone fails in time, and only then."""

from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from flowengine.engine.advancing.orchestrator import LAST_DELIVERY
from flowengine.execution.rules.deadlines import BACKSTOP_MARGIN_MS
from flowengine.queues import stream_key
from flowengine.store import keys, task_states
from tests.support.checks.invariants import CheckEverything
from tests.support.faults import Gate
from tests.support.rigs.harness import Harness, failing_in, plan_of

DEADLINES = keys.of().deadlines
CHAIN = {"a": (), "b": ("a",)}


def hanging(harness: Harness) -> str:
    """An execution whose node `a` was begun by a worker that hangs: it keeps its lease and says nothing."""
    execution = harness.begin(plan_of(CHAIN, timeout_ms=2000))
    harness.start_executions()
    worker = harness.workers[0]

    def die(context: object) -> None:
        worker.line.dead = True

    harness.script = die
    task = harness.task_of("a")
    assert not harness.deliver(worker, task)
    assert harness.deaths == 1
    harness.still_holding(task)
    harness.script = failing_in(9)
    return execution


def fired(harness: Harness) -> list[bytes]:
    """The timer messages that wait."""
    return [entry.payload for entry in harness.waiting("orchestrator") if entry.actor == "timer_fired"]


def test_a_start_arms_the_deadline(harness: Harness) -> None:
    """The backstop fires a lease and a margin after the timeout, counted from the start of the delivery."""
    execution = hanging(harness)
    ((member, due),) = harness.client.zrange(DEADLINES, 0, -1, withscores=True)
    assert member.decode() == f"{execution}|1|a|1"
    begun = int(harness.client.hget(keys.of().started(execution), "a:1").split(b":")[1])
    assert due - begun == 2000 + int(harness.settings.lease_s * 1000) + BACKSTOP_MARGIN_MS


def test_a_timer_that_is_not_due_stays(harness: Harness) -> None:
    """Nothing is sent before its time."""
    hanging(harness)
    harness.fire_timers()
    assert not fired(harness)


def test_an_overdue_node_fails_with_a_timeout(harness: Harness, check_invariants: CheckEverything) -> None:
    """Even if its worker is gone; what depends on it fails because of it, and the execution ends."""
    execution = hanging(harness)
    harness.make_overdue(execution, "a", 1)
    harness.fire_timers()
    (task,) = harness.tasks()
    for entry in harness.waiting("orchestrator"):
        assert harness.deliver(harness.orchestrators[0], entry)
    errors = harness.api.executions.results(execution).errors
    assert (errors["a"].code, errors["b"].code, errors["b"].caused_by) == ("timeout", "upstream_failed", "a")
    assert harness.deliver(harness.workers[0], task)
    assert [stored.status for stored in check_invariants()] == ["failed"]


def let_time_pass(harness: Harness, execution: str) -> None:
    """The deadline passes, its timer fires, and an orchestrator deals with it."""
    harness.make_overdue(execution, "a", 1)
    harness.fire_timers()
    for entry in harness.waiting("orchestrator"):
        if entry.actor == "timer_fired":
            assert harness.deliver(harness.orchestrators[0], entry)


def is_armed(harness: Harness) -> bool:
    """Whether the one timer will fire, and not before a lease has passed."""
    ((_, due),) = harness.client.zrange(DEADLINES, 0, -1, withscores=True)
    seconds, _ = harness.client.time()
    return bool(due > seconds * 1000)


@pytest.mark.proves("deadline-in-queue")
@pytest.mark.parametrize("deliveries", [0, 2])
def test_a_node_that_waits_to_be_delivered_again_is_not_overdue(
    harness: Harness, check_invariants: CheckEverything, deliveries: int
) -> None:
    """Handed back uncounted when its worker was told to stop, or taken over by a process that is busy."""
    execution = hanging(harness)
    task = harness.task_of("a")
    harness.still_holding(msgspec.structs.replace(task, deliveries=deliveries))
    let_time_pass(harness, execution)
    assert harness.statuses(execution)["a"] == "queued"
    assert is_armed(harness)
    harness.still_holding(task)
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


def test_a_lapsed_node_waits_as_long_as_there_is_a_worker(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Who is busy now will take it over."""
    execution = hanging(harness)
    harness.lapse(harness.task_of("a"))
    let_time_pass(harness, execution)
    assert harness.statuses(execution)["a"] == "queued"
    assert is_armed(harness)
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("worker-gone")
def test_a_lapsed_node_fails_where_no_worker_is_left(
    harness: Harness, check_invariants: CheckEverything, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker is gone, and so is everyone who could take it over."""
    execution = hanging(harness)
    harness.lapse(harness.task_of("a"))
    monkeypatch.setattr(task_states, "ALIVE_MS", -1)
    let_time_pass(harness, execution)
    assert harness.api.executions.results(execution).errors["a"].code == "timeout"
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["failed"]


@pytest.mark.proves("deadline-before-callback")
def test_an_outcome_that_waits_to_be_applied_was_in_time(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The orchestrators were away or behind when the deadline passed."""
    execution = hanging(harness)
    harness.run_tasks("a")
    let_time_pass(harness, execution)
    assert harness.statuses(execution)["a"] == "queued"
    assert is_armed(harness)
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


def test_a_timer_whose_start_was_taken_back_is_dropped(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The next delivery arms one of its own."""
    execution = hanging(harness)
    harness.client.delete(keys.of().started(execution))
    let_time_pass(harness, execution)
    assert not harness.client.exists(DEADLINES)
    assert harness.statuses(execution)["a"] == "queued"
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.corrupts("a queue is lost with its data")
def test_a_timer_of_a_lost_queue_waits_for_the_sweep(harness: Harness) -> None:
    """It is no timeout that the server has lost its data."""
    execution = hanging(harness)
    harness.client.delete(stream_key("worker"))
    let_time_pass(harness, execution)
    assert harness.statuses(execution)["a"] == "queued"
    assert is_armed(harness)


def test_a_timer_that_cannot_be_dealt_with_is_let_go_of(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After several tries: it would keep the queue from ever being empty."""
    execution = hanging(harness)
    harness.make_overdue(execution, "a", 1)
    harness.fire_timers()

    def fail(*arguments: object) -> None:
        raise ValueError("on purpose")

    process = harness.orchestrators[0]
    monkeypatch.setattr(process.state, "task_state", fail)
    (entry,) = (e for e in harness.waiting("orchestrator") if e.actor == "timer_fired")
    with pytest.raises(ValueError, match="on purpose"):
        harness.deliver(process, entry)
    assert harness.deliver(process, msgspec.structs.replace(entry, deliveries=LAST_DELIVERY))
    assert not fired(harness)


@pytest.mark.proves("timer-twice")
def test_a_timer_sent_twice_counts_once(harness: Harness, check_invariants: CheckEverything) -> None:
    """Two timer loops may both send it."""
    execution = hanging(harness)
    harness.make_overdue(execution, "a", 1)
    harness.fire_timers()
    (entry,) = (e for e in harness.waiting("orchestrator") if e.actor == "timer_fired")
    first, second = harness.orchestrators[0], harness.second_orchestrator()

    def meanwhile() -> None:
        assert harness.deliver(second, entry)

    first.state.between = meanwhile
    assert harness.deliver(first, entry)
    assert harness.api.executions.status(execution).status == "failed"
    harness.drain()
    check_invariants()


@pytest.mark.proves("timer-early")
def test_a_timer_whose_time_has_moved_is_armed_again(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """A newer delivery has begun meanwhile: it has its whole time."""
    execution = hanging(harness)
    harness.client.zadd(DEADLINES, {f"{execution}|1|a|1": 1})
    harness.fire_timers()
    assert len(fired(harness)) == 1
    for entry in harness.waiting("orchestrator"):
        assert harness.deliver(harness.orchestrators[0], entry)
    assert harness.statuses(execution)["a"] == "queued"
    ((_, due),) = harness.client.zrange(DEADLINES, 0, -1, withscores=True)
    assert due > 1
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.parametrize("at", range(1, 24))
def test_an_orchestrator_that_dies_over_a_timer_leaves_nothing_undone(
    harness: Harness, check_invariants: CheckEverything, at: int
) -> None:
    """Wherever it dies: the execution ends when the timer's message comes again."""
    execution = hanging(harness)
    harness.make_overdue(execution, "a", 1)
    harness.fire_timers()
    process = harness.orchestrators[0]
    process.line.gate = Gate(at=at, way="die_after")
    for entry in harness.waiting("orchestrator"):
        harness.deliver(process, entry)
    (left,) = harness.tasks()
    for entry in harness.waiting("orchestrator"):
        assert harness.deliver(process, entry)
    assert harness.api.executions.status(execution).status == "failed"
    assert harness.deliver(harness.workers[0], left)
    check_invariants()


@pytest.mark.corrupts("a running execution expires")
def test_a_timer_of_an_expired_execution_is_harmless(harness: Harness) -> None:
    """It clears away what a late start may have written, and is gone."""
    execution = hanging(harness)
    harness.make_overdue(execution, "a", 1)
    harness.fire_timers()
    for key in harness.client.keys(f"fe:x:{execution}:*"):
        if not key.endswith(b":started"):
            harness.client.delete(key)
    for entry in harness.waiting("orchestrator"):
        assert harness.deliver(harness.orchestrators[0], entry)
    assert not harness.client.keys(f"fe:x:{execution}:*")
    assert not fired(harness)


@pytest.mark.proves("timer-odd")
@pytest.mark.parametrize("member", ["nonsense", "x|²|n|1", "x|1|n|", b"\xff|1|n|1", "x|1|n|1|1"])
def test_a_member_that_is_no_timer_is_set_aside_alone(harness: Harness, member: str | bytes) -> None:
    """What cannot be read does not come back for ever, and holds up no other."""
    execution = hanging(harness)
    harness.make_overdue(execution, "a", 1)
    harness.client.zadd(DEADLINES, {member: 0})
    with capture_logs() as logs:
        harness.fire_timers()
    assert not harness.client.exists(DEADLINES)
    assert len(fired(harness)) == 1
    assert harness.client.zcard(keys.of().odd_timers) == harness.orchestrators[0].timers.set_aside == 1
    assert [line["event"] for line in logs] == ["timers.set_aside"]
    harness.client.delete(keys.of().odd_timers)


def test_a_timer_loop_that_dies_after_it_read_loses_no_timer(harness: Harness) -> None:
    """A timer leaves the set in the transaction that sends its message."""
    execution = hanging(harness)
    harness.make_overdue(execution, "a", 1)
    process = harness.orchestrators[0]
    for at in range(1, 8):
        process.line.gate = Gate(at=at, way="die_before")
        try:
            process.timers.fire_due()
        except SystemExit:
            process.reborn()
        armed = harness.client.zcard(DEADLINES)
        assert armed + len(fired(harness)) == 1
    process.line.gate = Gate()
    harness.fire_timers()
    assert [msgspec.json.decode(payload)["node"] for payload in fired(harness)] == ["a"]
