"""Reruns of some items of a map: exactly these run, in place or in a new execution, whatever happens."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked, RerunInvalidError, RerunNotPossibleError
from flowengine.errors import StoreUnavailableError, WrongStateError
from flowengine.execution.requests.fork import Fork
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.steering.overruling import Complete
from flowengine.execution.rules.steering.rerunning import RerunMode, Wanted
from flowengine.execution.views.executions import ItemsAgainView, RerunView
from flowengine.execution.views.maps import MapView
from flowengine.plugin import Context
from flowengine.workflow.plan import Plan
from tests.integration.engine.test_engine_forks import copy_step, everything_of
from tests.integration.engine.test_engine_maps import failing_items, map_plan, output, page, ran, statuses
from tests.support.checks.invariants import CheckEverything, check
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.rigs.harness import Harness

pytestmark = pytest.mark.usefixtures("no_logs")


def some(*keys: str, mode: RerunMode = "from") -> RerunAsked:
    """These items of `each`."""
    return RerunAsked(Wanted(mode, items={"each": keys}))


def rerun(harness: Harness, execution: str, asked: RerunAsked, *, new: bool = False) -> RerunView:
    """Ask for it; what the preview has listed is what it answers."""
    executions = harness.api.executions
    preview = (executions.preview_fork if new else executions.preview_rerun)(execution, asked)
    made = (executions.fork if new else executions.rerun)(execution, asked)
    told = (made.reset, made.reused, made.skipped, made.items)
    assert told == (preview.reset, preview.reused, preview.skipped, preview.items)
    assert preview.not_possible == ()
    return made


def ended(harness: Harness, plan: Plan, *failing: str) -> str:
    """An execution of a map that has ended, in which these items have failed."""
    execution = harness.begin(plan)
    harness.script = failing_items(*failing)
    harness.drain()
    harness.script = lambda context: None
    ran(harness)
    return execution


def texts_plan(*texts: str) -> Plan:
    """`each` gives each of these texts, one at a time."""
    plan = map_plan(list(texts), max_concurrent=1)
    config = msgspec.Raw(b'{"value":"{{ item }}"}')
    work = msgspec.structs.replace(plan.nodes[0].work, handler="set", config=config)
    return Plan("maps", (msgspec.structs.replace(plan.nodes[0], work=work),), {0: plan.policies[0]})


@pytest.mark.proves("map-items-again")
def test_exactly_the_named_items_of_a_completed_map_run_again(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Results stand in the items' order, and what is below begins again."""
    execution = ended(harness, map_plan(list(range(300))))
    made = rerun(harness, execution, some("7", "299"))
    assert (made.run, made.reset, made.reused) == (2, ("each", "after"), ())
    assert made.items == {"each": ItemsAgainView(reset=2, reused=298, failed=0, cancelled=0)}
    harness.drain()
    assert ran(harness) == ["299", "7"]
    assert output(harness, execution) == {
        "result": [item + 1 for item in range(300)],
        "counts": {"total": 300, "completed": 300, "failed": 0, "cancelled": 0},
    }
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("map-items-again")
def test_what_has_failed_beside_them_stays_failed(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The map fails by it at its end, and a trigger runs what is left."""
    execution = ended(harness, map_plan(list(range(5)), max_concurrent=1, tolerated_failures=1), "1", "2")
    assert statuses(harness, execution) == ["completed", "failed", "failed", "cancelled", "cancelled"]
    made = rerun(harness, execution, some("0", "2"))
    assert made.items == {"each": ItemsAgainView(reset=2, reused=0, failed=1, cancelled=2)}
    check_invariants()
    harness.drain()
    assert ran(harness) == ["0", "2"]
    view = harness.api.executions.status(execution).nodes[0]
    assert (view.status, view.error and view.error.code) == ("failed", "map_failed")
    assert view.error is not None
    assert view.error.message.startswith("1 of 5 items failed, 1 may: '1'; 2 did not run; '1' with boom")
    assert statuses(harness, execution) == ["completed", "failed", "completed", "cancelled", "cancelled"]
    check_invariants()
    harness.trigger(execution)
    harness.drain()
    assert ran(harness) == ["1", "3", "4"]
    assert output(harness, execution)["result"] == [1, 2, 3, 4, 5]
    check_invariants()


@pytest.mark.proves("map-items-again")
def test_the_mode_failed_runs_what_has_no_result_besides(harness: Harness) -> None:
    """One that has completed is named, one that has failed is not."""
    execution = ended(harness, map_plan(list(range(5))), "3")
    rerun(harness, execution, some("0", mode="failed"))
    harness.drain()
    assert ran(harness) == ["0", "3"]
    assert harness.statuses(execution)["each"] == "completed"


def test_numbers_and_pages_tell_what_runs_and_what_does_not(harness: Harness) -> None:
    """While the rerun waits, while it runs, and at its end."""
    execution = ended(harness, map_plan(list(range(5)), max_concurrent=1), "1")
    rerun(harness, execution, some("0", "3"))
    assert statuses(harness, execution) == ["pending", "failed", "cancelled", "pending", "cancelled"]
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert statuses(harness, execution) == ["running", "failed", "cancelled", "pending", "cancelled"]
    shown = harness.api.executions.status(execution).nodes[0].map
    assert shown == MapView(total=5, pending=1, running=1, completed=0, failed=1, cancelled=2)
    harness.drain()
    shown = harness.api.executions.status(execution).nodes[0].map
    assert shown == MapView(total=5, pending=0, running=0, completed=2, failed=1, cancelled=2)
    check(harness.client, execution)


def test_an_item_that_completed_is_another_call_for_its_service(harness: Harness) -> None:
    """It has another idempotency key in each run, also after one that ended before it ran."""
    execution = harness.begin(map_plan([1, 2]))
    used: list[str] = []

    def script(context: Context) -> None:
        if context.node_id == "each":
            used.append(context.idempotency_key.removeprefix(execution))

    harness.script = script
    harness.drain()
    rerun(harness, execution, some("1"))
    harness.drain()
    rerun(harness, execution, some("1"))
    harness.cancel(execution)
    harness.drain()
    harness.trigger(execution)
    harness.drain()
    assert sorted(used) == ["-1-each-0", "-1-each-1", "-2-each-1", "-3-each-1"]
    assert output(harness, execution)["result"] == [2, 3]


@pytest.mark.proves("map-items-again")
def test_an_item_that_is_not_named_again_keeps_the_key_that_it_was_to_have(harness: Harness) -> None:
    """It was to run again, was stopped before, and runs in a later run than the others."""
    execution = harness.begin(map_plan([1, 2, 3]))
    used: list[str] = []

    def script(context: Context) -> None:
        if context.node_id == "each":
            used.append(context.idempotency_key.removeprefix(execution))

    harness.script = script
    harness.drain()
    used.clear()
    rerun(harness, execution, some("0", "1"))
    harness.cancel(execution)
    harness.drain()
    for keys in (["0"], ["2"], ["1"]):
        rerun(harness, execution, some(*keys))
        harness.drain()
        check(harness.client, execution)
    assert used == ["-2-each-0", "-2-each-2", "-2-each-1"]
    assert output(harness, execution)["result"] == [2, 3, 4]


def test_large_results_that_go_count_no_more(harness: Harness, check_invariants: CheckEverything) -> None:
    """And those that come in their place do."""
    execution = ended(harness, texts_plan("x" * 5000, "y" * 6000, "z"))
    (before,) = check_invariants()
    rerun(harness, execution, some("0", "2"))
    meanwhile = check(harness.client, execution, settled=False)
    assert int(before.counts["bytes"]) - int(meanwhile.counts["bytes"]) > 5000
    harness.drain()
    assert [stored.counts["bytes"] for stored in check_invariants()] == [before.counts["bytes"]]
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    harness.drain()
    assert [stored.counts["bytes"] for stored in check_invariants()] == [before.counts["bytes"]]


@pytest.mark.parametrize("runs_before", [0, 1])
def test_large_results_of_a_stopped_map_that_begins_anew_count_no_more(
    harness: Harness, check_invariants: CheckEverything, runs_before: int
) -> None:
    """Nothing has said how many bytes they are: neither the stop, nor the end of a run before."""
    plan = texts_plan("x" * 5000, "y" * 6000, "z" * 7000)
    if runs_before:
        execution = ended(harness, plan, "1")
        harness.trigger(execution)
        harness.start_executions()
    else:
        execution = harness.begin(plan)
    while "completed" not in statuses(harness, execution):
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        harness.run_tasks()
    harness.cancel(execution)
    harness.drain()
    (stopped,) = check_invariants()
    assert int(stopped.counts["bytes"]) >= 5000
    harness.api.executions.rerun(execution, RerunAsked(Wanted("from", ("each",))))
    begun = check(harness.client, execution, settled=False)
    assert int(begun.counts["bytes"]) == 0
    harness.drain()
    (done,) = check_invariants()
    assert int(done.counts["bytes"]) > 18_000


@pytest.mark.parametrize(
    ("asked", "error", "code", "pointer"),
    [
        (
            RerunAsked(Wanted("from", items={"eech": ("1",)})),
            RerunInvalidError,
            "unknown_node",
            "/items/eech",
        ),
        (RerunAsked(Wanted("from", items={"after": ("1",)})), RerunInvalidError, "not_a_map", "/items/after"),
        (some("1", "9"), RerunInvalidError, "unknown_item", "/items/each/1"),
        (
            RerunAsked(Wanted("from", ("each",), items={"each": ("1",)})),
            RerunNotPossibleError,
            "all_items",
            "/items/each",
        ),
    ],
)
@pytest.mark.parametrize("new", [False, True])
def test_what_cannot_be_done_is_refused(
    harness: Harness,
    asked: RerunAsked,
    error: type[RerunInvalidError | RerunNotPossibleError],
    code: str,
    pointer: str,
    new: bool,
) -> None:
    """With its place in the request. A preview lists it."""
    execution = ended(harness, map_plan([1, 2, 3]))
    executions = harness.api.executions
    with pytest.raises(error) as raised:
        (executions.fork if new else executions.rerun)(execution, asked)
    assert isinstance(raised.value, error)
    assert [(each.code, each.pointer) for each in raised.value.problems] == [(code, pointer)]
    preview = (executions.preview_fork if new else executions.preview_rerun)(execution, asked)
    assert [each.code for each in preview.not_possible] == [code]
    assert executions.status(execution).run == 1


def test_of_a_map_that_runs_no_item_can_be_named(harness: Harness) -> None:
    """409: in place, and as a new execution."""
    execution = harness.begin(map_plan([1, 2, 3], max_concurrent=1))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    with pytest.raises(WrongStateError, match="only one that has ended"):
        harness.api.executions.rerun(execution, some("1"))
    with pytest.raises(RerunNotPossibleError) as raised:
        harness.api.executions.fork(execution, some("1"))
    (problem,) = raised.value.problems
    assert (problem.code, problem.pointer) == ("no_items", "/items/each")
    assert "its items still run" in problem.message


def test_what_an_operator_gave_for_a_map_goes(harness: Harness, check_invariants: CheckEverything) -> None:
    """Its items' results come in place of it, and what had not run is missing."""
    execution = harness.begin(map_plan(list(range(4)), max_concurrent=2, tolerated_failures=2))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.overrule(execution, "each", Complete(msgspec.Raw(b'{"result":["' + b"x" * 6000 + b'"]}')))
    harness.drain()
    ran(harness)
    rerun(harness, execution, some("0", "1"))
    harness.drain()
    assert ran(harness) == ["0", "1"]
    assert output(harness, execution)["result"] == [1, 2, None, None]
    check_invariants()


@pytest.mark.proves("map-items-again")
def test_a_run_that_is_stopped_before_the_items_run_keeps_the_others(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """A trigger runs what was to run again."""
    execution = ended(harness, map_plan(list(range(4))))
    rerun(harness, execution, some("1", "3"))
    harness.cancel(execution)
    harness.drain()
    assert statuses(harness, execution) == ["completed", "cancelled", "completed", "cancelled"]
    check_invariants()
    harness.trigger(execution)
    harness.drain()
    assert ran(harness) == ["1", "3"]
    assert output(harness, execution)["result"] == [1, 2, 3, 4]


def test_items_of_two_maps_run_again_together(harness: Harness) -> None:
    """Each with its own; all else stays."""
    one = map_plan([1, 2, 3])
    other = msgspec.structs.replace(one.nodes[0], id="more")
    plan = Plan("maps", (one.nodes[0], other), {0: one.policies[0], 1: one.policies[0]})
    execution = ended(harness, plan)
    harness.workers[0].invoker.calls.clear()
    asked = RerunAsked(Wanted("from", items={"each": ("0",), "more": ("2",)}))
    made = rerun(harness, execution, asked)
    assert made.items is not msgspec.UNSET
    assert set(made.items) == {"each", "more"}
    harness.drain()
    calls = [context.idempotency_key[-6:] for context in harness.workers[0].invoker.calls]
    assert sorted(calls) == ["each-0", "more-2"]


# -- in a new execution


@pytest.mark.proves("fork-items")
def test_a_fork_copies_the_items_that_stay(harness: Harness, check_invariants: CheckEverything) -> None:
    """The named ones run there; the origin is as it was, to the byte."""
    origin = ended(harness, map_plan(list(range(5)), tolerated_failures=1), "1")
    before = everything_of(harness, origin)
    made = rerun(harness, origin, some("0", "4"), new=True)
    assert made.items == {"each": ItemsAgainView(reset=2, reused=2, failed=1, cancelled=0)}
    harness.drain()
    assert ran(harness) == ["0", "4"]
    assert output(harness, made.execution_id)["result"] == [1, None, 3, 4, 5]
    assert everything_of(harness, origin) == before
    assert [stored.status for stored in check_invariants()] == ["completed", "completed"]
    found = page(harness, made.execution_id)
    assert [item.status for item in found.items].count("completed") == 4


@pytest.mark.proves("fork-items", "fork-steps")
def test_a_fork_of_a_cancelled_map_runs_what_is_named(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Large results of the others count there."""
    harness.resize(Sizes(copied_nodes=1))
    plan = texts_plan("x" * 5000, "y" * 6000, "z" * 7000)
    execution = harness.begin(plan)
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.cancel(execution)
    harness.drain()
    assert statuses(harness, execution) == ["completed", "cancelled", "cancelled"]
    ran(harness)
    made = rerun(harness, execution, some("1", "2"), new=True).execution_id
    harness.drain()
    assert ran(harness) == ["1", "2"]
    assert harness.statuses(made)["each"] == "completed"
    new = {stored.id: stored for stored in check_invariants()}[made]
    assert int(new.counts["bytes"]) > 18_000


def test_what_a_fork_is_to_run_is_kept_with_what_it_is_to_copy(harness: Harness) -> None:
    """By the map's index in its plan: a step that comes again does the same."""
    origin = ended(harness, map_plan(list(range(5))))
    made = rerun(harness, origin, some("0", "4"), new=True).execution_id
    stored: Any = harness.client.get(harness.keys.fork(made))
    assert msgspec.json.decode(stored, type=Fork).items[0].left == ((0, 1), (4, 1))


# -- at any command


@pytest.mark.proves("map-items-again", "rerun-cut", "fork-cut")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("new", [False, True])
def test_a_request_that_is_cut_off_begins_once_or_not_at_all(
    harness: Harness, check_invariants: CheckEverything, way: Way, new: bool
) -> None:
    """At any of its commands."""
    process = harness.api
    origin = ended(harness, map_plan(list(range(4)), tolerated_failures=1), "2")
    for at in range(1, 30):
        before = process.executions.status(origin).run
        gate = process.line.gate = Gate(at=at, way=way)
        answered = False
        with contextlib.suppress(StoreUnavailableError, ProcessDied):
            answered = (process.executions.fork if new else process.executions.rerun)(
                origin, some("1")
            ).run > 1
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        harness.drain()
        again = ran(harness)
        assert again == ["1"] if answered else again in ([], ["1"])
        assert process.executions.status(origin).run == before + (len(again) if not new else 0)
        assert output(harness, origin)["result"] == [1, 2, None, 4]
        if gate.struck is None:
            break
    assert at > 8
    assert {stored.status for stored in check_invariants()} == {"completed"}


@pytest.mark.proves("fork-items", "fork-cut")
@pytest.mark.parametrize("way", WAYS)
def test_steps_that_are_cut_copy_the_items_that_stay(
    harness: Harness, check_invariants: CheckEverything, way: Way
) -> None:
    """Struck at each command of all of its steps, a fork of its own each time."""
    origin, process = (
        ended(harness, map_plan(list(range(4)), tolerated_failures=1), "2"),
        harness.orchestrators[0],
    )
    before = everything_of(harness, origin)
    for at in range(1, 60):
        made = harness.api.executions.fork(origin, some("1")).execution_id
        gate = process.line.gate = Gate(at=at, way=way)
        for _ in range(6):
            if not any(each.actor == "copy_results" for each in harness.waiting("orchestrator")):
                break
            copy_step(harness)
            check(harness.client, made, settled=False)
        process.line.gate = Gate()
        harness.drain()
        assert ran(harness) == ["1"]
        assert output(harness, made)["result"] == [1, 2, None, 4]
        if gate.struck is None:
            break
    assert at > 8
    assert everything_of(harness, origin) == before
    assert {stored.status for stored in check_invariants()} == {"completed"}
