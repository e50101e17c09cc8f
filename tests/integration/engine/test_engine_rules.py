"""Nodes that wait for another try, fail at once or begin early: what may go wrong around them."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.plugin import Context, HandlerError
from flowengine.store import keys
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy, Retry
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Entry, Harness, Script, failing_in, plan_of

RETRIES = keys.of().timers("retry")
HOUR_MS = 3_600_000
PATIENT = Retry(max_attempts=2, delay_ms=HOUR_MS, max_delay_ms=HOUR_MS)


def failing_at_first(*nodes: str) -> Script:
    """A script in which these nodes fail in their first try."""

    def script(context: Context) -> None:
        if context.node_id in nodes and context.attempt == 1:
            raise HandlerError("boom", f"{context.node_id} failed on purpose")

    return script


def patient(plan: Plan) -> Plan:
    """The plan, whose first node is tried again after an hour."""
    return msgspec.structs.replace(plan, policies={0: Policy(retry=PATIENT)})


def waiting(harness: Harness) -> str:
    """An execution whose node `a` has failed once and waits for an hour; `b` depends on it."""
    harness.script = failing_at_first("a")
    execution = harness.begin(patient(plan_of({"a": (), "b": ("a",)})))
    harness.start_executions()
    work(harness, "a")
    assert harness.statuses(execution) == {"a": "waiting", "b": "pending"}
    return execution


def work(harness: Harness, *nodes: str) -> None:
    """Let these nodes run, and apply what they report."""
    harness.run_tasks(*nodes)
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())


def swept(harness: Harness) -> int:
    """How many things two sweeps repair: the first only remembers where everything stands."""
    turn = harness.orchestrators[0].sweep
    return turn.run() + turn.run()


def fired(harness: Harness) -> list[Entry]:
    """The timers' messages that wait."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == "timer_fired"]


def fire_now(harness: Harness, *members: bytes) -> None:
    """The pauses of these timers are over, and the loop sends them."""
    harness.client.zadd(RETRIES, dict.fromkeys(members, 1))
    harness.fire_timers()


@pytest.mark.proves("retry-early")
def test_no_try_begins_before_its_pause_is_over(harness: Harness) -> None:
    """The timer stands at the failure's time and the whole pause; until then nothing is sent."""
    execution = waiting(harness)
    ((_, due),) = harness.client.zrange(RETRIES, 0, -1, withscores=True)
    failed_at = check(harness.client, execution).record("a").finished_at
    assert failed_at is not None
    assert due >= failed_at + HOUR_MS
    harness.fire_timers()
    assert swept(harness) == 0
    assert not fired(harness)
    assert not harness.tasks()
    assert harness.statuses(execution)["a"] == "waiting"


@pytest.mark.proves("retry-timer-lost")
def test_a_lost_timer_is_armed_again_for_the_same_time(harness: Harness) -> None:
    """The record says until when the node waits."""
    execution = waiting(harness)
    armed = harness.client.zrange(RETRIES, 0, -1, withscores=True)
    harness.client.delete(RETRIES)
    assert swept(harness) == 1
    assert harness.client.zrange(RETRIES, 0, -1, withscores=True) == armed
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "b": "completed"}


@pytest.mark.proves("retry-twice")
def test_a_pause_that_ends_twice_is_one_try(harness: Harness) -> None:
    """Two orchestrators' loops send the timer, and both messages are dealt with."""
    execution = waiting(harness)
    members = harness.client.zrange(RETRIES, 0, -1)
    fire_now(harness, *members)
    fire_now(harness, *members)
    assert len(fired(harness)) == 2
    for entry in fired(harness):
        assert harness.deliver(harness.orchestrators[0], entry)
    assert len(harness.tasks()) == 1
    harness.drain()
    (a, _) = harness.api.executions.status(execution).nodes
    assert (a.status, a.attempt) == ("completed", 2)


@pytest.mark.proves("retry-condition")
@pytest.mark.parametrize(
    ("when", "attempts", "code"),
    [
        ("{{ attempt < 3 and error.code == 'boom' }}", 3, "boom"),
        ("{{ 'locked' in error.message }}", 1, "boom"),
        ("{{ error.message }}", 1, "when_not_boolean"),
    ],
)
def test_a_condition_over_the_error_decides_about_another_try(
    harness: Harness, when: str, attempts: int, code: str
) -> None:
    """From the worker that reports the failure to the record."""
    harness.script = failing_in(1, "a")
    plan = plan_of({"a": ()})
    policies = {0: Policy(retry=Retry(max_attempts=9, delay_ms=0, when=when))}
    execution = harness.begin(msgspec.structs.replace(plan, policies=policies))
    harness.drain()
    (a,) = harness.api.executions.status(execution).nodes
    assert (a.status, a.attempt) == ("failed", attempts)
    assert a.error is not None
    assert a.error.code == code


@pytest.mark.proves("retry-after-failure")
def test_a_retry_succeeds_after_a_sibling_has_failed(harness: Harness) -> None:
    """The execution is not over while a node waits, and what depends on the node runs; the verdict stays."""

    def script(context: Context) -> None:
        failing_at_first("a")(context)
        failing_in(1, "b")(context)

    harness.script = script
    graph = {"a": (), "b": (), "c": ("a",)}
    execution = harness.begin(plan_of(graph, says={"a": Says(tries=2)}))
    harness.start_executions()
    work(harness)
    assert harness.statuses(execution) == {"a": "waiting", "b": "failed", "c": "pending"}
    assert harness.api.executions.status(execution).status == "running"
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "b": "failed", "c": "completed"}
    assert harness.api.executions.status(execution).status == "failed"


@pytest.mark.proves("settle")
def test_what_cleans_up_waits_for_the_branch_that_still_runs(harness: Harness) -> None:
    """`below` fails at once with `quick`; `clean_up`, which runs whatever happens, waits for `slow` too."""
    harness.script = failing_in(1, "quick")
    graph = {"quick": (), "slow": (), "below": ("quick", "slow"), "clean_up": ("below",)}
    execution = harness.begin(plan_of(graph, says={"clean_up": Says("all_done")}))
    harness.start_executions()
    work(harness, "quick")
    assert harness.statuses(execution) == {
        "quick": "failed",
        "slow": "queued",
        "below": "failed",
        "clean_up": "pending",
    }
    work(harness, "slow")
    assert harness.statuses(execution)["clean_up"] == "queued"


@pytest.mark.proves("begins-early")
def test_a_node_that_begins_early_sees_the_same_however_late_it_runs(harness: Harness) -> None:
    """What had not ended when its task was sent is undefined for it, though it has ended since."""
    graph = {"a": (), "b": (), "either": ("a", "b")}
    execution = harness.begin(plan_of(graph, says={"either": Says("one_success")}))
    harness.start_executions()
    work(harness, "a")
    task = harness.task_of("either")
    work(harness, "b")
    harness.lapse(task)
    work(harness, "either")
    assert harness.results(execution) == {"a": 1, "b": 1, "either": 2}


@pytest.mark.proves("trigger-repeats-below")
def test_a_trigger_repeats_what_has_completed_below_a_failure(harness: Harness) -> None:
    """Its result is gone until it has run again; what is beside it keeps its own."""
    harness.script = failing_in(1, "a")
    graph = {"a": (), "beside": (), "clean_up": ("a",)}
    execution = harness.begin(plan_of(graph, says={"clean_up": Says("all_done")}))
    harness.drain()
    assert harness.results(execution) == {"beside": 1, "clean_up": 1}
    assert harness.trigger(execution) == 2
    assert harness.results(execution) == {"beside": 1}
    harness.drain()
    assert harness.results(execution) == {"a": 1, "beside": 1, "clean_up": 2}
