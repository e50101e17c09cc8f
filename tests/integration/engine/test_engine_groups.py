"""Groups: nodes that run as child executions, from their opening to their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import WrongStateError
from flowengine.execution.messages import RunNode
from flowengine.execution.requests.listing import Wanted as ListWanted
from flowengine.execution.rules.steering.overruling import Skip
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.times import moment
from flowengine.execution.views.executions import ExecutionView
from flowengine.plugin import Context, HandlerError
from flowengine.queues import GROUP
from flowengine.workflow.plan import Plan
from tests.support.checks.invariants import check_everything
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Entry, Harness, failing_in


def nested() -> Plan:
    """`a`, then a group that reads it, in which stands another, then `z`, which reads the group."""
    inner = group("inner", adds("deep", "x", "a", after=()), after=("x",))
    outer = group(
        "outer", adds("x", "a", after=()), inner, after=("a",), outputs={"sum": "{{ inner.result.deep }}"}
    )
    last = {
        "id": "z",
        "handler": "sum",
        "config": {"inputs": ["{{ outer.result.sum }}"]},
        "dependencies": ["outer"],
    }
    return plan_from(nodes=[adds("a"), outer, last])


def status(harness: Harness, execution: str) -> ExecutionView:
    """What the API shows of it."""
    return harness.api.executions.status(execution)


def child_of(harness: Harness, execution: str, node: str) -> str:
    """The child that a node stands for."""
    shown = next(each for each in status(harness, execution).nodes if each.id == node)
    assert not isinstance(shown.child, msgspec.UnsetType), f"{node} stands for nothing"
    return shown.child


def raw_results(harness: Harness, execution: str) -> dict[str, Any]:
    """What each node has given."""
    found = harness.api.executions.results(execution).results
    return {node: msgspec.json.decode(result) for node, result in found.items()}


def test_group_runs_as_an_execution_of_its_own(harness: Harness) -> None:
    """Its nodes read what is around it, and what is outside reads its outputs."""
    execution = harness.begin(nested())
    harness.drain()
    view = status(harness, execution)
    assert view.status == "completed", view
    # a = 1, x = 2, deep = 1 + 2 + 1 = 4, z = 5
    assert raw_results(harness, execution) == {
        "a": {"result": 1},
        "outer": {"result": {"sum": 4}},
        "z": {"result": 5},
    }
    outer = child_of(harness, execution, "outer")
    inner = child_of(harness, outer, "inner")
    shown = status(harness, inner)
    assert (shown.status, shown.name) == ("completed", "inner")
    assert not isinstance(shown.parent, msgspec.UnsetType)
    assert (shown.parent.execution_id, shown.parent.node, shown.parent.root) == (outer, "inner", execution)
    assert not isinstance(view.children, msgspec.UnsetType)
    assert view.children.count == 1
    assert {stored.id for stored in check_everything(harness.client)} == {execution, outer, inner}


@pytest.mark.proves("group-goes-on")
def test_a_failed_group_says_which_node_and_goes_on_in_the_same_child(harness: Harness) -> None:
    """A trigger runs only what has failed in it, and what is behind it."""
    harness.script = failing_in(1, "deep")
    execution = harness.begin(nested())
    harness.drain()
    error = harness.api.executions.results(execution).errors["outer"]
    assert (error.code, error.caused_by) == ("group_failed", "inner")
    assert "deep failed on purpose" in error.message
    outer = child_of(harness, execution, "outer")
    inner = child_of(harness, outer, "inner")
    assert harness.api.executions.results(outer).errors["inner"].caused_by == "deep"
    calls = [context.node_id for worker in harness.workers for context in worker.invoker.calls]
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert (child_of(harness, execution, "outer"), child_of(harness, outer, "inner")) == (outer, inner)
    again = [context.node_id for worker in harness.workers for context in worker.invoker.calls][len(calls) :]
    assert again == ["deep", "$outputs", "z"]
    assert status(harness, inner).run == 2
    check_everything(harness.client)


def test_a_group_below_what_is_reset_begins_anew(harness: Harness) -> None:
    """It stands for another child then, and the old one stays what it was."""
    execution = harness.begin(nested())
    harness.drain()
    before = child_of(harness, execution, "outer")
    harness.api.executions.rerun(execution, RerunAsked(Wanted("from", start_from=("a",))))
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert child_of(harness, execution, "outer") != before
    assert status(harness, before).status == "completed"
    check_everything(harness.client)


@pytest.mark.proves("group-cancelled")
def test_cancel_reaches_all_levels(harness: Harness) -> None:
    """The nodes inside are stopped first, then those that stand for them, then the root."""
    execution = harness.begin(nested())
    until_waiting(harness, "deep")
    outer = child_of(harness, execution, "outer")
    inner = child_of(harness, outer, "inner")
    assert harness.cancel(execution, "enough") == "cancelling"
    deliver_orchestrators(harness)
    harness.drain()
    for each in (execution, outer, inner):
        assert status(harness, each).status == "cancelled", each
    assert harness.statuses(execution) == {"a": "completed", "outer": "cancelled", "z": "cancelled"}
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert child_of(harness, execution, "outer") == outer


@pytest.mark.proves("group-child-cancelled")
def test_a_child_that_is_cancelled_alone_fails_its_node(harness: Harness) -> None:
    """With a code of its own, and the reason."""
    execution = harness.begin(nested())
    until_waiting(harness, "deep")
    outer = child_of(harness, execution, "outer")
    harness.cancel(child_of(harness, outer, "inner"), "not this one")
    harness.drain()
    error = harness.api.executions.results(outer).errors["inner"]
    assert error.code == "child_cancelled"
    assert "not this one" in error.message
    assert status(harness, execution).status == "failed"


@pytest.mark.proves("group-held")
def test_a_pause_holds_all_levels_and_a_resume_lets_them_go_on(harness: Harness) -> None:
    """What runs ends, and nothing follows until then."""
    execution = harness.begin(nested())
    until_waiting(harness, "x")
    outer = child_of(harness, execution, "outer")
    harness.api.executions.pause(execution)
    deliver_orchestrators(harness)
    assert status(harness, outer).status == "paused"
    harness.drain()
    assert harness.statuses(outer) == {"x": "completed", "inner": "pending"}
    harness.api.executions.resume(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"


@pytest.mark.parametrize("command", ["pause", "resume", "trigger", "rerun", "delete"])
def test_what_may_not_be_asked_of_a_child_names_the_root(harness: Harness, command: str) -> None:
    """It goes as its root does."""
    execution = harness.begin(nested())
    harness.drain()
    child = child_of(harness, execution, "outer")
    executions = harness.api.executions
    asked: dict[str, Callable[[], object]] = {
        "pause": lambda: executions.pause(child),
        "resume": lambda: executions.resume(child),
        "trigger": lambda: harness.trigger(child),
        "rerun": lambda: executions.rerun(child, RerunAsked(Wanted("all"))),
        "delete": lambda: harness.delete(child),
    }
    with pytest.raises(WrongStateError, match=execution):
        asked[command]()


@pytest.mark.proves("group-deleted")
def test_deleting_the_root_removes_all_below_it(harness: Harness) -> None:
    """No key of any of them is left."""
    execution = harness.begin(nested())
    harness.drain()
    harness.delete(execution)
    harness.drain()
    assert list(harness.client.scan_iter("fe:x:*")) == []
    assert not harness.client.exists("fe:nested")


def test_children_stay_as_long_as_their_root(harness: Harness) -> None:
    """Also those that its next run does not run again."""

    def lifetimes(child: str) -> set[bool]:
        return {harness.client.ttl(key) > 0 for key in harness.client.keys(f"fe:x:{child}*")}

    harness.script = failing_in(1, "b")
    each = {**adds("each"), "map": {"items": [1, 2]}}
    execution = harness.begin(plan_from(nodes=[group("g", adds("one"), each), adds("b")]))
    harness.drain()
    child = child_of(harness, execution, "g")
    assert harness.client.exists(harness.keys.items_ended(child, "each"))
    assert lifetimes(child) == {True}
    harness.trigger(execution)
    deliver_orchestrators(harness)
    assert lifetimes(child) == {False}
    harness.drain()
    assert lifetimes(child) == {True}
    check_everything(harness.client)


def test_children_are_listed_by_their_parent_only(harness: Harness) -> None:
    """Other lists do not show them."""
    execution = harness.begin(nested())
    harness.drain()
    executions = harness.api.executions
    outer = child_of(harness, execution, "outer")
    shown = [each.execution_id for each in executions.list(ListWanted(), limit=10).items]
    assert shown == [execution]
    below = [each.execution_id for each in executions.list(ListWanted(parent=execution), limit=10).items]
    assert below == [outer]
    deeper = [each.execution_id for each in executions.list(ListWanted(parent=outer), limit=10).items]
    assert deeper == [child_of(harness, outer, "inner")]


@pytest.mark.proves("group-overruled")
def test_an_operator_who_ends_an_open_node_stops_its_child(harness: Harness) -> None:
    """Nobody waits for it any more; the execution goes on at once."""
    execution = harness.begin(nested())
    until_waiting(harness, "deep")
    outer = child_of(harness, execution, "outer")
    assert harness.overrule(execution, "outer", Skip()) == "skipped"
    harness.drain()
    assert status(harness, outer).status == "cancelled"
    assert harness.statuses(execution) == {"a": "completed", "outer": "skipped", "z": "skipped"}
    check_everything(harness.client)


def test_a_group_with_a_condition_is_opened_by_its_task(harness: Harness) -> None:
    """If the condition is false, it is skipped, and no child is made."""
    opens = group("yes", adds("one"), after=("a",), when="{{ a.result == 1 }}")
    skips = group("no", adds("two"), after=("a",), when="{{ a.result == 2 }}")
    execution = harness.begin(plan_from(nodes=[adds("a"), opens, skips]))
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "yes": "completed", "no": "skipped"}
    assert raw_results(harness, execution)["yes"] == {"result": {"one": 1}}
    check_everything(harness.client)


def test_a_group_without_outputs_gives_its_last_nodes(harness: Harness) -> None:
    """Those that were skipped are left out."""
    nodes = [adds("one"), adds("two", "one"), adds("three", "one", when="{{ one.result == 9 }}")]
    execution = harness.begin(plan_from(nodes=[group("g", *nodes)]))
    harness.drain()
    assert raw_results(harness, execution) == {"g": {"result": {"two": 2}}}


def test_outputs_that_cannot_be_made_fail_the_group(harness: Harness) -> None:
    """`caused_by` says so."""
    plan = plan_from(nodes=[group("g", adds("one"), outputs={"x": "{{ one.nothing }}"})])
    execution = harness.begin(plan)
    harness.drain()
    error = harness.api.executions.results(execution).errors["g"]
    assert (error.code, error.caused_by) == ("group_failed", "output_failed")


def test_an_end_in_a_group_ends_the_group_alone(harness: Harness) -> None:
    """Its outputs are the group's; what had not begun there is skipped."""
    end = {"id": "stop", "handler": "end", "config": {"outputs": {"early": True}}, "dependencies": ["one"]}
    inside = group("g", adds("one"), end, adds("two", after=("stop",)))
    execution = harness.begin(plan_from(nodes=[inside, adds("z", after=("g",))]))
    harness.drain()
    assert raw_results(harness, execution)["g"] == {"result": {"early": True}}
    assert status(harness, execution).status == "completed"
    assert harness.statuses(child_of(harness, execution, "g"))["two"] == "skipped"


def test_an_end_that_says_failed_fails_the_group(harness: Harness) -> None:
    """`caused_by: ended`, with its message."""
    end = {"id": "stop", "handler": "end", "config": {"status": "failed", "message": "no more"}}
    execution = harness.begin(plan_from(nodes=[group("g", end)]))
    harness.drain()
    error = harness.api.executions.results(execution).errors["g"]
    assert (error.code, error.caused_by) == ("group_failed", "ended")
    assert "no more" in error.message


def test_a_retry_of_a_group_goes_on_in_its_child(harness: Harness) -> None:
    """After the pause, what has failed in it runs again."""

    def script(context: Context) -> None:
        if context.node_id == "two" and context.run == 1:
            raise HandlerError("boom", "at first")

    harness.script = script
    inside = group("g", adds("one"), adds("two", "one"), retry={"max_attempts": 2, "delay_seconds": 1})
    execution = harness.begin(plan_from(nodes=[inside]))
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert status(harness, child_of(harness, execution, "g")).run == 2
    ran = [context.node_id for context in harness.workers[0].invoker.calls]
    assert ran == ["one", "two", "two"]


def test_the_time_of_a_group_is_its_own(harness: Harness) -> None:
    """Past it, the node fails with `timeout`."""
    execution = harness.begin(plan_from(nodes=[group("g", adds("one"), timeout_seconds=60)]))
    until_waiting(harness, "one")
    harness.end_runs()
    harness.drain()
    assert harness.api.executions.results(execution).errors["g"].code == "timeout"


def test_whatever_is_delivered_twice_or_late_changes_nothing(harness: Harness) -> None:
    """The messages about a child may come again at any moment, to two orchestrators."""
    harness.second_orchestrator()
    execution = harness.begin(nested())
    seen: list[Entry] = []
    for _ in range(200):
        waiting = harness.waiting("orchestrator")
        if not waiting and not harness.tasks():
            break
        for entry in waiting:
            harness.deliver(harness.orchestrators[0], entry)
            seen += [entry] if entry.actor == "tend_child" else []
        for entry in seen:
            _again(harness, entry)
        harness.run_tasks()
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert len(harness.workers[0].invoker.calls) == 5
    check_everything(harness.client)


@pytest.mark.proves("group-message-lost")
@pytest.mark.corrupts("drops messages, as nothing else does")
def test_the_sweep_finds_a_child_whose_message_is_lost(harness: Harness) -> None:
    """That it was to be made, or that it has ended."""
    execution = harness.begin(nested())
    sweep = harness.orchestrators[0].sweep
    for _ in range(20):
        for entry in harness.waiting("orchestrator"):
            if entry.actor == "tend_child":
                harness.client.xack(harness.stream("orchestrator"), "fe", entry.id)
                harness.client.xdel(harness.stream("orchestrator"), entry.id)
            else:
                harness.deliver(harness.orchestrators[0], entry)
        harness.run_tasks()
        sweep.run()
        sweep.run()
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        harness.run_tasks()
        if status(harness, execution).status == "completed":
            break
    assert status(harness, execution).status == "completed"
    assert sweep.repaired >= 2


def _again(harness: Harness, entry: Entry) -> None:
    """Deliver what was dealt with once more."""
    fields = ["a", entry.actor, "p3", entry.payload]
    harness.client.execute_command("XADD", harness.stream("orchestrator"), "*", *fields)
    for waiting in harness.waiting("orchestrator"):
        if waiting.payload == entry.payload:
            harness.deliver(harness.orchestrators[1], waiting)


def until_waiting(harness: Harness, node: str) -> None:
    """Go on until the task of this node waits for a worker."""
    for _ in range(50):
        deliver_orchestrators(harness)
        names = [msgspec.json.decode(entry.payload, type=RunNode).node for entry in harness.tasks()]
        if node in names:
            return
        harness.run_tasks()
    raise AssertionError(f"{node} was never sent")


def deliver_orchestrators(harness: Harness) -> None:
    while waiting := harness.waiting("orchestrator"):
        for entry in waiting:
            harness.deliver(harness.orchestrators[0], entry)


NUMBERS: dict[str, Any] = {
    "type": "object",
    "properties": {"x": {"type": "number", "maximum": 5}},
    "required": ["x"],
}


def limited(size: int, *more: dict[str, Any], **fields: Any) -> Plan:
    """A group whose `x` is this, and may be 5 at most."""
    one = {"id": "one", "handler": "sum", "config": {"inputs": [size - 1]}}
    given = {"outputs": {"x": "{{ one.result }}"}, "output_schema": NUMBERS, **fields}
    return plan_from(nodes=[group("g", one, *more, **given), adds("after", after=("g",))])


@pytest.mark.proves("group-outputs-checked")
def test_the_outputs_of_a_group_are_what_its_schema_says(harness: Harness) -> None:
    """Else the node fails as any does, for good: it is not tried again."""
    fine = harness.begin(limited(5))
    wrong = harness.begin(limited(6, retry={"max_attempts": 3, "delay_seconds": 1}))
    harness.drain()
    assert harness.statuses(fine) == {"g": "completed", "after": "completed"}
    assert harness.statuses(wrong) == {"g": "failed", "after": "failed"}
    error = harness.api.executions.results(wrong).errors["g"]
    assert (error.code, error.caused_by) == ("output_invalid", None)
    assert "/x" in error.message
    assert harness.api.executions.node(wrong, "g").attempt == 1
    check_everything(harness.client)


@pytest.mark.proves("group-outputs-checked")
@pytest.mark.parametrize("size", [5, 6])
def test_an_end_in_a_group_is_checked_by_its_schema(harness: Harness, size: int) -> None:
    """It is what gives the group's outputs then."""
    config = {"status": "completed", "outputs": {"x": size}}
    end = {"id": "e", "handler": "end", "config": config, "dependencies": ["one"]}
    execution = harness.begin(limited(1, end))
    harness.drain()
    errors = harness.api.executions.results(execution).errors
    assert (errors["g"].code if errors else None) == (None if size == 5 else "output_invalid")
    check_everything(harness.client)


@pytest.mark.proves("group-outputs-checked")
def test_each_item_and_iteration_of_a_group_is_checked(harness: Harness) -> None:
    """It fails by itself."""
    one = {"id": "one", "handler": "sum", "config": {"inputs": ["{{ item }}"]}}
    given: dict[str, Any] = {"outputs": {"x": "{{ one.result }}"}, "output_schema": NUMBERS}
    items = {"items": [1, 7], "tolerated_failures": 1}
    inner = {"id": "two", "handler": "sum", "config": {"inputs": ["{{ 3 * iteration }}"]}}
    repeat = {"until": "{{ iteration == 3 }}"}
    again: dict[str, Any] = {**given, "outputs": {"x": "{{ two.result }}"}, "repeat": repeat}
    execution = harness.begin(
        plan_from(nodes=[group("g", one, map=items, **given), group("h", inner, **again)])
    )
    harness.drain()
    page = harness.api.executions.items(
        execution, "g", statuses=frozenset(), begin=0, with_results=False, limit=5, cursor=None
    )
    assert [item.error.code if item.error else None for item in page.items] == [None, "output_invalid"]
    shown = harness.api.executions.node(execution, "h")
    assert (shown.error and shown.error.code, shown.iteration) == ("output_invalid", 2)
    check_everything(harness.client)


def _boom(context: Context) -> None:
    raise HandlerError("boom", "boom")


def tried_under(condition: str, **retry: Any) -> Plan:
    """A group that is tried again under this condition."""
    said: dict[str, Any] = {"retry": {"max_attempts": 3, "delay_seconds": 5, "when": condition, **retry}}
    return plan_from(nodes=[group("g", adds("one", after=()), **said)])


@pytest.mark.proves("group-retry-asked")
@pytest.mark.parametrize(
    ("condition", "tries"),
    [
        ("{{ error.code == 'group_failed' and 'boom' in error.message }}", 3),
        ("{{ attempt < 2 }}", 2),
        ("{{ false }}", 1),
        ("{{ 'no' }}", 1),
    ],
)
def test_a_group_is_tried_again_if_its_condition_says_so(
    harness: Harness, condition: str, tries: int
) -> None:
    """A worker is asked once its child has failed, with the error of the group."""
    harness.script = _boom
    execution = harness.begin(tried_under(condition))
    harness.drain()
    node = harness.api.executions.node(execution, "g")
    assert (node.status, node.attempt) == ("failed", tries)
    assert [call.node_id for call in harness.workers[0].invoker.calls] == ["one"] * tries
    expected = "when_not_boolean" if "no" in condition else "group_failed"
    assert node.error is not None
    assert node.error.code == expected
    check_everything(harness.client)


@pytest.mark.proves("group-retry-asked")
@pytest.mark.parametrize("stopped", [False, True])
def test_while_an_execution_is_paused_no_group_is_asked_about(harness: Harness, *, stopped: bool) -> None:
    """It is asked when the execution goes on; one that is stopped before is cancelled."""
    harness.script = _boom
    execution = harness.begin(tried_under("{{ false }}"))
    while not (tasks := harness.tasks()):
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
    harness.api.executions.pause(execution)
    harness.deliver(harness.workers[0], *tasks)
    harness.drain()
    assert harness.statuses(execution)["g"] in ("waiting", "open")
    if stopped:
        harness.cancel(execution)
    else:
        harness.api.executions.resume(execution)
    harness.drain()
    assert harness.statuses(execution)["g"] == ("cancelled" if stopped else "failed")
    assert len(harness.workers[0].invoker.calls) == 1
    tries = harness.api.executions.node(execution, "g").attempts
    assert [(each.attempt, each.error and each.error.code) for each in tries] == [(1, "group_failed")]
    check_everything(harness.client)


@pytest.mark.proves("group-retry-asked")
def test_a_question_that_was_lost_is_asked_again(harness: Harness) -> None:
    """By the sweep; the child does not run meanwhile."""
    harness.script = _boom
    execution = harness.begin(tried_under("{{ false }}"))
    for _ in range(20):
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        asking = [task for task in harness.tasks() if msgspec.json.decode(task.payload, type=RunNode).asks]
        if asking:
            break
        harness.run_tasks()
    (entry,) = asking
    harness.client.xack(harness.stream("worker"), GROUP, entry.id)
    harness.client.xdel(harness.stream("worker"), entry.id)
    sweep = harness.orchestrators[0].sweep
    for _ in range(3):
        sweep.run()
    assert sweep.repaired == 1
    harness.drain()
    node = harness.api.executions.node(execution, "g")
    assert (node.status, node.attempt) == ("failed", 1)
    assert len(harness.workers[0].invoker.calls) == 1
    check_everything(harness.client)


@pytest.mark.proves("group-retry-asked")
def test_a_try_that_is_asked_about_keeps_the_time_at_which_it_began(harness: Harness) -> None:
    """Its times are those of the child, and not those of the question."""
    began: list[int] = []

    def script(context: Context) -> None:
        began.append(harness.orchestrators[0].state.now())
        _boom(context)

    harness.script = script
    execution = harness.begin(tried_under("{{ true }}", max_attempts=2))
    harness.drain()
    tries = harness.api.executions.node(execution, "g").attempts
    assert len(tries) == 2
    for each, called in zip(tries, began, strict=True):
        assert each.started_at is not None
        assert each.started_at <= moment(called)
    check_everything(harness.client)


@pytest.mark.proves("group-retry-asked")
def test_a_question_takes_no_turn_and_is_no_start(harness: Harness) -> None:
    """Though its execution was paused as the child failed."""
    harness.script = _boom
    said: dict[str, Any] = {"retry": {"max_attempts": 2, "delay_seconds": 5, "when": "{{ true }}"}}
    limit = {"limit": 100, "per_seconds": 600}
    execution = harness.begin(plan_from(nodes=[group("g", adds("one", after=()), rate_limit=limit, **said)]))
    while not (tasks := harness.tasks()):
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
    harness.api.executions.pause(execution)
    harness.deliver(harness.workers[0], *tasks)
    harness.drain()
    harness.api.executions.resume(execution)
    harness.drain()
    assert len(harness.workers[0].invoker.calls) == 2
    (line,) = harness.client.scan_iter("fe:starts:*")
    assert harness.client.zcard(line) == 2
    check_everything(harness.client)
