"""Plain starts and completions take shortcuts, which come to just what the long way does."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowengine.execution.records import COUNTED_RESULT_BYTES, UNTOUCHED, Closing, Control, NodeRecord, Stop
from flowengine.execution.reports import ByDelivery, Completed
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
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_shortcut_comes_to_what_the_long_way_does(data: st.DataObject) -> None:
    """Whatever stands below, whether or not it was read and fits, and whatever the worker's clock said."""
    graph = data.draw(graphs())
    names = sorted(graph)
    records = {name: data.draw(st.composite(_record)()) for name in names}
    name = data.draw(st.sampled_from(names))
    records[name] = msgspec.structs.replace(records[name], status="queued")
    unread = data.draw(st.lists(st.sampled_from(names), max_size=1))
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
    read = data.draw(st.sampled_from([EVERYTHING, {*names} - {*unread} | {name}]))

    def decided() -> Decision:
        return finish(plan_of(graph), RUNNING, records_of(records), report, NOW, sizes, bytes_left, read)

    short = decided()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finishing, "is_plain", lambda *_: False)
        assert short == decided()


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
    """A plan with rules of its own, a pause, a stop, hooks."""
    plan = msgspec.structs.replace(plan_of(FAN_OUT), **says)
    assert not is_plain(plan, control, being(a="queued")("a"), callback())


def test_only_a_workers_completion_of_a_node_in_flight_is_plain() -> None:
    """No failure, and nothing of a node that has ended."""
    plan = plan_of(FAN_OUT)
    assert not is_plain(plan, RUNNING, being(a="queued")("a"), callback(outcome=FAILED))
    assert not is_plain(plan, RUNNING, being(a="completed")("a"), callback())


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
        assert any(records(plan.nodes[at].id).when is False for at in positions)
    else:
        assert found == (descent.changes, SIZES.transaction_bytes - descent.bytes_left)
        assert descent.unfinished == len(descent.joins) == len(descent.later) == len(descent.unread) == 0
