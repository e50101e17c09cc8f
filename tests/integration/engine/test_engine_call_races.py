"""Executions of definitions that nodes begin, and what happens at the same moment."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor
from flowengine.broker.streams.wire import decode, post
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.engine.definitions.definitions import Start
from flowengine.execution.requests.bulk import Bulk
from flowengine.execution.requests.listing import Wanted as ListWanted
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import TriggerView
from flowengine.settings import Settings
from tests.integration.engine.test_engine_calls import below, levels
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
from tests.support.rigs.harness import Entry, Harness, failing_in
from tests.support.servers.valkey import Valkey

APART = {"wait": False}
ONE = {"key": "one", "limit": 1}


def begun(harness: Harness, name: str) -> list[str]:
    """The executions of this name that are nobody's children."""
    found = harness.api.executions.list(ListWanted(name=name), limit=50, cursor="")
    return [item.execution_id for item in found.items]


@pytest.mark.proves("call-made-once")
def test_two_orchestrators_make_one_execution_of_a_definition(harness: Harness) -> None:
    """Each WATCHes its control: the second finds it made."""
    harness.second_orchestrator()
    execution = levels(harness)
    message = until_message(harness, "tend_child")
    first, second = harness.orchestrators
    first.state.between = lambda: harness.deliver(second, message)
    harness.deliver(first, message)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert len(check_everything(harness.client)) == len(("root", "middle", "inner"))


@pytest.mark.proves("call-stopped-unmade")
def test_a_node_that_is_cancelled_before_its_execution_is_made_makes_none(harness: Harness) -> None:
    """A trigger then makes the one that was prepared."""
    execution = levels(harness)
    message = until_message(harness, "tend_child")
    harness.cancel(execution)
    harness.deliver(harness.orchestrators[0], message)
    harness.drain()
    assert status(harness, execution).status == "cancelled"
    assert len(check_everything(harness.client)) == 1
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"


@pytest.mark.proves("call-task-again")
def test_a_task_that_opens_a_node_twice_opens_it_once(harness: Harness) -> None:
    """What the second delivery has prepared is nobody's: its report changes nothing."""
    execution = levels(harness)
    until_waiting(harness, "middle")
    (task,) = harness.tasks()
    harness.deliver(harness.workers[0], task)
    deliver_orchestrators(harness)
    middle = child_of(harness, execution, "middle")
    again(harness, task)
    harness.drain()
    assert child_of(harness, execution, "middle") == middle
    assert status(harness, execution).status == "completed"
    assert len(check_everything(harness.client)) == len(("root", "middle", "inner"))


def again(harness: Harness, entry: Entry) -> None:
    """Send a task that was dealt with once more, and let a worker run it."""
    post(harness.client, entry.queue, decode(entry.actor, entry.payload))
    harness.run_tasks()


@pytest.mark.proves("call-child-gone")
def test_a_child_whose_keys_are_gone_is_made_again_with_its_inputs(harness: Harness) -> None:
    """By the same id, when the root is triggered again."""
    execution = levels(harness)
    until_waiting(harness, "deep")
    middle, inner = below(harness, execution)
    harness.cancel(execution)
    deliver_orchestrators(harness)
    harness.drain()
    for key in harness.client.scan_iter(f"fe:x:{inner}:*"):
        harness.client.delete(key)
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert below(harness, execution) == (middle, inner)
    assert status(harness, inner).run == 1


# -- nobody's children


@pytest.mark.proves("call-apart")
def test_a_node_that_does_not_wait_completes_with_the_id_of_what_it_has_begun(harness: Harness) -> None:
    """That is an execution as any other: nobody's child, in the lists, with a document of its own."""
    apply(harness, "apart", nodes=[adds("a"), adds("b", "a")])
    execution = harness.begin(plan_from(nodes=[calls("call", "apart", config=APART)]))
    harness.drain()
    (other,) = begun(harness, "apart")
    (item,) = harness.api.executions.list(ListWanted(name="apart"), limit=5, cursor="").items
    assert item.trigger == TriggerView(kind="workflow", execution_id=execution)
    assert raw_results(harness, execution)["call"] == {"result": other}
    assert not is_child(other)
    shown = status(harness, other)
    assert (shown.status, shown.version, shown.parent) == ("completed", 1, msgspec.UNSET)
    assert harness.api.executions.document(other).text.startswith(b'{"name":"apart"')
    check_everything(harness.client)


@pytest.mark.proves("call-apart-once")
def test_what_is_begun_apart_is_begun_once(harness: Harness) -> None:
    """However often the message comes, and though that execution has ended and was deleted meanwhile."""
    harness.second_orchestrator()
    apply(harness, "apart", nodes=[adds("a")])
    execution = harness.begin(plan_from(nodes=[calls("call", "apart", config=APART)]))
    message = until_message(harness, "tend_child")
    first, second = harness.orchestrators
    first.state.between = lambda: harness.deliver(second, message)
    harness.deliver(first, message)
    (other,) = begun(harness, "apart")
    while status(harness, other).status != "completed":
        for entry in harness.waiting("orchestrator"):
            if entry.actor != "tend_child":
                harness.deliver(second, entry)
        harness.run_tasks("a")
    harness.delete(other)
    harness.drain()
    assert raw_results(harness, execution)["call"] == {"result": other}
    assert begun(harness, "apart") == []


def test_what_is_begun_apart_is_not_stopped_with_who_began_it(harness: Harness) -> None:
    """It goes its own way."""
    apply(harness, "apart", nodes=[adds("a")])
    nodes = [calls("call", "apart", config=APART), adds("z", after=("call",))]
    execution = harness.begin(plan_from(nodes=nodes))
    until_waiting(harness, "z")
    harness.cancel(execution)
    deliver_orchestrators(harness)
    harness.drain()
    (other,) = begun(harness, "apart")
    assert (status(harness, execution).status, status(harness, other).status) == ("cancelled", "completed")


def test_a_stop_before_it_is_begun_begins_nothing_apart(harness: Harness) -> None:
    """And a trigger begins it then."""
    apply(harness, "apart", nodes=[adds("a")])
    execution = harness.begin(plan_from(nodes=[calls("call", "apart", config=APART)]))
    until_message(harness, "tend_child")
    harness.cancel(execution)
    harness.drain()
    assert (status(harness, execution).status, begun(harness, "apart")) == ("cancelled", [])
    harness.trigger(execution)
    harness.drain()
    assert len(begun(harness, "apart")) == 1


def test_what_is_begun_apart_counts_against_the_limit_on_executions(valkey: Valkey) -> None:
    """A child does not."""
    harness = Harness(valkey.url, settings=Settings(lease_s=60.0, max_unfinished_executions=1))
    apply(harness, "small", nodes=[adds("a")])
    nodes = [calls("child", "small"), calls("apart", "small", config=APART)]
    execution = harness.begin(plan_from(nodes=nodes))
    harness.drain()
    assert harness.statuses(execution) == {"child": "completed", "apart": "failed"}
    assert harness.api.executions.results(execution).errors["apart"].code == "too_many_executions"
    harness.close()


# -- turns


@pytest.mark.proves("call-line")
def test_children_wait_for_their_turn_as_other_executions_do(harness: Harness) -> None:
    """Both end, and the second begins after the first."""
    apply(harness, "one", nodes=[adds("a")], concurrency=ONE)
    execution = harness.begin(plan_from(nodes=[calls("first", "one"), calls("second", "one")]))
    until_waiting(harness, "a")
    shown = {node: status(harness, child_of(harness, execution, node)) for node in ("first", "second")}
    assert sorted(each.status for each in shown.values()) == ["pending", "running"]
    harness.drain()
    assert status(harness, execution).status == "completed"


def test_a_child_of_what_holds_its_key_waits_for_no_turn(harness: Harness) -> None:
    """It would wait for itself."""
    shared = {"key": "both", "limit": 1, "shared": True}
    apply(harness, "inner", nodes=[adds("a")], concurrency=shared)
    apply(harness, "outer", nodes=[calls("call", "inner")], concurrency=shared)
    execution = start(harness, "outer")
    harness.drain()
    assert status(harness, execution).status == "completed"


@pytest.mark.proves("call-line-cancelled")
@pytest.mark.parametrize("alone", [True, False])
def test_a_child_that_is_cancelled_while_it_waits_ends_its_node(harness: Harness, *, alone: bool) -> None:
    """Alone, or with the execution that it belongs to."""
    apply(harness, "one", nodes=[adds("a")], concurrency=ONE)
    holder = start(harness, "one")
    deliver_orchestrators(harness)
    execution = harness.begin(plan_from(nodes=[calls("call", "one")]))
    until_opened(harness, execution)
    child = child_of(harness, execution, "call")
    assert status(harness, child).status == "pending"
    harness.cancel(child if alone else execution)
    deliver_orchestrators(harness)
    assert status(harness, child).status == "cancelled"
    assert status(harness, execution).status == ("failed" if alone else "cancelled")
    assert status(harness, holder).status == "running"


def until_opened(harness: Harness, execution: str) -> None:
    """Go on until the node `call` stands for an execution that is there."""
    for _ in range(50):
        deliver_orchestrators(harness)
        (node,) = status(harness, execution).nodes
        if not isinstance(node.child, msgspec.UnsetType):
            return
        harness.run_tasks("call")
    raise AssertionError("it was never opened")


def test_a_child_whose_turn_comes_while_its_root_is_held_is_held(harness: Harness) -> None:
    """And goes on with it."""
    apply(harness, "one", nodes=[adds("a"), adds("b", "a")], concurrency=ONE)
    holder = start(harness, "one")
    deliver_orchestrators(harness)
    execution = harness.begin(plan_from(nodes=[calls("call", "one")]))
    until_opened(harness, execution)
    harness.api.executions.pause(execution)
    harness.drain()
    child = child_of(harness, execution, "call")
    assert (status(harness, holder).status, status(harness, child).status) == ("completed", "paused")
    harness.api.executions.resume(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"


def test_a_child_that_does_not_wait_for_its_turn_fails_its_node(harness: Harness) -> None:
    """With `on_limit: reject`; a trigger tries it anew."""
    apply(harness, "one", nodes=[adds("a")], concurrency={**ONE, "on_limit": "reject"})
    start(harness, "one")
    deliver_orchestrators(harness)
    execution = harness.begin(plan_from(nodes=[calls("call", "one")]))
    for _ in range(5):
        harness.run_tasks("call")
        deliver_orchestrators(harness)
    assert harness.api.executions.results(execution).errors["call"].code == "concurrency_limit"
    harness.drain()
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"


@pytest.mark.proves("call-line")
def test_a_child_that_was_let_in_waits_when_it_begins_again(harness: Harness) -> None:
    """Also with `on_limit: reject`, while another execution holds the place."""
    apply(harness, "one", nodes=[adds("a")], concurrency={**ONE, "on_limit": "reject"})
    harness.script = failing_in(1, "a")
    execution = harness.begin(plan_from(nodes=[calls("call", "one")]))
    harness.drain()
    child = child_of(harness, execution, "call")
    assert (status(harness, execution).status, status(harness, child).status) == ("failed", "failed")
    harness.script = lambda context: None
    holder = start(harness, "one")
    deliver_orchestrators(harness)
    harness.trigger(execution)
    for _ in range(5):
        harness.run_tasks("call")
        deliver_orchestrators(harness)
    shown = status(harness, child)
    assert (shown.status, shown.run, status(harness, holder).status) == ("pending", 2, "running")
    assert not isinstance(shown.waiting_for, msgspec.UnsetType)
    assert (shown.waiting_for.kind, shown.waiting_for.place) == ("turn", 2)
    assert harness.errors == []
    harness.drain()
    ended = [status(harness, each).status for each in (execution, child, holder)]
    assert ended == ["completed"] * 3
    check_everything(harness.client)


# -- what the key that started it is for


@pytest.mark.parametrize(
    ("written", "says"), [("etl-load", "completed"), ("{{ inputs.which }}", "definition_not_allowed")]
)
def test_a_key_for_some_definitions_runs_others_only_where_they_are_named(
    harness: Harness, written: str, says: str
) -> None:
    """By an applied definition, without a template."""
    apply(harness, "etl-load", nodes=[adds("a")])
    apply(harness, "report", nodes=[calls("call", written)], inputs={"which": {"type": "string"}})
    actor = Actor(key="k1", definitions=("rep*",))
    asked = Start(correlation_id="c1", inputs={"which": "etl-load"})
    with acting(Note(action="start_definition", actor=actor)):
        execution = harness.api.executions.definitions.start("report", asked).execution_id
    harness.drain()
    errors = harness.api.executions.results(execution).errors
    assert (errors["call"].code if errors else status(harness, execution).status) == says


def asks_again(harness: Harness, execution: str, way: str) -> str:
    """Ask for another run of it in this way; returns the execution that has run."""
    executions = harness.api.executions
    asked = RerunAsked(Wanted("all"), inputs={"which": "etl-load"})
    if way == "trigger":
        harness.trigger(execution)
    elif way == "rerun":
        executions.rerun(execution, asked)
    elif way == "fork":
        execution = executions.fork(execution, asked).execution_id
    else:
        bulk = Bulk(action="rerun", created_at=0, correlation_id="c1", ids=(execution,))
        executions.start_bulk(bulk)
    return execution


@pytest.mark.parametrize("way", ["trigger", "rerun", "fork", "bulk"])
def test_who_asks_for_another_run_is_who_it_runs_definitions_for(harness: Harness, way: str) -> None:
    """A key for some definitions runs no others through what a key for all has started; that one does again,
    and so does one for others."""
    apply(
        harness, "report", nodes=[calls("call", "{{ inputs.which }}")], inputs={"which": {"type": "string"}}
    )
    which = "etl-load" if way in ("trigger", "bulk") else "nothing"
    execution = start(harness, "report", which=which)
    harness.drain()
    assert harness.api.executions.results(execution).errors["call"].code == "unknown_definition"
    apply(harness, "etl-load", nodes=[adds("a")])
    narrow = Actor(key="k1", definitions=("rep*",))
    with acting(Note(action="rerun", actor=narrow)):
        run = asks_again(harness, execution, way)
    harness.drain()
    assert harness.api.executions.results(run).errors["call"].code == "definition_not_allowed"
    with acting(Note(action="rerun", actor=Actor(key="k2"))):
        run = asks_again(harness, execution, way)
    harness.drain()
    assert status(harness, run).status == "completed"
    with acting(Note(action="rerun", actor=narrow)):
        run = asks_again(harness, run, "rerun")
    harness.drain()
    assert harness.api.executions.results(run).errors["call"].code == "definition_not_allowed"
    with acting(Note(action="rerun", actor=Actor(key="k3", definitions=("etl-*",)))):
        run = asks_again(harness, run, "rerun")
    harness.drain()
    assert status(harness, run).status == "completed"


def test_a_secret_goes_into_an_input_only_that_is_secret(harness: Harness) -> None:
    """What the caller's own secret input holds would be shown in any other."""
    secret = {"token": {"type": "string", "secret": True}}
    apply(harness, "open", nodes=[adds("a")], inputs={"token": {"type": "string"}})
    apply(harness, "closed", nodes=[adds("a")], inputs=secret)
    given = {"inputs": {"token": "{{ inputs.token }}"}}
    nodes = [calls("shown", "open", config=given), calls("hidden", "closed", config=given)]
    apply(harness, "caller", nodes=nodes, inputs=secret)
    execution = start(harness, "caller", token="a-secret-of-mine")
    harness.drain()
    assert harness.api.executions.results(execution).errors["shown"].code == "secret_not_allowed"
    child = status(harness, child_of(harness, execution, "hidden"))
    assert (child.status, child.inputs) == ("completed", {"token": msgspec.Raw(b'"***"')})


def test_a_key_for_some_definitions_sees_what_belongs_to_executions_of_these(harness: Harness) -> None:
    """A group's child is of the definition of its document; one of another definition is of that."""
    inside = group("pair", adds("x"), calls("call", "etl-load"))
    apply(harness, "etl-load", nodes=[adds("a")])
    apply(harness, "report", nodes=[inside])
    execution = start(harness, "report")
    harness.drain()
    pair = child_of(harness, execution, "pair")
    load = child_of(harness, pair, "call")
    known = [harness.api.executions.definition_of(each) for each in (execution, pair, load)]
    assert known == [(True, "report"), (True, "report"), (True, "etl-load")]
    posted = harness.begin(plan_from(nodes=[inside]))
    harness.drain()
    assert harness.api.executions.definition_of(child_of(harness, posted, "pair")) == (True, None)
