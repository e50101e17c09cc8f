"""What those who watch are told, from a real server: several streams in one order, without gap or repeat."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import pytest

from flowengine.engine.ports import Cursor, Seen
from flowengine.execution.history.live import Message, merged
from flowengine.execution.history.places import (
    LIVE_START,
    NOW,
    LivePlace,
    end_of,
    parse_live_place,
)
from flowengine.observability.node_output import current_output
from flowengine.plugin import Context
from flowengine.store.history import live_reads
from tests.support.rigs.harness import Harness, failing_in, plan_of


def look(harness: Harness, execution: str, after: LivePlace = LIVE_START, *, lines: bool = True) -> Seen:
    """What lies behind a place."""
    (seen,) = harness.api.executions.look([Cursor(execution, after, lines=lines)])
    return seen


def all_told(harness: Harness, execution: str, after: LivePlace = LIVE_START) -> list[Message]:
    """Everything behind a place, of an execution that has ended."""
    found: list[Message] = []
    while True:
        seen = look(harness, execution, after)
        found += seen.messages
        after = seen.after
        if seen.ended:
            return found


def told(messages: Sequence[Message]) -> list[str]:
    """What each message is about."""
    return [f"{message.name} {_about(message)}" for message in messages]


def _about(message: Message) -> str:
    found = msgspec.json.decode(message.data, type=dict[str, object])
    return str(found.get("kind") or found.get("message") or found.get("text") or found.get("status"))


@pytest.fixture
def speaking(harness: Harness) -> str:
    """An execution that has ended, whose nodes have said something in every way."""

    def script(context: Context) -> None:
        output = current_output()
        assert output is not None
        for number in range(3):
            output.printed("stdout", f"line {number}\n")
            context.emit(f"text {number}")
            context.progress(number, 3, f"step {number}")
            runner = harness.workers[0].runner
            runner.outputs.flush(list(runner.running.values()))

    harness.script = script
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}))
    harness.drain()
    return execution


def test_streams_are_told_in_one_order(harness: Harness, speaking: str) -> None:
    """Events, progress, text and lines, as they happened."""
    found = told(all_told(harness, speaking))
    said = [f"{name} {kind} {n}" for n in range(3) for name, kind in (("progress", "step"), ("text", "text"))]
    of_a_node = [
        "event node_queued",
        "event node_started",
        *sorted([*said, *(f"line line {n}" for n in range(3))]),
        "event node_completed",
    ]
    assert found[0] == "event execution_started"
    assert found[-1] == "event execution_finished"
    for begin in (1, 13):
        part = found[begin : begin + 12]
        assert [*part[:2], *sorted(part[2:11]), part[11]] == of_a_node


@pytest.mark.proves("watchers-cut")
def test_it_can_be_gone_on_from_any_place(
    harness: Harness, speaking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of an entry, and where only so much is read at once."""
    whole = all_told(harness, speaking)
    places = [message.place for message in whole]
    assert places == sorted(set(places))
    assert [parse_live_place(str(place)) for place in places] == places
    for most in (50, 3, 2):
        monkeypatch.setattr(live_reads, "ENTRIES", most)
        for number, place in enumerate(places):
            assert all_told(harness, speaking, place) == whole[number + 1 :]


def test_lines_are_left_out_where_nobody_wants_them(harness: Harness, speaking: str) -> None:
    """They are not even read."""
    names = {message.name for message in look(harness, speaking, lines=False).messages}
    assert names == {"event", "progress", "text"}


def test_what_is_as_young_as_the_clock_is_held_back() -> None:
    """More of the same moment may follow in another stream, and would be told before it."""
    event = b'[["node_queued",5,"a",1,1,null]]'
    line = b'["a",1,1,1,[[5,"stdout",null,"said",{}]]]'
    early = merged({"events": [(b"7-0", (event,))]}, LIVE_START, 7, 50)
    assert (early.messages, early.end, early.held) == ([], end_of(6), True)
    later = merged({"logs": [(b"7-0", (line,))], "events": [(b"7-0", (event,))]}, early.end, 8, 50)
    assert [message.name for message in later.messages] == ["event", "line"]
    assert not later.held
    assert (
        merged({"logs": [(b"7-0", (line,))]}, later.messages[0].place, 8, 50).messages == (later.messages[1:])
    )


def test_a_clock_that_goes_back_loses_nothing() -> None:
    """After a fail-over: what has been told is not told again, what is new waits for the clock."""
    event = b'[["node_queued",5,"a",1,1,null]]'
    after = end_of(9)
    seen = merged({"events": [(b"10-0", (event,))]}, after, 8, 50)
    assert (seen.messages, seen.end, seen.held) == ([], after, True)
    assert len(merged({"events": [(b"10-0", (event,))]}, seen.end, 11, 50).messages) == 1


def test_the_end_is_told_once_all_is_told(harness: Harness) -> None:
    """Of one that runs nothing says that it has ended; of one that was never there, that it is not."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    assert not look(harness, execution).ended
    harness.drain()
    for _ in itertools.count():
        seen = look(harness, execution)
        if seen.ended:
            break
    assert told(seen.messages)[-1] == "event execution_finished"
    gone = look(harness, "0" * 27)
    assert (gone.is_there, gone.ended) == (False, True)


def test_status_changes_of_all_executions_are_told(harness: Harness) -> None:
    """Stored, begun, ended, begun again, cancelled: from now on, or from a place."""
    (before,) = harness.api.executions.look([Cursor("", NOW, asks=False)])
    harness.script = failing_in(1, "a")
    execution = harness.begin(plan_of({"a": ()}))
    harness.drain()
    harness.trigger(execution)
    harness.start_executions()
    harness.cancel(execution)
    harness.drain()
    other = harness.create(plan_of({"a": ()}))
    harness.cancel(other)
    expected = [
        *(f"change {status}" for status in ("pending", "running", "failed")),
        *(f"change {status}" for status in ("running", "cancelling", "cancelled")),
        *(f"change {status}" for status in ("pending", "cancelled")),
    ]
    while True:
        (seen,) = harness.api.executions.look([Cursor("", before.after, asks=False)])
        if told(seen.messages)[-1:] == expected[-1:] and other in seen.messages[-1].data.decode():
            break
    assert told(seen.messages) == expected
    (cancelling,) = [each.data for each in seen.messages if b'"cancelling"' in each.data]
    assert b'"run":2' in cancelling
    assert not seen.ended
