"""Nodes of which so many start in a time: who starts, who waits for how long, and what counts."""

from __future__ import annotations

import time

import pytest

from flowengine.execution.limits.starts import EXPECTED_AT
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Harness, plan_of

FAN = {"a": (), "b": (), "c": (), "d": ()}
MINUTE_MS = 60_000
STARTS = "fe:starts:r:api"


def limited(limit: int = 2, tries: int = 1) -> Plan:
    """Four nodes, of which so many start in a minute."""
    return plan_of(FAN, says=dict.fromkeys(FAN, Says(rate=(limit, MINUTE_MS, "api"), tries=tries)))


def settle(harness: Harness) -> None:
    """Deal with all that waits for orchestrators."""
    while waiting := harness.waiting("orchestrator"):
        for entry in waiting:
            harness.deliver(harness.orchestrators[0], entry)
    check_everything(harness.client)


def begin(harness: Harness, plan: Plan | None = None) -> str:
    """An execution of which those have started that may."""
    execution = harness.begin(plan or limited())
    settle(harness)
    return execution


def let_pass(harness: Harness, ms: int) -> None:
    """As if so long had passed since all starts that are known."""
    harness.starts_ago("r:api", ms)
    for line in harness.client.zrange("fe:timers:starts", 0, -1):
        harness.client.zadd("fe:timers:starts", {line: 1})
    harness.fire_timers()
    settle(harness)


def in_flight(harness: Harness, execution: str) -> list[str]:
    """The nodes whose task was sent and has not been reported."""
    return [node for node, status in harness.statuses(execution).items() if status == "queued"]


@pytest.mark.proves("starts-in-a-window")
def test_so_many_start_in_any_time(harness: Harness) -> None:
    """Together, if nothing has started; the next one once the first of these is so long ago."""
    execution = begin(harness)
    assert in_flight(harness, execution) == ["a", "b"]
    harness.run_tasks()
    settle(harness)
    assert [harness.statuses(execution)[node] for node in "cd"] == ["waiting", "waiting"]
    let_pass(harness, 0)
    (due,) = [at for _, at in harness.client.zrange("fe:timers:starts", 0, -1, withscores=True)]
    assert MINUTE_MS * 0.9 < due - harness.now() < MINUTE_MS * 1.1
    let_pass(harness, MINUTE_MS // 2)
    assert in_flight(harness, execution) == []
    let_pass(harness, MINUTE_MS)
    assert in_flight(harness, execution) == ["c", "d"]
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"


@pytest.mark.proves("starts-on-their-way")
def test_a_start_that_nobody_has_told_of_counts_as_to_come(harness: Harness) -> None:
    """However long its task waits for a worker: it would start beside those that follow."""
    execution = begin(harness)
    let_pass(harness, 10 * MINUTE_MS)
    assert in_flight(harness, execution) == ["a", "b"]
    harness.run_tasks("a")
    settle(harness)
    let_pass(harness, 2 * MINUTE_MS)
    assert in_flight(harness, execution) == ["b", "c"]


@pytest.mark.proves("starts-count-tries")
def test_each_try_counts_and_a_redelivery_does_not(harness: Harness) -> None:
    """A task that is delivered again has started once."""
    execution = begin(harness, limited(tries=2))

    def dies(context: Context) -> None:
        if context.node_id == "a" and context.attempt == 1:
            harness.workers[0].line.dead = True

    harness.script = dies
    (task,) = [entry for entry in harness.tasks() if b'"a"' in entry.payload]
    assert not harness.deliver(harness.workers[0], task)
    first = dict(harness.client.zrange(STARTS, 0, -1, withscores=True))

    def fails(context: Context) -> None:
        if context.node_id == "a" and context.attempt == 1:
            raise HandlerError("boom", "failed on purpose")

    harness.script = fails
    harness.run_tasks("a")
    again = dict(harness.client.zrange(STARTS, 0, -1, withscores=True))
    told = [member for member, at in again.items() if at < EXPECTED_AT]
    assert [first[member] for member in told] == [again[member] for member in told]
    settle(harness)
    harness.end_pauses()
    settle(harness)
    assert harness.statuses(execution)["a"] == "waiting"
    assert harness.client.lrange("fe:line:r:api", -1, -1)[0].startswith(f"{execution}|1|a|".encode())


@pytest.mark.proves("starts-held")
def test_a_service_that_is_called_too_often_holds_all_of_the_key(harness: Harness) -> None:
    """Until it may be called again, an hour at most; other keys go on."""
    execution = begin(harness, limited(3, tries=2))

    def refused(context: Context) -> None:
        if context.node_id == "a" and context.attempt == 1:
            raise HandlerError("http_status", "too often", status_code=429, retry_after_s=7200)

    harness.script = refused
    harness.run_tasks("a")
    settle(harness)
    held = harness.client.zscore(STARTS, "held")
    assert 3_500_000 < held - harness.now() < 3_700_000
    harness.run_tasks()
    settle(harness)
    let_pass(harness, 0)
    assert harness.statuses(execution)["d"] == "waiting"
    harness.client.zadd(STARTS, {"held": 1})
    let_pass(harness, 2 * MINUTE_MS)
    assert in_flight(harness, execution) == ["d"]


@pytest.mark.proves("starts-and-turns")
def test_a_node_with_both_limits_takes_its_turn_first(harness: Harness) -> None:
    """And holds its place while it waits to start."""
    says = dict.fromkeys(FAN, Says(limit=3, key="db", rate=(1, MINUTE_MS, "api")))
    execution = begin(harness, plan_of(FAN, says=says))
    assert in_flight(harness, execution) == ["a"]
    assert (harness.client.llen("fe:line:n:db"), harness.client.llen("fe:line:r:api")) == (4, 2)
    harness.run_tasks("a")
    settle(harness)
    assert (harness.client.llen("fe:line:n:db"), harness.client.llen("fe:line:r:api")) == (3, 3)
    harness.cancel(execution)
    settle(harness)
    assert not harness.client.keys("fe:line:*")


@pytest.mark.proves("starts-at-once")
def test_two_orchestrators_let_no_more_start_than_one(harness: Harness) -> None:
    """They look at the same line in the same moment: one of them decides anew."""
    execution = harness.begin(limited())
    for entry in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entry)
    other = harness.second_orchestrator()
    (moved,) = harness.waiting("orchestrator")
    harness.orchestrators[0].state.between = lambda: other.engine.lines.look("r:api", whole=True)
    harness.deliver(harness.orchestrators[0], moved)
    check_everything(harness.client)
    assert in_flight(harness, execution) == ["a", "b"]
    assert len(harness.tasks()) == 2


@pytest.mark.proves("starts-lost")
def test_a_start_of_a_node_that_is_not_in_flight_is_forgotten(harness: Harness) -> None:
    """It would keep others from starting for ever (it should not be there)."""
    harness.client.zadd(STARTS, {f"{'a' * 27}|1|x|1": EXPECTED_AT, f"{'b' * 27}|1|x|1": EXPECTED_AT})
    harness.client.expire(STARTS, 1000)
    execution = begin(harness)
    assert in_flight(harness, execution) == []
    let_pass(harness, 2 * MINUTE_MS)
    assert in_flight(harness, execution) == ["a", "b"]


@pytest.mark.proves("starts-at-once")
def test_starts_that_others_have_had_meanwhile_count(harness: Harness) -> None:
    """Of nodes that this one did not look at: the starts of the key are read anew."""
    execution = harness.begin(limited())
    for entry in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entry)
    (moved,) = harness.waiting("orchestrator")
    now = int(time.time() * 1000)
    harness.orchestrators[0].state.between = lambda: harness.client.zadd(STARTS, {f"{'x' * 27}|1|a|1": now})
    harness.deliver(harness.orchestrators[0], moved)
    assert in_flight(harness, execution) == ["a"]
