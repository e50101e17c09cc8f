"""Nodes that repeat, on a real server: what each iteration leaves behind, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution import records
from flowengine.execution.events import Event
from flowengine.execution.requests.listing import Wanted as Listed
from flowengine.execution.rules.steering.overruling import Complete, Fail, Skip, Word
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, HandlerError
from flowengine.queues import GROUP
from flowengine.settings import Limits
from flowengine.workflow.plan import Plan
from flowengine.workflow.validation import check_document
from tests.support.checks import invariants
from tests.support.checks.invariants import check
from tests.support.faults import Gate
from tests.support.rigs.harness import Harness, failing_in, registry

TOTAL: JsonValue = {"inputs": ["{{ previous | default(0) }}", "{{ iteration }}"]}
"""Each iteration gives one more than what the one before gave and its number: 2, 5, 9, 14, 20, ..."""


def looping(
    config: JsonValue = TOTAL,
    *,
    node: dict[str, Any] | None = None,
    above: Sequence[JsonValue] = (),
    **repeat: Any,
) -> Plan:
    """A plan of one node that repeats, and one that reads how often."""
    nodes: list[JsonValue] = [
        *above,
        {"id": "loop", "handler": "sum", "config": config, "repeat": repeat, **(node or {})},
        {
            "id": "last",
            "handler": "sum",
            "config": {"inputs": ["{{ loop.iterations }}"]},
            "dependencies": ["loop"],
        },
    ]
    checked = check_document({"name": "loop", "nodes": nodes}, registry(), Limits())
    assert checked.plan is not None, checked.problems
    return checked.plan


def work(harness: Harness) -> None:
    """Let a worker run what waits, and an orchestrator apply what it reports."""
    harness.run_tasks()
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())


def output(harness: Harness, execution: str) -> Any:
    """What the node has given."""
    return msgspec.json.decode(harness.api.executions.results(execution).results["loop"])


def told(harness: Harness, execution: str) -> list[Event]:
    """What the events tell of the node, its starts aside; all that is stored is right."""
    events = check(harness.client, execution, settled=False).events
    return [event for event in events if event.node == "loop" and event.kind != "node_started"]


def failing_at(*attempts: int, code: str = "boom") -> Any:
    """A script in which the node fails at these attempts."""

    def script(context: Context) -> None:
        if context.node_id == "loop" and context.attempt in attempts:
            raise HandlerError(code, "on purpose")

    return script


@pytest.mark.proves("iteration-follows")
def test_a_node_repeats_until_its_condition_holds(harness: Harness) -> None:
    """Each iteration reads what the one before gave; the output is the last one's, with their number."""
    execution = harness.begin(looping(until="{{ loop.result >= 9 }}"))
    harness.drain()
    assert output(harness, execution) == {"result": 9, "iterations": 3}
    assert harness.results(execution)["last"] == 4
    shown = harness.api.executions.node(execution, "loop")
    assert (shown.status, shown.iteration, shown.attempt) == ("completed", 3, 3)
    assert [(each.attempt, each.iteration) for each in shown.attempts] == [(1, 1), (2, 2), (3, 3)]
    kinds = [(event.kind, event.detail) for event in told(harness, execution)]
    assert kinds == [
        ("node_queued", None),
        ("node_iterated", "1"),
        ("node_queued", None),
        ("node_iterated", "2"),
        ("node_queued", None),
        ("node_completed", None),
    ]


def test_all_results_are_collected(harness: Harness) -> None:
    """The list is the node's result, and nothing else is left of the iterations."""
    execution = harness.begin(looping(until="{{ iteration == 4 }}", collect=True))
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9, 14], "iterations": 4}
    fields = harness.client.hkeys(harness.keys.node(execution, "loop"))
    assert b"previous" not in fields
    assert not harness.client.exists(harness.keys.collected(execution, "loop"))


@pytest.mark.parametrize("collect", [False, True])
def test_an_exhausted_node_may_complete_with_what_it_has(harness: Harness, collect: bool) -> None:
    """The last result, or those of all."""
    plan = looping(until="{{ false }}", max_iterations=3, on_exhausted="continue", collect=collect)
    execution = harness.begin(plan)
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9] if collect else 9, "iterations": 3}


@pytest.mark.proves("repeat-goes-on")
def test_a_re_trigger_goes_on_after_the_last_iteration(harness: Harness) -> None:
    """An exhausted node has failed; in the next run it may repeat as often again, from where it stopped."""
    execution = harness.begin(looping(until="{{ iteration == 5 }}", max_iterations=3, collect=True))
    harness.drain()
    shown = harness.api.executions.node(execution, "loop")
    assert shown.error is not None
    assert (shown.status, shown.error.code) == ("failed", "repeat_exhausted")
    assert shown.error.message == "'until' was not true after 3 iterations (repeat.max_iterations)"
    assert shown.previous == msgspec.Raw(b"9")
    check(harness.client, execution)
    harness.trigger(execution)
    check(harness.client, execution)
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9, 14, 20], "iterations": 5}


@pytest.mark.proves("repeat-goes-on")
def test_a_failed_iteration_is_tried_again_and_then_the_next_run_goes_on_with_it(harness: Harness) -> None:
    """The tries of one iteration are counted by themselves, and those before it are not done again."""
    keys: list[tuple[int, str]] = []

    def script(context: Context) -> None:
        if context.node_id == "loop":
            keys.append((context.attempt, context.idempotency_key))
            failing_at(2, 4, 5)(context)

    harness.script = script
    retry = {"max_attempts": 2, "delay_seconds": 0}
    execution = harness.begin(looping(until="{{ iteration == 3 }}", node={"retry": retry}))
    harness.drain()
    shown = harness.api.executions.node(execution, "loop")
    assert (shown.status, shown.iteration, shown.attempt) == ("failed", 3, 5)
    assert [(e.attempt, e.iteration) for e in shown.attempts] == [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)]
    harness.trigger(execution)
    harness.drain()
    assert output(harness, execution) == {"result": 9, "iterations": 3}
    numbers = [key.removeprefix(execution).split("-")[1] for _, key in keys]
    assert numbers == ["1.1", "1.2", "2.2", "2.3", "3.3", "4.3"]


def test_an_outcome_that_is_not_known_keeps_the_key_of_its_iteration(harness: Harness) -> None:
    """A service can tell a repetition of the same iteration; the next iteration asks for something else."""
    keys: list[str] = []

    def script(context: Context) -> None:
        if context.node_id == "loop":
            keys.append(context.idempotency_key)
            failing_at(1, code="connection_failed")(context)

    harness.script = script
    execution = harness.begin(looping(until="{{ iteration == 2 }}"))
    harness.drain()
    harness.trigger(execution)
    harness.drain()
    assert keys[0] == keys[1] != keys[2]
    assert output(harness, execution)["iterations"] == 2


@pytest.mark.proves("iteration-wait")
def test_between_iterations_a_node_waits_by_a_timer(harness: Harness) -> None:
    """It is in no queue, and its place is not taken; a timer that fires twice sends it once."""
    execution = harness.begin(looping(until="{{ iteration == 2 }}", delay_seconds=30))
    harness.start_executions()
    work(harness)
    assert not harness.tasks()
    assert not harness.waiting("orchestrator")
    assert not harness.client.exists(harness.keys.started(execution))
    shown = harness.api.executions.node(execution, "loop")
    assert (shown.status, shown.iteration, shown.error) == ("waiting", 1, None)
    assert shown.waiting_for
    assert shown.waiting_for.kind == "repeat"
    record = check(harness.client, execution).record("loop")
    assert record.until is not None
    assert record.finished_at is not None
    assert 30_000 <= record.until - record.finished_at < 60_000
    (listed,) = harness.api.executions.list(Listed(), limit=5).items
    assert listed.waiting_for is not None
    assert (listed.waiting_for.kind, listed.waiting_for.node) == ("repeat", "loop")
    harness.end_pauses()
    (timer,) = harness.waiting("orchestrator")
    assert harness.deliver(harness.orchestrators[0], timer)
    harness.client.zadd(harness.keys.timers("retry"), {f"{execution}|1|loop|1": 1})
    harness.fire_timers()
    (late,) = harness.waiting("orchestrator")
    assert harness.deliver(harness.orchestrators[0], late)
    assert len(harness.tasks()) == 1
    harness.drain()
    assert output(harness, execution)["iterations"] == 2


def test_the_wait_before_the_first_iteration_is_no_attempt(harness: Harness) -> None:
    """Its condition is decided before the wait, once; then the first iteration is the first attempt."""
    plan = looping(until="{{ iteration == 2 }}", initial_delay_seconds=60, node={"when": "{{ 1 == 1 }}"})
    execution = harness.begin(plan)
    harness.start_executions()
    work(harness)
    shown = harness.api.executions.node(execution, "loop")
    assert (shown.status, shown.attempt, bool(shown.iteration)) == ("waiting", 1, False)
    assert not harness.workers[0].invoker.calls
    harness.drain()
    shown = harness.api.executions.node(execution, "loop")
    assert [(each.attempt, each.iteration) for each in shown.attempts] == [(1, 1), (2, 2)]
    assert output(harness, execution) == {"result": 5, "iterations": 2}
    kinds = [(event.kind, event.attempt, event.detail) for event in told(harness, execution)[:3]]
    assert kinds[:2] == [("node_queued", 1, None), ("node_waiting", 1, "for:repeat")]


def test_a_condition_that_is_false_spares_all_iterations(harness: Harness) -> None:
    """The node is skipped, and never waited."""
    plan = looping(until="{{ iteration == 2 }}", initial_delay_seconds=60, node={"when": "{{ 1 == 2 }}"})
    execution = harness.begin(plan)
    harness.start_executions()
    work(harness)
    assert harness.statuses(execution)["loop"] == "skipped"


def test_a_time_limit_leaves_no_iteration_after_it(harness: Harness) -> None:
    """The next one would begin too late by its pause."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", delay_seconds=30, max_seconds=20))
    harness.drain()
    shown = harness.api.executions.node(execution, "loop")
    assert shown.error is not None
    assert (shown.iteration, shown.error.code) == (1, "repeat_exhausted")
    assert "repeat.max_seconds" in shown.error.message


def test_numbers_may_be_templates_over_what_an_iteration_gave(harness: Harness) -> None:
    """The pause grows with the result; what is no number fails the node."""
    plan = looping(
        until="{{ iteration == 3 }}", delay_seconds="{{ loop.result * 10 }}", max_iterations="{{ 2 + 3 }}"
    )
    execution = harness.begin(plan)
    harness.start_executions()
    pauses = []
    for _ in range(2):
        work(harness)
        record = check(harness.client, execution).record("loop")
        pauses.append(((record.until or 0) - (record.finished_at or 0)) // 10_000 * 10)  # takes its time
        harness.end_pauses()
        (timer,) = harness.waiting("orchestrator")
        harness.deliver(harness.orchestrators[0], timer)
    assert pauses == [20, 50]
    wrong = harness.begin(looping(until="{{ false }}", delay_seconds="{{ 'soon' }}"))
    harness.drain()
    error = harness.api.executions.node(wrong, "loop").error
    assert error is not None
    assert (error.code, error.message) == (
        "invalid_repeat",
        "repeat: 'delay_seconds' must be a number of seconds, it is text",
    )


def test_a_condition_that_gives_no_boolean_fails_the_iteration(harness: Harness) -> None:
    """The text "false" must not be true."""
    execution = harness.begin(looping(until="{{ 'false' }}"))
    harness.drain()
    error = harness.api.executions.node(execution, "loop").error
    assert error is not None
    assert error.code == "when_not_boolean"
    assert "`repeat.until` must give true, false or null" in error.message


@pytest.mark.proves("iteration-repeated-report")
def test_a_report_that_comes_again_does_not_count_twice(harness: Harness) -> None:
    """Nor does that of a worker that ran the same iteration again, having lost its lease."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", collect=True))
    harness.start_executions()
    (task,) = harness.tasks()
    again = msgspec.structs.replace(task, deliveries=2)
    for each in (task, again):
        assert harness.deliver(harness.workers[0], each)
    first, second = harness.callbacks()
    second_orchestrator = harness.second_orchestrator()
    assert harness.deliver(harness.orchestrators[0], first, second)
    assert harness.deliver(second_orchestrator, msgspec.structs.replace(first, deliveries=2))
    assert check(harness.client, execution).record("loop").dispatch == 2
    assert len(harness.tasks()) == 1
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9], "iterations": 3}


@pytest.mark.proves("iteration-repeated-report")
def test_two_orchestrators_apply_one_iteration_once(harness: Harness) -> None:
    """All of one's work falls between the other's reads and its writes."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", collect=True))
    harness.start_executions()
    harness.run_tasks()
    (callback,) = harness.callbacks()
    first, second = harness.orchestrators[0], harness.second_orchestrator()
    first.state.between = lambda: harness.deliver(second, callback)
    assert harness.deliver(first, callback)
    assert check(harness.client, execution).record("loop").dispatch == 2
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9], "iterations": 3}


@pytest.mark.proves("iteration-pause")
@pytest.mark.parametrize("delay", [0, 30])
def test_while_an_execution_is_paused_no_iteration_begins(harness: Harness, delay: int) -> None:
    """What was running ends, and counts; the next one begins when the execution goes on."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", delay_seconds=delay))
    harness.start_executions()
    harness.api.executions.pause(execution)
    work(harness)
    assert harness.statuses(execution)["loop"] == "waiting"
    harness.drain()
    assert harness.statuses(execution)["loop"] == "waiting"
    harness.api.executions.resume(execution)
    harness.drain()
    assert output(harness, execution) == {"result": 9, "iterations": 3}


@pytest.mark.proves("iteration-cancel")
@pytest.mark.parametrize("moment", ["runs", "waits", "reports"])
def test_a_cancel_ends_the_repetition_and_the_next_run_goes_on(harness: Harness, moment: str) -> None:
    """Whether the node runs, waits, or its report is on its way: what an iteration gave that has ended
    stays."""
    execution = harness.begin(looping(until="{{ iteration == 4 }}", delay_seconds=30, collect=True))
    harness.start_executions()
    work(harness)
    if moment != "waits":
        harness.end_pauses()
        (timer,) = harness.waiting("orchestrator")
        assert harness.deliver(harness.orchestrators[0], timer)
    if moment == "reports":
        harness.run_tasks()
    harness.cancel(execution)
    harness.drain()
    assert harness.api.executions.status(execution).status == "cancelled"
    stored = check(harness.client, execution)
    repeated = stored.record("loop").repeated
    assert repeated is not None
    assert repeated.ended == (2 if moment == "reports" else 1)
    harness.trigger(execution)
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9, 14], "iterations": 4}


@pytest.mark.proves("iteration-cancel")
def test_the_report_of_an_iteration_ends_the_node_of_an_execution_that_is_stopped(harness: Harness) -> None:
    """As what its worker says that has stopped: nobody waits for anything else."""
    execution = harness.begin(looping(until="{{ iteration == 4 }}", delay_seconds=30))
    harness.start_executions()
    harness.run_tasks()
    harness.cancel(execution)
    (callback,) = harness.callbacks()
    for entry in harness.waiting("orchestrator"):
        if entry.actor == "stop_execution":
            assert harness.deliver(harness.orchestrators[0], entry)
    assert harness.api.executions.status(execution).status == "cancelling"
    assert harness.deliver(harness.orchestrators[0], callback)
    assert harness.api.executions.status(execution).status == "cancelled"


@pytest.mark.parametrize("word", [Complete(msgspec.Raw(b'{"result":7}')), Skip(), Fail()])
def test_an_operator_ends_a_node_that_repeats(harness: Harness, word: Word) -> None:
    """While it waits between two iterations; what is kept of these goes, unless it failed."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", delay_seconds=30, collect=True))
    harness.start_executions()
    work(harness)
    harness.overrule(execution, "loop", word)
    harness.drain()
    kept = harness.client.exists(harness.keys.collected(execution, "loop"))
    assert bool(kept) == isinstance(word, Fail)
    check(harness.client, execution)


@pytest.mark.proves("repeat-begins-anew")
def test_a_rerun_of_the_node_begins_anew(harness: Harness) -> None:
    """From the first iteration, without what the run before has left."""
    harness.script = failing_at(3)
    execution = harness.begin(looping(until="{{ iteration == 3 }}", collect=True))
    harness.drain()
    assert harness.statuses(execution)["loop"] == "failed"
    harness.api.executions.rerun(execution, RerunAsked(Wanted("from", ("loop",))))
    check(harness.client, execution)
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9], "iterations": 3}
    attempts = harness.api.executions.node(execution, "loop").attempts
    assert [each.iteration for each in attempts] == [1, 2, 3, 1, 2, 3]
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9], "iterations": 3}


@pytest.mark.proves("repeat-begins-anew")
def test_a_failed_node_begins_anew_if_something_above_it_begins_again(harness: Harness) -> None:
    """What its iterations would read is not what those before have read."""

    def script(context: Context) -> None:
        failing_in(1, "above")(context)
        failing_at(3)(context)

    harness.script = script
    above: JsonValue = {"id": "above", "handler": "sum", "config": {"inputs": [1]}}
    node: dict[str, Any] = {"dependencies": ["above"], "trigger_rule": "all_done"}
    execution = harness.begin(looping(above=[above], node=node, until="{{ iteration == 3 }}", collect=True))
    harness.drain()
    assert harness.statuses(execution) == {"above": "failed", "loop": "failed", "last": "failed"}
    harness.trigger(execution)
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9], "iterations": 3}
    attempts = harness.api.executions.node(execution, "loop").attempts
    assert [each.iteration for each in attempts] == [1, 2, 3, 1, 2, 3]


def test_what_is_kept_of_iterations_counts_and_is_given_back(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts towards the execution's limit while the node repeats; then its result does."""
    for module in (records, invariants):
        monkeypatch.setattr(module, "COUNTED_RESULT_BYTES", 6)
    execution = harness.begin(looping(until="{{ iteration == 6 }}", collect=True))
    harness.start_executions()
    for _ in range(5):
        work(harness)
    stored = check(harness.client, execution, settled=False)
    assert stored.record("loop").counted == len(stored.collected["loop"]) == 12
    assert int(stored.counts["bytes"]) == 12
    harness.cancel(execution)
    harness.drain()
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9, 14, 20, 27], "iterations": 6}
    assert check(harness.client, execution).collected == {}


def test_a_list_that_grows_too_large_fails_its_node(harness: Harness) -> None:
    """The iteration that takes it over the limit fails."""
    limits = Limits(max_result_bytes=60)
    settings = msgspec.structs.replace(harness.settings, limits=limits)
    harness.settings = settings
    harness.workers[0].reborn()
    execution = harness.begin(looping(until="{{ iteration == 100 }}", collect=True))
    harness.drain()
    error = harness.api.executions.node(execution, "loop").error
    assert error is not None
    assert error.code == "result_too_large"
    assert "iterations is" in error.message


@pytest.mark.proves("iteration-lost")
def test_the_sweep_sends_an_iteration_again_whose_message_is_lost(harness: Harness) -> None:
    """It is the same iteration, and reads what the one before gave."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", collect=True))
    harness.start_executions()
    work(harness)
    (task,) = harness.tasks()
    harness.client.xack(harness.stream("worker"), GROUP, task.id)
    harness.client.xdel(harness.stream("worker"), task.id)
    sweep = harness.orchestrators[0].sweep
    for _ in range(3):
        sweep.run()
    assert sweep.repaired == 1
    record = check(harness.client, execution).record("loop")
    assert record.repeated is not None
    assert (record.attempt, record.dispatch, record.repeated.number) == (2, 3, 2)
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9], "iterations": 3}


@pytest.mark.proves("iteration-lost")
def test_the_sweep_arms_a_timer_again_that_is_lost(harness: Harness) -> None:
    """A node that waits for its next iteration is not forgotten."""
    execution = harness.begin(looping(until="{{ iteration == 2 }}", delay_seconds=30))
    harness.start_executions()
    work(harness)
    harness.client.delete(harness.keys.timers("retry"))
    sweep = harness.orchestrators[0].sweep
    for _ in range(3):
        sweep.run()
    assert sweep.repaired == 1
    harness.drain()
    assert output(harness, execution)["iterations"] == 2


def test_a_limited_node_waits_for_its_turn_in_each_iteration(harness: Harness) -> None:
    """In another run too, where the iteration that has failed is one attempt more."""
    harness.script = failing_at(1)
    limit = {"concurrency": {"key": "db", "limit": 1}}
    execution = harness.begin(looping(until="{{ iteration == 2 }}", node=limit))
    harness.drain()
    assert harness.statuses(execution)["loop"] == "failed"
    harness.trigger(execution)
    harness.drain()
    assert output(harness, execution) == {"result": 5, "iterations": 2}
    attempts = harness.api.executions.node(execution, "loop").attempts
    assert [(each.attempt, each.iteration) for each in attempts] == [(1, 1), (2, 1), (3, 2)]


def test_a_node_of_a_group_repeats_as_any_other(harness: Harness) -> None:
    """Its iterations are those of the group's own execution, and go with it."""
    inner: JsonValue = {
        "id": "inner",
        "handler": "sum",
        "config": TOTAL,
        "repeat": {"until": "{{ iteration == 3 }}", "collect": True, "delay_seconds": 1},
    }
    group: JsonValue = {"id": "group", "nodes": [inner], "outputs": {"all": "{{ inner.result }}"}}
    checked = check_document({"name": "loop", "nodes": [group]}, registry(), Limits())
    assert checked.plan is not None, checked.problems
    execution = harness.begin(checked.plan)
    harness.drain()
    found = harness.api.executions.results(execution).results["group"]
    assert msgspec.json.decode(found)["result"] == {"all": [2, 5, 9]}
    assert not list(harness.client.scan_iter("fe:x:*:collected:*"))
    harness.delete(execution)
    harness.drain()
    assert not list(harness.client.scan_iter("fe:x:*"))


def test_nothing_is_left_of_a_deleted_execution(harness: Harness) -> None:
    """Not even what its iterations had given so far."""
    execution = harness.begin(looping(until="{{ false }}", delay_seconds=30, collect=True))
    harness.start_executions()
    work(harness)
    assert harness.client.exists(harness.keys.collected(execution, "loop"))
    harness.delete(execution, force=True)
    harness.drain()
    assert not list(harness.client.scan_iter(f"fe:x:{execution}:*"))


@pytest.mark.proves("crash-between-iterations")
@pytest.mark.parametrize("at", range(1, 9))
def test_a_crash_between_two_iterations_loses_and_doubles_nothing(harness: Harness, at: int) -> None:
    """Wherever an orchestrator dies over a report: it comes again, and the list is as long as it is to be."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", collect=True))
    harness.start_executions()
    harness.run_tasks()
    harness.orchestrators[0].line.gate = Gate(at=at, way="die_after")
    for entry in harness.callbacks():
        harness.deliver(harness.orchestrators[0], entry)
    harness.orchestrators[0].line.gate = Gate()
    check(harness.client, execution, settled=False)
    harness.drain()
    assert output(harness, execution) == {"result": [2, 5, 9], "iterations": 3}
