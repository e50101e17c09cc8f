"""Plain starts and completions take shortcuts, which come to just what the long way does."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowengine.execution.changes import Dispatch
from flowengine.execution.records import COUNTED_RESULT_BYTES, UNTOUCHED, Closing, Control, NodeRecord, Stop
from flowengine.execution.reports import ByChild, ByDeadline, ByDelivery, ByEvent, Completed
from flowengine.execution.rules import finishing
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.descent import EVERYTHING, Descent, Grounds
from flowengine.execution.rules.dispatching import SIZES, Run, Sizes
from flowengine.execution.rules.finishing import finish
from flowengine.execution.rules.plain_steps import is_plain, plain_end, plain_start
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.status import StoredNodeStatus
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import plan_of
from tests.unit.execution.rule_cases import COMPLETED, FAILED, NOW, RUNNING, being, callback
from tests.unit.rules.world import ruled, with_policies

FAN_OUT: Graph = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("a", "b")}
HOOKED = Control("running", 1, None, Closing("finally", "failed", NOW))
LARGE = Completed(msgspec.Raw(b'"' + b"x" * COUNTED_RESULT_BYTES + b'"'), cached=True)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to seven nodes, each below some of those before it."""
    graph: dict[str, tuple[str, ...]] = {}
    for number in range(draw(st.integers(1, 7))):
        parents = draw(st.lists(st.sampled_from(sorted(graph)), max_size=3, unique=True)) if graph else []
        graph[f"n{number}"] = tuple(parents)
    return graph


STATUSES: tuple[StoredNodeStatus, ...] = ("pending", "pending", "queued", "completed", "skipped")


def _record(draw: st.DrawFn) -> NodeRecord:
    status = draw(st.sampled_from(STATUSES))
    if status == "pending" and draw(st.booleans()):
        return UNTOUCHED
    unsettled = status == "skipped" and draw(st.booleans())
    return NodeRecord(
        status=status,
        attempt=draw(st.integers(0, 3)),
        dispatch=draw(st.integers(1, 4)),
        queued_at=draw(st.sampled_from([None, NOW - 50, NOW + 5])),
        run=draw(st.integers(1, 2)),
        counted=draw(st.sampled_from([0, 700])),
        answered=draw(st.integers(0, 1)),
        cached=draw(st.sampled_from([None, False])),
        when=draw(st.sampled_from([None, None, True, False])),
        unsettled=unsettled,
    )


def test_most_completions_take_it() -> None:
    """Or nothing would be won by it."""
    plan, records, report = plan_of(FAN_OUT), being(a="queued"), callback()
    assert is_plain(plan, RUNNING, records("a"), report)
    asked = (plan, 0, records("a"), report, (), NOW, SIZES, SIZES.transaction_bytes, records, EVERYTHING)
    found = plain_end(*asked)
    assert found is not None
    assert (found.joins, found.continues) == (("e",), True)


@pytest.mark.parametrize(
    ("control", "says"),
    [
        (RUNNING, {"policies": with_policies(plan_of(FAN_OUT), {"b": ruled("all_done")}).policies}),
        (Control("paused", 1), {}),
        (Control("running", 1, Stop("end", "completed", NOW, "a")), {}),
        (Control("cancelling", 1, None, Closing("finally", "cancelled", NOW)), {}),
    ],
)
def test_what_says_more_goes_the_long_way(control: Control, says: dict[str, object]) -> None:
    """A plan with rules of its own, a pause, a stop, the hooks of what was cancelled."""
    plan = msgspec.structs.replace(plan_of(FAN_OUT), **says)
    assert not is_plain(plan, control, being(a="queued")("a"), callback())


def test_only_a_workers_completion_of_a_node_in_flight_is_plain() -> None:
    """No failure, nothing that an event or a deadline says, and nothing of a node that has ended."""
    plan = plan_of(FAN_OUT)
    assert not is_plain(plan, RUNNING, being(a="queued")("a"), callback(outcome=FAILED))
    assert not is_plain(plan, RUNNING, being(a="completed")("a"), callback())
    for by in (ByEvent(called=True), ByDeadline(NOW - 20), ByChild(NOW - 20)):
        assert not is_plain(plan, RUNNING, being(a="queued")("a"), callback(by=by))


def long_way(patch: pytest.MonkeyPatch) -> None:
    """Nothing is plain from now on."""
    patch.setattr(finishing, "is_plain", lambda *_: False)


QUEUED = NodeRecord(status="queued", attempt=1, dispatch=1, queued_at=NOW - 50, counted=700)
SKIPPED = NodeRecord(status="skipped", attempt=1, dispatch=1, unsettled=True)
ENDS: dict[str, tuple[NodeRecord, Completed, int, int]] = {
    "as most are": (QUEUED, COMPLETED, NOW - 20, NOW - 10),
    "a large result": (QUEUED, LARGE, NOW - 20, NOW - 10),
    "began before it was queued": (QUEUED, COMPLETED, NOW - 60, NOW - 10),
    "began later than now": (QUEUED, COMPLETED, NOW + 9, NOW + 9),
    "ended before it began": (QUEUED, COMPLETED, NOW - 20, NOW - 30),
    "ended later than now": (QUEUED, COMPLETED, NOW - 20, NOW + 9),
    "nobody knows when it was queued": (msgspec.structs.replace(QUEUED, queued_at=None), COMPLETED, -5, -9),
}


@pytest.mark.parametrize("end", ENDS)
def test_each_end_is_written_as_the_long_way_does(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its times, its bytes, where its result is from, and what is told of it."""
    before, outcome, began, ended = ENDS[end]
    report = callback(by=ByDelivery(2, began, noted=True), outcome=outcome, finished_at=ended)
    asked = (plan_of(FAN_OUT), RUNNING, records_of({"a": before}), report, NOW)
    assert is_plain(asked[0], RUNNING, before, report)
    short = finish(*asked)
    long_way(monkeypatch)
    assert short == finish(*asked)


NARROW = Sizes(chunk_nodes=1)
BELOW: dict[str, tuple[NodeRecord, Sizes, frozenset[str], bool]] = {
    "pending": (UNTOUCHED, SIZES, frozenset("abc"), True),
    "in flight": (QUEUED, SIZES, frozenset("abc"), True),
    "of another run": (NodeRecord(attempt=2, dispatch=3, run=2), SIZES, frozenset("abc"), True),
    "not read": (UNTOUCHED, SIZES, frozenset("ac"), False),
    "too many": (UNTOUCHED, NARROW, frozenset("abc"), False),
    "skipped by its condition": (NodeRecord(when=False), SIZES, frozenset("abc"), False),
    "skipped by an operator": (SKIPPED, SIZES, frozenset("abc"), False),
}


@pytest.mark.parametrize("below", BELOW)
def test_what_stands_below_is_decided_as_the_long_way_does(
    below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is left to that where the plan alone does not say what becomes of it."""
    record, sizes, read, is_short = BELOW[below]
    records, report = records_of({"a": QUEUED, "b": record}), callback()
    plan, left = plan_of(FAN_OUT), SIZES.transaction_bytes
    found = plain_end(plan, 0, QUEUED, report, (), NOW, sizes, left, records, read)
    assert (found is not None) == is_short
    asked = (plan, RUNNING, records, report, NOW, sizes, left, read)
    short = finish(*asked)
    long_way(monkeypatch)
    assert short == finish(*asked)


def test_a_plain_start_sends_what_is_pending_and_says_how_much() -> None:
    """What has been put in flight stays as it is."""
    plan, run = plan_of({"a": (), "b": (), "c": ()}), Run("x", 1, "c")
    found = plain_start(plan, [0, 1, 2], run, NOW, records_of({"a": QUEUED, "b": UNTOUCHED, "c": UNTOUCHED}))
    assert found is not None
    changes, size = found
    assert [one.task.node for one in changes if isinstance(one, Dispatch)] == ["b", "c"]
    assert size == plan.weights[1] + plan.weights[2]


@pytest.mark.parametrize("record", [NodeRecord(when=False), SKIPPED], ids=["condition", "operator"])
def test_what_is_not_started_plainly_goes_the_long_way(record: NodeRecord) -> None:
    """A condition that was known to be false, and a node that an operator ended before it could begin."""
    records = records_of({"a": record})
    assert plain_start(plan_of(FAN_OUT), [0], Run("x", 1, "c"), NOW, records) is None


def test_what_may_put_no_node_in_flight_goes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends nothing leaves the nodes below to who does."""
    asked = (plan_of(FAN_OUT), RUNNING, records_of({"a": QUEUED}), callback(), NOW)
    short = finish(*asked, dispatches=False)
    assert not short.continues
    long_way(monkeypatch)
    assert short == finish(*asked, dispatches=False)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_shortcut_comes_to_what_the_long_way_does(data: st.DataObject) -> None:
    """Whatever stands below, whether or not it was read and fits, whatever the worker's clock said, and in
    the hooks too."""
    graph = data.draw(graphs())
    names = sorted(graph)
    records = {name: data.draw(st.composite(_record)()) for name in names}
    name = data.draw(st.sampled_from(names))
    # What is in flight is never unsettled: only what has ended before its turn is.
    records[name] = msgspec.structs.replace(records[name], status="queued", unsettled=False)
    below = [child for child in names if name in graph[child]]
    unread = data.draw(st.sampled_from([None, *below]))
    control = data.draw(st.sampled_from([RUNNING, HOOKED]))
    dispatches = data.draw(st.sampled_from([True, True, False]))
    began = data.draw(st.sampled_from([NOW - 60, NOW - 20, NOW + 9]))
    report = callback(
        name,
        dispatch=records[name].dispatch,
        by=ByDelivery(2, began, noted=data.draw(st.booleans())),
        outcome=data.draw(st.sampled_from([COMPLETED, LARGE])),
        finished_at=data.draw(st.sampled_from([NOW - 70, NOW - 10, NOW + 9])),
    )
    sizes = data.draw(st.sampled_from([SIZES, Sizes(chunk_nodes=1), Sizes(chunk_bytes=1)]))
    bytes_left = data.draw(st.sampled_from([SIZES.transaction_bytes, 1]))
    read = data.draw(st.sampled_from([EVERYTHING, {*names} - {unread}]))

    def decided() -> Decision:
        asked = (plan_of(graph), control, records_of(records), report, NOW, sizes, bytes_left, read)
        return finish(*asked, dispatches=dispatches)

    short = decided()
    with pytest.MonkeyPatch.context() as patch:
        long_way(patch)
        assert short == decided()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_plain_start_comes_to_what_the_long_way_does(data: st.DataObject) -> None:
    """Whichever of the nodes are named, wherever each of them is, and whatever was known of it before."""
    graph = data.draw(graphs())
    plan, names = plan_of(graph), sorted(graph)
    records = records_of({name: data.draw(st.composite(_record)()) for name in names})
    positions = data.draw(st.lists(st.integers(0, len(names) - 1), min_size=1, unique=True))
    run = Run("x", 1, "c")
    descent = Descent(Grounds(plan, run, records, EVERYTHING, NOW, SIZES, SIZES.transaction_bytes))
    for position in positions:
        descent.look_after_completions(position)
    descent.finish()
    found = plain_start(plan, positions, run, NOW, records)
    if found is None:
        named = [records(plan.nodes[at].id) for at in positions]
        assert any(record.when is False or record.unsettled for record in named)
    else:
        assert found == (descent.changes, SIZES.transaction_bytes - descent.bytes_left)
        assert descent.unfinished == len(descent.joins) == len(descent.later) == len(descent.unread) == 0
