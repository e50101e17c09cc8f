"""Maps whose items wait, repeat, have a limit or are executions of definitions: each item runs as a child of
one node."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowengine.engine.commands.answering.call_back import Carried
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.records import NodeError
from flowengine.execution.rules.steering.overruling import Complete, Fail, Skip
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.plugin import Context, HandlerError
from flowengine.settings import Limits
from flowengine.workflow.plan import Plan
from flowengine.workflow.validation import check_document
from tests.integration.engine.test_engine_group_maps import children_of, result, shown_items, status
from tests.integration.waits.test_engine_waits import settle
from tests.support.checks.invariants import check_everything
from tests.support.child_plans import apply, calls
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness, registry

pytestmark = pytest.mark.usefixtures("no_logs")

YES, NO = Answer(approved=True, comment="go"), Answer(approved=False, comment="not this")
SIZE = {"size": {"type": "integer"}}
COUNTS = {"total": 3, "completed": 3, "failed": 0, "cancelled": 0}


def each(items: object = (1, 2, 3), *, said: dict[str, Any] | None = None, **node: Any) -> dict[str, Any]:
    """The node `each`, once for each of these."""
    listed = list(items) if isinstance(items, tuple) else items
    return {"id": "each", "map": {"items": listed, **(said or {})}, **node}


def plan(node: dict[str, Any]) -> Plan:
    """That node, and one behind it that adds up what it gives."""
    return plan_from(nodes=[node, adds("after", after=("each",))])


def asks(**said: Any) -> Plan:
    """An approval for each item."""
    config = {"prompt": "{{ item_key }}: {{ item }}?"}
    return plan(each(said=said, handler="approval", config=config))


def begin(harness: Harness, made: Plan) -> str:
    """An execution of it, once all that can begin has."""
    execution = harness.begin(made)
    settle(harness)
    return execution


def child(harness: Harness, execution: str, index: int) -> str:
    """What an item runs as."""
    found = shown_items(harness, execution)[index].child
    assert isinstance(found, str)
    return found


@pytest.mark.proves("item-apart")
def test_an_approval_for_each_item(harness: Harness) -> None:
    """Each is asked for with its item in the prompt, decided alone, and its result stands in the items'
    order."""
    execution = begin(harness, asks())
    shown = harness.api.executions.waiting(("approval",), limit=5, cursor="").items
    assert sorted(str(item.prompt) for item in shown) == ["0: 1?", "1: 2?", "2: 3?"]
    assert {item.node for item in shown} == {"each"}
    for index in (2, 0, 1):
        harness.api.executions.decide(child(harness, execution, index), "each", YES)
        settle(harness)
    found = result(harness, execution)
    assert [one["comment"] for one in found["result"]] == ["go"] * 3
    assert found["counts"] == COUNTS
    assert status(harness, execution) == "completed"
    assert len(check_everything(harness.client)) == 4


@pytest.mark.proves("item-apart")
def test_an_item_fails_with_the_error_of_its_node(harness: Harness) -> None:
    """As if it were a plain item: nobody reads of a group."""
    execution = begin(harness, asks(tolerated_failures=1))
    for index, answer in enumerate((YES, NO, YES)):
        harness.api.executions.decide(child(harness, execution, index), "each", answer)
    harness.drain()
    items = shown_items(harness, execution)
    assert [item.status for item in items] == ["completed", "failed", "completed"]
    assert items[1].error is not None
    assert (items[1].error.code, items[1].error.message) == ("rejected", "it was rejected: not this")
    assert result(harness, execution)["result"][1] is None
    check_everything(harness.client)


@pytest.mark.proves("item-apart-again")
def test_a_trigger_asks_again_only_for_items_that_have_failed(harness: Harness) -> None:
    """In the child that was there; what was approved stays."""
    execution = begin(harness, asks(tolerated_failures=0))
    children = children_of(harness, execution)
    for index, answer in enumerate((YES, NO, YES)):
        harness.api.executions.decide(child(harness, execution, index), "each", answer)
        settle(harness)
    error = harness.api.executions.results(execution).errors["each"]
    assert (error.code, "rejected" in error.message) == ("map_failed", True)
    harness.trigger(execution)
    settle(harness)
    (shown,) = harness.api.executions.waiting(("approval",), limit=5, cursor="").items
    assert (shown.execution_id, shown.run) == (child(harness, execution, 1), 2)
    harness.api.executions.decide(shown.execution_id, "each", YES)
    harness.drain()
    assert result(harness, execution)["counts"] == COUNTS
    assert children_of(harness, execution) == children
    check_everything(harness.client)


@pytest.mark.proves("item-apart-again")
def test_a_named_item_that_was_approved_is_asked_for_again(harness: Harness) -> None:
    """A rerun of named items resets exactly these, whatever their node does."""
    execution = begin(harness, asks())
    for index in range(3):
        harness.api.executions.decide(child(harness, execution, index), "each", YES)
    harness.drain()
    harness.api.executions.rerun(execution, RerunAsked(Wanted("from", items={"each": ("1",)})))
    settle(harness)
    (shown,) = harness.api.executions.waiting(("approval",), limit=5, cursor="").items
    assert shown.execution_id == child(harness, execution, 1)
    harness.api.executions.decide(shown.execution_id, "each", Answer(approved=True, comment="twice"))
    harness.drain()
    assert [one["comment"] for one in result(harness, execution)["result"]] == ["go", "twice", "go"]
    check_everything(harness.client)


def test_a_signal_for_each_item(harness: Harness) -> None:
    """It is the item's execution that takes it, by the node's name."""
    execution = begin(harness, plan(each(handler="signal", config={})))
    for index in range(3):
        harness.signal(child(harness, execution, index), "each", str(index * 10).encode())
    harness.drain()
    assert result(harness, execution)["result"] == [0, 10, 20]
    check_everything(harness.client)


def test_a_wait_for_each_item(harness: Harness) -> None:
    """For as long as its item says; none holds a worker."""
    execution = begin(harness, plan(each((60, 120, 180), handler="wait", config={"seconds": "{{ item }}"})))
    assert not harness.tasks()
    shown = shown_items(harness, execution)
    assert [item.status for item in shown] == ["waiting"] * 3
    assert all(item.waiting_for is not msgspec.UNSET and item.waiting_for.kind == "wait" for item in shown)
    harness.drain()
    assert result(harness, execution)["counts"] == COUNTS
    check_everything(harness.client)


def test_no_more_items_wait_at_a_time_than_may(harness: Harness) -> None:
    """The end of one lets the next begin."""
    execution = begin(harness, asks(max_concurrent=2))
    assert len(children_of(harness, execution)) == 2
    harness.api.executions.decide(child(harness, execution, 0), "each", YES)
    settle(harness)
    assert len(children_of(harness, execution)) == 3


def test_a_callback_for_each_item(harness: Harness) -> None:
    """Each has a URL of its own; what comes there is the item's result, or fails it."""
    node = each(
        said={"tolerated_failures": 1},
        handler="sum",
        config={"inputs": ["{{ item }}"]},
        wait_for_callback={"timeout_seconds": 60},
    )
    made = check_document(
        {"name": "test", "nodes": [node, adds("after", after=("each",))]},
        registry(),
        Limits(public_url="https://flow.example"),
    )
    assert made.plan is not None, made.problems
    execution = begin(harness, made.plan)
    urls = [call.callback_url or "" for call in harness.workers[0].invoker.calls]
    assert len(set(urls)) == 3
    for index, url in enumerate(urls):
        error = NodeError("unreadable", "no text in it")
        carried = Carried(error=error) if index == 1 else Carried(str(index).encode())
        harness.api.executions.call_back(url.rpartition("/")[2], carried)
    harness.drain()
    found = result(harness, execution)
    assert found["counts"]["completed"] == 2
    assert sorted(one for one in found["result"] if one is not None) == [0, 2]
    (failed,) = [item for item in shown_items(harness, execution) if item.error is not None]
    assert failed.error is not None
    assert failed.error.code == "unreadable"
    check_everything(harness.client)


@pytest.mark.proves("item-apart-call")
def test_a_definition_runs_for_each_item(harness: Harness) -> None:
    """Its outputs are the item's result; what it is called with reads the item."""
    node = {"id": "count", "handler": "sum", "config": {"inputs": ["{{ inputs.size }}"]}}
    apply(harness, "counting", nodes=[node], inputs=SIZE, outputs={"sum": "{{ count.result }}"})
    called = calls("each", "counting", map={"items": [1, 2, 3]}, config={"inputs": {"size": "{{ item }}"}})
    execution = begin(harness, plan(called))
    harness.drain()
    assert result(harness, execution)["result"] == [{"sum": 2}, {"sum": 3}, {"sum": 4}]
    # The execution, three items, and what each of them runs.
    assert len(check_everything(harness.client)) == 7


@pytest.mark.proves("item-apart-call")
def test_what_fails_in_an_items_definition_is_told_as_of_any_call(harness: Harness) -> None:
    """And a trigger goes on in it."""

    def script(context: Context) -> None:
        if context.node_id == "count" and context.run == 1:
            raise HandlerError("boom", "on purpose")

    harness.script = script
    apply(harness, "counting", nodes=[adds("start"), adds("count", "start")])
    execution = begin(harness, plan(calls("each", "counting", map={"items": [1, 2]})))
    harness.drain()
    (first, _) = shown_items(harness, execution)
    assert first.error is not None
    assert (first.error.code, first.error.caused_by) == ("child_failed", "count")
    before = len(harness.workers[0].invoker.calls)
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution) == "completed"
    again = [context.node_id for context in harness.workers[0].invoker.calls[before:]]
    assert sorted(again) == ["after", "count", "count"]
    check_everything(harness.client)


@pytest.mark.proves("item-apart-call")
def test_an_item_is_no_level_of_depth(harness: Harness) -> None:
    """A workflow that runs itself for each item ends at the depth at which it ends without a map."""
    deepest = {"size": "{{ inputs.size + 1 }}"}
    again = calls("each", "deeper", map={"items": [1]}, config={"inputs": deepest})
    apply(harness, "deeper", nodes=[again], inputs=SIZE)
    plain = calls("call", "deeper", config={"inputs": {"size": 0}})
    execution = harness.begin(plan_from(nodes=[plain]))
    harness.drain()
    assert harness.statuses(execution) == {"call": "failed"}
    stored = check_everything(harness.client)
    deep = max(depth_of(harness, one.id) for one in stored)
    assert deep == 8
    assert len(stored) == 1 + 8 + 8


def depth_of(harness: Harness, execution: str) -> int:
    """How many executions it stands in, as is counted."""
    found = harness.api.state.plan(execution)
    return 0 if found is None or found.lineage is None else found.lineage.depth


@pytest.mark.parametrize("collect", [False, True])
@pytest.mark.proves("item-apart")
def test_an_item_repeats(harness: Harness, collect: bool) -> None:
    """Its condition reads the item and what its own iteration has given."""
    node = each(
        (2, 3),
        handler="sum",
        config={"inputs": ["{{ previous | default(0) }}"]},
        repeat={"until": "{{ each.result >= item }}", "collect": collect},
    )
    execution = begin(harness, plan(node))
    harness.drain()
    wanted = [[1, 2], [1, 2, 3]] if collect else [2, 3]
    assert result(harness, execution)["result"] == wanted
    check_everything(harness.client)


@pytest.mark.parametrize(
    "limit",
    [
        {"concurrency": {"key": "door", "limit": 1}},
        {"concurrency": {"key": "door {{ item % 2 }}", "limit": 1}},
        {"rate_limit": {"key": "door", "limit": 2, "per_seconds": 60}},
    ],
)
def test_items_stand_in_the_line_of_a_limit(harness: Harness, limit: dict[str, Any]) -> None:
    """With all other nodes of its key, in this execution and others."""
    running: list[int] = []

    def script(context: Context) -> None:
        running.append(len(harness.client.keys("fe:*")))

    harness.script = script
    node = each((1, 2, 3), handler="sum", config={"inputs": ["{{ item }}"]}, **limit)
    execution = begin(harness, plan(node))
    if "rate_limit" in limit:
        assert len(running) == 2
    harness.drain()
    assert len([call for call in harness.workers[0].invoker.calls if call.node_id == "each"]) == 3
    assert result(harness, execution)["result"] == [2, 3, 4]
    check_everything(harness.client)


def test_items_are_tried_again_by_the_retry_of_their_node(harness: Harness) -> None:
    """Each for itself."""
    tried: dict[str, int] = {}

    def script(context: Context) -> None:
        if context.node_id == "each":
            tried[context.execution_id] = tried.get(context.execution_id, 0) + 1
            if tried[context.execution_id] < 3:
                raise HandlerError("boom", "on purpose")

    harness.script = script
    node = each(
        handler="sum",
        config={"inputs": ["{{ item }}"]},
        retry={"max_attempts": 3, "delay_seconds": 1},
        concurrency={"key": "k", "limit": 2},
    )
    execution = begin(harness, plan(node))
    harness.drain()
    assert sorted(tried.values()) == [3, 3, 3]
    assert result(harness, execution)["counts"] == COUNTS
    check_everything(harness.client)


def test_a_group_repeats_for_each_item(harness: Harness) -> None:
    """The map is outside, the repetition inside; its nodes read the item and the iteration before."""
    once = {"id": "once", "handler": "sum", "config": {"inputs": ["{{ previous.n | default(0) }}"]}}
    node = group(
        "each",
        once,
        outputs={"n": "{{ once.result }}"},
        map={"items": [2, 3]},
        repeat={"until": "{{ each.result.n >= item }}"},
    )
    execution = begin(harness, plan(node))
    harness.drain()
    assert result(harness, execution)["result"] == [{"n": 2}, {"n": 3}]
    assert len(check_everything(harness.client)) == 1 + 2 + 5


def test_a_group_is_tried_again_for_each_item(harness: Harness) -> None:
    """What has completed in it stays."""
    failed: set[str] = set()

    def script(context: Context) -> None:
        if context.node_id == "two" and context.execution_id not in failed:
            failed.add(context.execution_id)
            raise HandlerError("boom", "on purpose")

    harness.script = script
    node = group(
        "each",
        {"id": "one", "handler": "sum", "config": {"inputs": ["{{ item }}"]}},
        adds("two", "one"),
        map={"items": [1, 2]},
        retry={"max_attempts": 2, "delay_seconds": 1},
    )
    execution = begin(harness, plan(node))
    harness.drain()
    assert result(harness, execution)["result"] == [{"two": 3}, {"two": 4}]
    ran = [call.node_id for call in harness.workers[0].invoker.calls]
    assert (ran.count("one"), ran.count("two")) == (2, 4)
    check_everything(harness.client)


@pytest.mark.proves("item-apart-stopped")
def test_a_cancel_ends_the_waits_of_all_items(harness: Harness) -> None:
    """Nothing is asked any more."""
    execution = begin(harness, asks())
    harness.cancel(execution, "enough")
    harness.drain()
    assert harness.statuses(execution) == {"each": "cancelled", "after": "cancelled"}
    assert not harness.api.executions.waiting(("approval",), limit=5, cursor="").items
    check_everything(harness.client)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        (Complete(msgspec.Raw(b'{"result": 7}')), ("completed", {"result": 7})),
        (Fail("nope", "a person says so"), ("failed", None)),
        (Skip(), ("completed", None)),
    ],
)
def test_an_operators_word_on_one_item(harness: Harness, word: Any, wanted: tuple[str, Any]) -> None:
    """It ends the node in the item's execution, and with it the item."""
    execution = begin(harness, asks(tolerated_failures=1))
    harness.overrule(child(harness, execution, 1), "each", word)
    for index in (0, 2):
        harness.api.executions.decide(child(harness, execution, index), "each", YES)
    harness.drain()
    (_, item, _) = shown_items(harness, execution)
    given = result(harness, execution)["result"][1]
    assert item.status == wanted[0]
    assert given == (None if wanted[1] is None else 7)
    check_everything(harness.client)


def test_the_key_of_an_items_call_stays_over_a_trigger(harness: Harness) -> None:
    """It is made of its execution, which a trigger goes on in."""
    made: list[str] = []

    def script(context: Context) -> None:
        if context.node_id == "each":
            made.append(context.idempotency_key)
            if context.run == 1:
                raise HandlerError("timeout", "nobody knows what became of it")

    harness.script = script
    node = each((1,), handler="sum", config={"inputs": ["{{ item }}"]}, concurrency={"key": "k", "limit": 1})
    execution = begin(harness, plan(node))
    harness.drain()
    harness.trigger(execution)
    harness.drain()
    assert len(made) == 2
    assert made[0] == made[1]
    assert status(harness, execution) == "completed"


def test_a_result_that_is_no_object_is_the_items(harness: Harness) -> None:
    """As it is of a plain item."""
    node = each((1, 2), handler="list", config={"inputs": []}, concurrency={"key": "k", "limit": 9})
    execution = begin(harness, plan(node))
    harness.drain()
    assert result(harness, execution)["result"] == [[1, 2, 3]] * 2
    items = shown_items(harness, execution)
    assert [msgspec.json.decode(item.result) for item in items] == [{"result": [1, 2, 3]}] * 2


def test_a_group_for_each_item_holds_a_place_in_a_line(harness: Harness) -> None:
    """One item of each key at a time, until the group of the item has ended."""
    node = group(
        "each",
        {"id": "one", "handler": "sum", "config": {"inputs": ["{{ item }}"]}},
        adds("two", "one"),
        map={"items": [1, 2, 3]},
        concurrency={"key": "door {{ item % 2 }}", "limit": 1},
    )
    execution = begin(harness, plan(node))
    harness.drain()
    assert result(harness, execution)["result"] == [{"two": 3}, {"two": 4}, {"two": 5}]
    ran = [call.node_id for call in harness.workers[0].invoker.calls]
    assert ran.count("one") == 3
    check_everything(harness.client)
