"""What executions tell of themselves, read from a real server: events, page by page."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor
from flowengine.errors import ExecutionNotFoundError
from flowengine.execution.changes import Happened
from flowengine.execution.events import KEPT_BYTES, Event, kept_entries
from flowengine.execution.history.places import START, parse_place
from flowengine.execution.history.views import EventView
from flowengine.store.connection.packing import unpack
from tests.support.rigs.harness import Harness, failing_in, plan_of


def by(key: str) -> Note:
    """A command of who has this key."""
    return Note(action="steer", actor=Actor(key=key))


def all_events(harness: Harness, execution: str, *, limit: int = 50) -> list[EventView]:
    """Every event, page by page."""
    found: list[EventView] = []
    after = START
    while True:
        page = harness.api.executions.events(execution, after=after, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        if page.next_cursor is None:
            return found
        after = parse_place(page.next_cursor) or START


def test_events_tell_of_every_step(harness: Harness) -> None:
    """In their order, each with what there is to say of it."""
    harness.script = failing_in(1, "b")
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}))
    harness.drain()
    found = all_events(harness, execution)
    assert [(event.kind, event.node) for event in found] == [
        ("execution_started", UNSET),
        ("node_queued", "a"),
        ("node_started", "a"),
        ("node_completed", "a"),
        ("node_queued", "b"),
        ("node_started", "b"),
        ("node_failed", "b"),
        ("execution_finished", UNSET),
    ]
    assert (found[0].run, found[6].code, found[7].status) == (1, "boom", "failed")
    assert [event.at.endswith("Z") for event in found] == [True] * 8


def test_events_tell_who_has_asked_for_what(harness: Harness) -> None:
    """The key of each, through the orchestrator too, where it tells of it later; and why it was cancelled."""
    plan, executions = plan_of({"a": (), "b": ("a",)}), harness.api.executions
    with acting(by("starter")):
        execution = harness.begin(plan)
    harness.start_executions()
    for key, steer in (("one", executions.pause), ("two", executions.resume)):
        with acting(by(key)):
            steer(execution)
    with acting(by("three")):
        executions.cancel(execution, reason="the wrong day")
    harness.drain()
    asked = [(event.kind, event.by) for event in all_events(harness, execution) if event.node is UNSET]
    assert asked == [
        ("execution_started", "starter"),
        ("execution_paused", "one"),
        ("execution_resumed", "two"),
        ("execution_stopping", "three"),
        ("execution_finished", UNSET),
    ]
    (stopping,) = [event for event in all_events(harness, execution) if event.kind == "execution_stopping"]
    assert (stopping.reason, stopping.explanation) == ("cancel", "the wrong day")
    with acting(by("again")):
        harness.trigger(execution)
    with acting(by("remover")):
        executions.delete(execution, force=True)
    for order in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], order)
    events = all_events(harness, execution)
    second = [event for event in events if event.run == 2]
    assert [event.by for event in second] == ["again"]
    assert [event.by for event in events if event.kind == "execution_stopping"][-1] == "remover"
    assert [view.why.by for view in executions.runs(execution, limit=5).items] == ["again", "starter"]


def test_events_of_what_nobody_has_asked_for_name_nobody(harness: Harness) -> None:
    """An API without keys knows none."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.api.executions.pause(execution)
    harness.api.executions.cancel(execution)
    harness.drain()
    assert {event.by for event in all_events(harness, execution)} == {UNSET}


def test_pages_of_any_size_hold_each_event_once(harness: Harness) -> None:
    """Also where an entry holds more events than a page, and where there are more entries than are read."""
    nodes = [f"n{number}" for number in range(90)]
    execution = harness.begin(plan_of(dict.fromkeys(nodes, ())))
    harness.drain(batch=1)
    listed = all_events(harness, execution, limit=500)
    assert sorted(str(event.node) for event in listed if event.kind == "node_completed") == sorted(nodes)
    places = [parse_place(event.id) for event in listed]
    assert places == sorted({place for place in places if place is not None})
    for limit in (1, 3, 91):
        assert all_events(harness, execution, limit=limit) == listed


@pytest.mark.proves("events-cut")
def test_dropped_events_are_told_of(harness: Harness) -> None:
    """A page says that the oldest are gone."""
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}))
    harness.drain()
    assert harness.api.executions.events(execution, after=START, limit=1).cut is UNSET
    harness.client.xtrim(harness.keys.events(execution), maxlen=2, approximate=False)
    page = harness.api.executions.events(execution, after=START, limit=50)
    assert (page.cut, page.items[-1].kind) == (True, "execution_finished")


@pytest.mark.parametrize("name_chars", [4, 60, 200])
def test_a_stream_of_ends_and_dispatches_takes_no_more_than_8_mib(harness: Harness, name_chars: int) -> None:
    """However long the names of its nodes are, and most of that is used."""
    execution = harness.create(plan_of({"a": ()}))
    node, at = "n" * name_chars, 1_764_417_404_123
    ended, sent = Event("node_completed", at, node, 12, 12), Event("node_queued", at, node, 12, 12)
    (add,) = harness.api.state.encoder().encode({execution: [Happened(ended), Happened(sent)]})
    words = unpack(add)
    key = harness.keys.events(execution)
    assert words[:3] == (b"XADD", key.encode(), b"MAXLEN")
    for _ in range(11):
        pipeline = harness.client.pipeline(transaction=False)
        for _ in range(5000):
            pipeline.execute_command(*words)
        pipeline.execute_command("XLEN", key)
        kept = pipeline.execute()[-1]
    # A trim drops whole blocks of entries.
    assert 0 <= kept - kept_entries([ended, sent]) < 100
    taken = harness.client.memory_usage(harness.keys.events(execution), samples=0)
    assert taken is not None
    assert 0.6 * KEPT_BYTES < taken <= KEPT_BYTES
    assert harness.api.executions.events(execution, after=START, limit=1).cut is True
    harness.client.delete(key)


def test_what_does_not_exist_has_no_events(harness: Harness) -> None:
    """And what was never triggered has none yet."""
    with pytest.raises(ExecutionNotFoundError):
        harness.api.executions.events("0" * 27, after=START, limit=50)
    execution = harness.create(plan_of({"a": ()}))
    page = harness.api.executions.events(execution, after=START, limit=50)
    assert (page.items, page.next_cursor, page.cut) == ((), None, UNSET)
