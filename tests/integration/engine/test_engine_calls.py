"""Nodes that run applied definitions as child executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flowengine.engine.advancing.steps import child_making
from flowengine.engine.advancing.steps.child_making import MAX_DEPTH
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import WrongStateError
from flowengine.execution.rules.steering.overruling import Fail
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.integration.engine.test_engine_group_races import until_message
from tests.integration.engine.test_engine_groups import (
    child_of,
    deliver_orchestrators,
    raw_results,
    status,
    until_waiting,
)
from tests.support.checks.invariants import check_everything
from tests.support.child_plans import apply, calls, start
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness, failing_in

SIZE = {"size": {"type": "integer"}}


def counting(harness: Harness) -> None:
    """A definition that gives one more than its input."""
    node = {"id": "count", "handler": "sum", "config": {"inputs": ["{{ inputs.size }}"]}}
    apply(harness, "counting", nodes=[node], inputs=SIZE, outputs={"sum": "{{ count.result }}"})


def caller() -> Plan:
    """`a`, then a node that runs `counting` with what it gives, then `z`, which reads its outputs."""
    called = calls("call", "counting", ("a",), config={"inputs": {"size": "{{ a.result }}"}})
    last = {
        "id": "z",
        "handler": "sum",
        "config": {"inputs": ["{{ call.result.sum }}"]},
        "dependencies": ["call"],
    }
    return plan_from(nodes=[adds("a"), called, last])


@pytest.mark.proves("call-runs")
def test_a_definition_runs_as_a_child_with_inputs_of_its_own(harness: Harness) -> None:
    """Its outputs are the result of the node; both know of each other."""
    counting(harness)
    execution = harness.begin(caller())
    harness.drain()
    # a = 1, count = 2, z = 3
    assert raw_results(harness, execution) == {
        "a": {"result": 1},
        "call": {"result": {"sum": 2}},
        "z": {"result": 3},
    }
    child = child_of(harness, execution, "call")
    shown = status(harness, child)
    assert (shown.status, shown.name, shown.version) == ("completed", "counting", 1)
    assert not isinstance(shown.parent, msgspec.UnsetType)
    assert (shown.parent.execution_id, shown.parent.node, shown.parent.root) == (execution, "call", execution)
    assert shown.inputs == {"size": msgspec.Raw(b"1")}
    assert {stored.id for stored in check_everything(harness.client)} == {execution, child}


def levels(harness: Harness, tries: int = 1) -> str:
    """A workflow that runs `middle`, which runs `inner`, whose node `deep` adds one; returns an execution."""
    retry = {"max_attempts": tries, "delay_seconds": 1}
    apply(harness, "inner", nodes=[adds("deep")], outputs={"sum": "{{ deep.result }}"})
    apply(
        harness,
        "middle",
        nodes=[adds("x"), calls("inner", "inner", ("x",), retry=retry)],
        outputs={"sum": "{{ inner.result.sum }}"},
    )
    last = {
        "id": "z",
        "handler": "sum",
        "config": {"inputs": ["{{ middle.result.sum }}"]},
        "dependencies": ["middle"],
    }
    return harness.begin(plan_from(nodes=[adds("a"), calls("middle", "middle", ("a",)), last]))


def below(harness: Harness, execution: str) -> tuple[str, str]:
    """The children at both levels."""
    middle = child_of(harness, execution, "middle")
    return middle, child_of(harness, middle, "inner")


@pytest.mark.proves("call-goes-on")
def test_a_failed_child_says_which_node_and_goes_on(harness: Harness) -> None:
    """Through three levels: a trigger of the root runs what has failed, in the same executions."""
    harness.script = failing_in(1, "deep")
    execution = levels(harness)
    harness.drain()
    middle, inner = below(harness, execution)
    error = harness.api.executions.results(execution).errors["middle"]
    assert (error.code, error.caused_by) == ("child_failed", "inner")
    assert harness.api.executions.results(middle).errors["inner"].caused_by == "deep"
    before = len(harness.workers[0].invoker.calls)
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert below(harness, execution) == (middle, inner)
    assert status(harness, inner).run == 2
    again = [context.node_id for context in harness.workers[0].invoker.calls[before:]]
    assert again == ["deep", "$outputs", "$outputs", "z"]


def test_a_child_keeps_its_version_and_its_inputs_over_a_trigger(harness: Harness) -> None:
    """Whatever is applied meanwhile, and however its node's config would be rendered now."""
    counting(harness)
    harness.script = failing_in(1, "count")
    execution = harness.begin(caller())
    harness.drain()
    child = child_of(harness, execution, "call")
    apply(harness, "counting", nodes=[adds("other")], outputs={"sum": 7})
    harness.trigger(execution)
    harness.drain()
    assert child_of(harness, execution, "call") == child
    assert raw_results(harness, execution)["z"] == {"result": 3}
    assert status(harness, child).version == 1


def test_a_child_below_what_is_reset_is_another_one(harness: Harness) -> None:
    """Of the version in force then; the old one stays what it was."""
    counting(harness)
    execution = harness.begin(caller())
    harness.drain()
    before = child_of(harness, execution, "call")
    apply(harness, "counting", nodes=[adds("other")], inputs=SIZE, outputs={"sum": 7})
    harness.api.executions.rerun(execution, RerunAsked(Wanted("from", start_from=("a",))))
    harness.drain()
    after = child_of(harness, execution, "call")
    assert after != before
    assert (status(harness, before).version, status(harness, after).version) == (1, 2)
    assert raw_results(harness, execution)["z"] == {"result": 8}


@pytest.mark.proves("call-retried")
def test_a_retry_of_the_node_goes_on_in_the_same_child(harness: Harness) -> None:
    """Its next run, while the root is in its first."""

    def script(context: Context) -> None:
        if context.node_id == "deep" and context.attempt == 1:
            raise HandlerError("boom", "failed on purpose")

    harness.script = script
    execution = levels(harness, tries=2)
    harness.drain()
    _, inner = below(harness, execution)
    assert status(harness, execution).status == "completed"
    assert (status(harness, execution).run, status(harness, inner).run) == (1, 2)


@pytest.mark.proves("call-cancelled")
def test_cancel_reaches_executions_of_definitions_at_all_levels(harness: Harness) -> None:
    """And a trigger goes on in them."""
    execution = levels(harness)
    until_waiting(harness, "deep")
    harness.cancel(execution, "enough")
    deliver_orchestrators(harness)
    harness.drain()
    children = below(harness, execution)
    for each in (execution, *children):
        assert status(harness, each).status == "cancelled", each
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert below(harness, execution) == children


def test_a_pause_holds_executions_of_definitions(harness: Harness) -> None:
    """At all levels; a resume lets them go on."""
    execution = levels(harness)
    until_waiting(harness, "x")
    harness.api.executions.pause(execution)
    deliver_orchestrators(harness)
    middle = child_of(harness, execution, "middle")
    assert status(harness, middle).status == "paused"
    harness.drain()
    assert harness.statuses(middle) == {"x": "completed", "inner": "pending"}
    harness.api.executions.resume(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"


def test_a_child_that_is_cancelled_alone_fails_its_node_for_good(harness: Harness) -> None:
    """With the reason that the caller has given."""
    execution = levels(harness, tries=3)
    until_waiting(harness, "deep")
    middle, inner = below(harness, execution)
    harness.cancel(inner, "not this one")
    harness.drain()
    error = harness.api.executions.results(middle).errors["inner"]
    assert error.code == "child_cancelled"
    assert "not this one" in error.message


@pytest.mark.parametrize("command", ["pause", "resume", "trigger", "rerun", "delete"])
def test_what_may_not_be_asked_of_such_a_child_names_the_root(harness: Harness, command: str) -> None:
    """It goes as its root does."""
    execution = levels(harness)
    harness.drain()
    _, inner = below(harness, execution)
    executions = harness.api.executions
    asked: dict[str, Callable[[], object]] = {
        "pause": lambda: executions.pause(inner),
        "resume": lambda: executions.resume(inner),
        "trigger": lambda: harness.trigger(inner),
        "rerun": lambda: executions.rerun(inner, RerunAsked(Wanted("all"))),
        "delete": lambda: harness.delete(inner),
    }
    with pytest.raises(WrongStateError, match=execution):
        asked[command]()


def test_an_operator_who_ends_the_node_stops_its_execution(harness: Harness) -> None:
    """Nobody waits for it any more."""
    execution = levels(harness)
    until_waiting(harness, "deep")
    middle, inner = below(harness, execution)
    harness.overrule(execution, "middle", Fail("wrong", "not like this"))
    deliver_orchestrators(harness)
    harness.drain()
    assert status(harness, execution).status == "failed"
    assert (status(harness, middle).status, status(harness, inner).status) == ("cancelled", "cancelled")


@pytest.mark.proves("call-deleted")
def test_deleting_the_root_removes_executions_of_definitions_below_it(harness: Harness) -> None:
    """No key of any of them is left."""
    execution = levels(harness)
    harness.drain()
    harness.delete(execution)
    harness.drain()
    assert list(harness.client.scan_iter("fe:x:*")) == []
    assert not harness.client.exists("fe:nested")


def test_a_child_has_the_time_that_its_node_names(harness: Harness) -> None:
    """Past it the node fails with `timeout`, and what runs below is stopped."""
    apply(harness, "slow", nodes=[{"id": "hold", "handler": "wait", "config": {"seconds": 3600}}])
    execution = harness.begin(plan_from(nodes=[calls("call", "slow", timeout_seconds=30)]))
    until_waiting(harness, "hold")
    harness.run_tasks()
    deliver_orchestrators(harness)
    assert harness.end_runs() == 1
    harness.drain()
    error = harness.api.executions.results(execution).errors["call"]
    assert (error.code, error.message) == ("timeout", "it did not end within its timeout_seconds (30 s)")


def test_a_group_runs_a_definition_and_a_definition_runs_a_group(harness: Harness) -> None:
    """Each reads what is around it up to its own document."""
    inside = group(
        "pair", adds("left", after=()), adds("right", "left"), outputs={"sum": "{{ right.result }}"}
    )
    apply(harness, "grouped", nodes=[inside], outputs={"sum": "{{ pair.result.sum }}"})
    outer = group("outer", adds("x", "a", after=()), calls("call", "grouped", ("x",)), after=("a",))
    execution = harness.begin(plan_from(nodes=[adds("a"), outer]))
    harness.drain()
    assert raw_results(harness, execution)["outer"] == {"result": {"call": {"sum": 2}}}
    assert len(check_everything(harness.client)) == len(("root", "outer", "grouped", "pair"))


# -- what cannot be run


def test_an_unknown_definition_fails_its_node_for_good(harness: Harness) -> None:
    """Once it is applied, a trigger runs it."""
    retry = {"max_attempts": 3, "delay_seconds": 1}
    execution = harness.begin(plan_from(nodes=[calls("call", "later", retry=retry)]))
    harness.drain()
    error = harness.api.executions.results(execution).errors["call"]
    assert (error.code, error.message) == (
        "unknown_definition",
        "there is no definition 'later': apply it first",
    )
    assert status(harness, execution).nodes[0].attempt == 1
    apply(harness, "later", nodes=[adds("a")])
    harness.trigger(execution)
    harness.drain()
    assert raw_results(harness, execution)["call"] == {"result": {}}


def test_a_version_that_is_named_and_not_there_fails_the_node(harness: Harness) -> None:
    """Whatever version is in force."""
    apply(harness, "known", nodes=[adds("a")])
    execution = harness.begin(plan_from(nodes=[calls("call", "known", config={"version": 4})]))
    harness.drain()
    error = harness.api.executions.results(execution).errors["call"]
    assert (error.code, "version 4 of definition 'known'" in error.message) == ("unknown_definition", True)


def test_a_definition_that_is_deleted_before_its_child_is_made_is_unknown(harness: Harness) -> None:
    """The next try looks for it anew."""
    apply(harness, "brief", nodes=[adds("a")])
    execution = harness.begin(plan_from(nodes=[calls("call", "brief")]))
    until_message(harness, "tend_child")
    harness.api.executions.definitions.delete("brief")
    harness.drain()
    error = harness.api.executions.results(execution).errors["call"]
    assert (error.code, "was deleted" in error.message) == ("unknown_definition", True)
    apply(harness, "brief", nodes=[adds("a")])
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"


def test_inputs_that_the_definition_does_not_take_fail_the_node(harness: Harness) -> None:
    """No execution is made for them."""
    counting(harness)
    execution = harness.begin(plan_from(nodes=[calls("call", "counting", config={"inputs": {"sise": 1}})]))
    harness.drain()
    error = harness.api.executions.results(execution).errors["call"]
    assert error.code == "child_inputs_invalid"
    assert "/inputs/sise: there is no input 'sise'; did you mean 'size'?" in error.message
    assert len(check_everything(harness.client)) == 1


@pytest.mark.proves("call-depth")
def test_a_workflow_that_runs_itself_stops_eight_deep(harness: Harness) -> None:
    """The ninth is not made, and the failure comes up through all of them."""
    apply(harness, "endless", nodes=[calls("again", "endless")])
    execution = start(harness, "endless")
    harness.drain()
    assert status(harness, execution).status == "failed"
    assert len(check_everything(harness.client)) == 1 + MAX_DEPTH
    deepest = execution
    for _ in range(MAX_DEPTH):
        deepest = child_of(harness, deepest, "again")
    error = harness.api.executions.results(deepest).errors["again"]
    assert (error.code, "the limit is 8" in error.message) == ("nested_too_deep", True)


def test_there_is_a_limit_on_the_executions_below_a_root(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is beyond it fails, and says so."""
    monkeypatch.setattr(child_making, "MAX_BELOW", 2)
    apply(harness, "small", nodes=[adds("a")])
    execution = harness.begin(plan_from(nodes=[calls(f"c{number}", "small") for number in range(3)]))
    harness.drain()
    shown = status(harness, execution)
    assert sorted(node.status for node in shown.nodes) == ["completed", "completed", "failed"]
    (error,) = harness.api.executions.results(execution).errors.values()
    assert error.code == "too_many_children"


def test_a_thousand_children_run_at_once(harness: Harness, no_logs: None) -> None:
    """Each message makes one, and the root ends with the last of them."""
    apply(harness, "small", nodes=[adds("a")])
    nodes = [calls(f"c{number}", "small") for number in range(1000)]
    execution = harness.begin(plan_from(nodes=nodes))
    harness.drain()
    shown = status(harness, execution)
    assert shown.status == "completed"
    assert not isinstance(shown.children, msgspec.UnsetType)
    assert shown.children.count == 1000


COUNTS: dict[str, Any] = {
    "nodes": [{"id": "count", "handler": "sum", "config": {"inputs": ["{{ inputs.size }}"]}}],
    "inputs": {"size": {"type": "integer"}},
    "outputs": {"sum": "{{ count.result }}"},
}


@pytest.mark.proves("call-repeats")
@pytest.mark.parametrize("collect", [False, True])
def test_a_definition_runs_again_and_again(harness: Harness, collect: bool) -> None:
    """Each iteration is a child with inputs of its own, which read what the one before has given."""
    apply(harness, "counting", **COUNTS)
    repeat = {"until": "{{ call.result.sum >= 6 }}", "collect": collect, "delay_seconds": 1}
    inputs = {"size": "{{ (previous.sum | default(0)) + iteration }}"}
    again = calls("call", "counting", repeat=repeat, config={"inputs": inputs})
    last = {
        "id": "z",
        "handler": "sum",
        "config": {"inputs": ["{{ call.iterations }}"]},
        "dependencies": ["call"],
    }
    execution = harness.begin(plan_from(nodes=[again, last]))
    harness.drain()
    found = harness.api.executions.results(execution)
    assert found.status == "completed", found
    # 1 and 1; 2 + 2 and 1; 5 + 3 and 1.
    given = [{"sum": 2}, {"sum": 5}, {"sum": 9}]
    said = msgspec.json.decode(found.results["call"])
    assert said == {"result": given if collect else given[-1], "iterations": 3}
    # The execution, three iterations, and what each of them runs.
    assert len(check_everything(harness.client)) == 7


@pytest.mark.proves("call-repeats", "call-goes-on")
def test_a_trigger_goes_on_in_the_iteration_whose_definition_has_failed(harness: Harness) -> None:
    """In the same execution of it, with its inputs; those before are not run again."""
    apply(harness, "counting", **COUNTS)
    ran: list[int] = []

    def script(context: Context) -> None:
        if context.node_id == "count":
            ran.append(context.run)
            if len(ran) == 2:
                raise HandlerError("boom", "on purpose")

    harness.script = script
    again = calls(
        "call",
        "counting",
        repeat={"until": "{{ iteration == 3 }}"},
        config={"inputs": {"size": "{{ iteration }}"}},
    )
    execution = harness.begin(plan_from(nodes=[again]))
    harness.drain()
    error = harness.api.executions.results(execution).errors["call"]
    assert (error.code, error.caused_by) == ("child_failed", "count")
    kept = len(check_everything(harness.client))
    harness.trigger(execution)
    harness.drain()
    said = msgspec.json.decode(harness.api.executions.results(execution).results["call"])
    assert said == {"result": {"sum": 4}, "iterations": 3}
    assert ran == [1, 1, 2, 1]
    assert len(check_everything(harness.client)) == kept + 2


@pytest.mark.proves("call-repeats", "call-cancelled")
def test_a_cancel_stops_the_definition_that_an_iteration_runs(harness: Harness) -> None:
    """At all levels. The next run begins with that iteration."""
    apply(harness, "counting", **COUNTS)
    again = calls(
        "call",
        "counting",
        repeat={"until": "{{ iteration == 2 }}"},
        config={"inputs": {"size": "{{ iteration }}"}},
    )
    stopped: list[str] = []

    def script(context: Context) -> None:
        if context.node_id == "count" and not stopped:
            stopped.append(context.execution_id)
            harness.cancel(execution)

    harness.script = script
    execution = harness.begin(plan_from(nodes=[again]))
    harness.drain()
    assert harness.statuses(execution) == {"call": "cancelled"}
    assert {one.status for one in check_everything(harness.client)} <= {"cancelled", "completed"}
    harness.trigger(execution)
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"
    check_everything(harness.client)


@pytest.mark.proves("call-repeats", "item-apart-call")
def test_a_definition_runs_again_and_again_for_each_item(harness: Harness) -> None:
    """The map is outside, the repetition inside."""
    apply(harness, "counting", **COUNTS)
    again = calls(
        "call",
        "counting",
        map={"items": [10, 20]},
        repeat={"until": "{{ iteration == 2 }}"},
        config={"inputs": {"size": "{{ item + iteration }}"}},
    )
    execution = harness.begin(plan_from(nodes=[again]))
    harness.drain()
    said = msgspec.json.decode(harness.api.executions.results(execution).results["call"])
    assert said["result"] == [{"sum": 13}, {"sum": 23}]
    check_everything(harness.client)


# -- what the outputs must be

NUMBERS: dict[str, Any] = {
    "$defs": {"few": {"type": "number", "maximum": 5}},
    "type": "object",
    "properties": {"sum": {"$ref": "#/$defs/few"}},
    "required": ["sum"],
}


def limited(size: Any, **more: Any) -> Plan:
    """A node that runs `counting` with this; what that gives may be 5 at most."""
    fields = {"config": {"inputs": {"size": size}}, "output_schema": NUMBERS, **more}
    return plan_from(nodes=[calls("call", "counting", **fields), adds("after", after=("call",))])


@pytest.mark.proves("call-outputs-checked")
def test_the_outputs_of_a_definition_are_what_its_node_says(harness: Harness) -> None:
    """Else the node fails as any does, for good: it is not tried again."""
    counting(harness)
    fine = harness.begin(limited(4))
    wrong = harness.begin(limited(5, retry={"max_attempts": 3, "delay_seconds": 1}))
    harness.drain()
    assert harness.statuses(fine) == {"call": "completed", "after": "completed"}
    assert harness.statuses(wrong) == {"call": "failed", "after": "failed"}
    error = harness.api.executions.results(wrong).errors["call"]
    assert (error.code, error.caused_by) == ("output_invalid", None)
    assert "/sum" in error.message
    assert harness.api.executions.node(wrong, "call").attempt == 1
    assert status(harness, child_of(harness, wrong, "call")).status == "failed"
    # The definition is as it was: who says no schema is given anything.
    plain = harness.begin(limited(5, output_schema=None))
    harness.drain()
    assert raw_results(harness, plain)["call"] == {"result": {"sum": 6}}
    check_everything(harness.client)


@pytest.mark.proves("call-outputs-checked")
@pytest.mark.parametrize(("size", "code"), [(2, "output_invalid"), (4, None), (6, "output_invalid")])
def test_an_end_of_a_definition_is_checked_by_its_own_schema_as_well(
    harness: Harness, size: int, code: str | None
) -> None:
    """What it gives must be what both say, each with its own definitions."""
    own = {"$defs": {"few": {"minimum": 3}}, "properties": {"sum": {"$ref": "#/$defs/few"}}}
    config = {"status": "completed", "outputs": {"sum": size}}
    end = {"id": "e", "handler": "end", "config": config, "dependencies": ["a"], "output_schema": own}
    apply(harness, "ending", nodes=[adds("a"), end], outputs={"sum": 0})
    execution = harness.begin(plan_from(nodes=[calls("call", "ending", output_schema=NUMBERS)]))
    harness.drain()
    errors = harness.api.executions.results(execution).errors
    assert (errors["call"].code if errors else None) == code
    check_everything(harness.client)


@pytest.mark.proves("call-outputs-checked")
def test_a_definition_without_outputs_is_not_run_for_a_schema_of_them(harness: Harness) -> None:
    """Once it has some, a trigger runs it."""
    apply(harness, "silent", nodes=[adds("a")])
    execution = harness.begin(plan_from(nodes=[calls("call", "silent", output_schema=NUMBERS)]))
    harness.drain()
    error = harness.api.executions.results(execution).errors["call"]
    assert (error.code, "version 1 of definition 'silent' has no 'outputs'" in error.message) == (
        "output_invalid",
        True,
    )
    assert len(check_everything(harness.client)) == 1
    apply(harness, "silent", nodes=[adds("a")], outputs={"sum": "{{ a.result }}"})
    harness.trigger(execution)
    harness.drain()
    assert raw_results(harness, execution)["call"] == {"result": {"sum": 1}}


def test_an_id_is_not_checked_as_outputs_are(harness: Harness) -> None:
    """Where a template says that nobody waits for the end, nothing is begun."""
    counting(harness)
    config = {"wait": "{{ false }}", "inputs": {"size": 1}}
    execution = harness.begin(limited(1, config=config))
    harness.drain()
    error = harness.api.executions.results(execution).errors["call"]
    assert (error.code, "'wait: false'" in error.message) == ("output_invalid", True)
    assert len(check_everything(harness.client)) == 1


@pytest.mark.proves("call-outputs-checked", "item-apart-call", "call-repeats")
def test_the_outputs_of_each_item_and_iteration_are_checked(harness: Harness) -> None:
    """It fails by itself."""
    counting(harness)
    each = limited("{{ item }}", map={"items": [1, 7], "tolerated_failures": 1})
    again = limited("{{ 3 * iteration }}", repeat={"until": "{{ iteration == 3 }}"})
    mapped, repeated = harness.begin(each), harness.begin(again)
    harness.drain()
    found = msgspec.json.decode(harness.api.executions.results(mapped).results["call"])
    assert (found["result"], found["counts"]["failed"]) == ([{"sum": 2}, None], 1)
    items = harness.api.executions.items(
        mapped, "call", statuses=frozenset(), begin=0, with_results=False, limit=10, cursor=None
    ).items
    assert [item.error and item.error.code for item in items] == [None, "output_invalid"]
    shown = harness.api.executions.node(repeated, "call")
    assert (shown.error and shown.error.code, shown.iteration) == ("output_invalid", 2)
    check_everything(harness.client)
