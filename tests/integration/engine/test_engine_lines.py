"""Lines of nodes on a real server: written with a report or while a node runs, bounded, and gone in time."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from flowengine.errors import NodeNotFoundError
from flowengine.execution.history.places import START, parse_place
from flowengine.execution.history.views import LineView
from flowengine.observability.node_output import current_output
from flowengine.plugin import Context, HandlerError
from flowengine.store.committing import encode_changes
from flowengine.store.history import output_writer
from tests.support.rigs.harness import Harness, plan_of

ALONE = {"a": ()}


def say(*lines: str) -> None:
    """What a handler does that prints."""
    output = current_output()
    assert output is not None
    for line in lines:
        output.printed("stdout", f"{line}\n")


def flush(harness: Harness) -> None:
    """What the watchdog does twice a second."""
    runner = harness.workers[0].runner
    runner.outputs.flush(list(runner.running.values()))


def lines(
    harness: Harness,
    execution: str,
    node: str | None = None,
    attempt: int | None = None,
    *,
    limit: int = 500,
) -> list[LineView]:
    """All that is kept, page by page."""
    found: list[LineView] = []
    after = START
    while True:
        page = harness.api.executions.lines(execution, node=node, attempt=attempt, after=after, limit=limit)
        found += page.items
        if page.next_cursor is None:
            return found
        after = parse_place(page.next_cursor) or START


def is_cut(harness: Harness, execution: str, node: str | None = None) -> bool:
    """Whether lines are said to have been dropped."""
    page = harness.api.executions.lines(execution, node=node, attempt=None, after=START, limit=1)
    return page.cut is True


def test_lines_come_with_the_report(harness: Harness) -> None:
    """When its outcome is known, all that a node has said is there: by node, and of all together."""

    def script(context: Context) -> None:
        say(f"this is {context.node_id}", "and more")
        context.output.progress(1, 2, "half")

    harness.script = script
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}))
    harness.drain()
    assert [(line.node, line.message) for line in lines(harness, execution)] == [
        ("a", "this is a"),
        ("a", "and more"),
        ("b", "this is b"),
        ("b", "and more"),
    ]
    (first, second) = lines(harness, execution, "b", limit=1)
    assert (first.source, first.attempt, first.delivery, first.level) == ("stdout", 1, UNSET, UNSET)
    assert (second.message, first.at <= second.at) == ("and more", True)
    with pytest.raises(NodeNotFoundError, match="no node 'bb'"):
        lines(harness, execution, "bb")


@pytest.mark.proves("node-dies-speaking")
def test_what_was_flushed_outlives_its_worker(harness: Harness) -> None:
    """A killed worker's lines stay as far as they were written; the next delivery adds its own."""
    delivered = []

    def script(context: Context) -> None:
        delivered.append(context.delivery)
        say(f"delivery {context.delivery}")
        if context.delivery == 1:
            flush(harness)
            for name in ("logs", "logged"):
                assert harness.client.ttl(f"fe:x:{context.execution_id}:{name}") > 86_400
            say("lost")
            harness.workers[0].line.dead = True

    harness.script = script
    execution = harness.begin(plan_of(ALONE))
    harness.drain()
    assert delivered == [1, 2]
    assert [(line.message, line.delivery) for line in lines(harness, execution)] == [
        ("delivery 1", UNSET),
        ("delivery 2", 2),
    ]


def test_each_attempt_has_its_lines(harness: Harness) -> None:
    """They are told apart, over the runs of an execution too."""

    def script(context: Context) -> None:
        say(f"attempt {context.attempt}")
        if context.run == 1:
            raise HandlerError("boom", "on purpose")

    harness.script = script
    execution = harness.begin(plan_of(ALONE))
    harness.drain()
    harness.trigger(execution)
    harness.drain()
    assert [line.message for line in lines(harness, execution, "a")] == ["attempt 1", "attempt 2"]
    assert [line.message for line in lines(harness, execution, "a", 2)] == ["attempt 2"]


@pytest.mark.proves("chatty-node")
def test_the_newest_lines_of_a_node_are_kept(harness: Harness) -> None:
    """A thousand, over all its attempts, and it is told that there were more. Other nodes keep theirs."""

    def script(context: Context) -> None:
        if context.node_id == "quiet":
            say("one")
            return
        for batch in range(4):
            say(*(f"{context.attempt}.{batch}.{number}" for number in range(400)))
            flush(harness)
        if context.run == 1:
            raise HandlerError("boom", "on purpose")

    harness.script = script
    execution = harness.begin(plan_of({"loud": (), "quiet": ()}))
    harness.drain()
    assert not is_cut(harness, execution, "quiet")
    harness.trigger(execution)
    harness.drain()
    kept = [line.message for line in lines(harness, execution, "loud")]
    assert 900 <= len(kept) <= 1000
    assert kept == [f"2.{n // 400}.{n % 400}" for n in range(1600)][-len(kept) :]
    assert is_cut(harness, execution, "loud")
    assert is_cut(harness, execution)
    assert [line.message for line in lines(harness, execution, "quiet")] == ["one"]


def test_the_lines_of_an_execution_are_bounded(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go, whatever node they are of."""
    monkeypatch.setattr(output_writer, "EXECUTION_BYTES", 40_000)
    monkeypatch.setattr(output_writer, "_EXECUTION_SLACK", 4_000)
    harness.script = lambda context: say(*(f"{context.node_id} {'x' * 4000}" for _ in range(2)))
    execution = harness.begin(plan_of({f"n{number}": () for number in range(8)}))
    harness.drain(batch=1)
    harness.workers[0].runner.outputs.flush([])
    size = int(harness.client.hget(harness.keys.logged(execution), "b"))
    assert 28_000 < size <= 40_000
    nodes = {line.node for line in lines(harness, execution)}
    assert 3 <= len(nodes) < 8
    assert is_cut(harness, execution)


def test_a_silent_node_leaves_no_keys(harness: Harness) -> None:
    """Nothing is stored of what was not said."""
    execution = harness.begin(plan_of(ALONE))
    harness.drain()
    names = harness.keys
    assert not harness.client.exists(names.lines(execution), names.logged(execution), names.live(execution))


def test_what_was_said_expires_with_the_execution(harness: Harness) -> None:
    """Lines with the rest, progress and text an hour after the end; a trigger keeps them for another run."""

    def script(context: Context) -> None:
        say("line")
        context.output.emit("text")
        if context.run == 1:
            raise HandlerError("boom", "on purpose")

    harness.script = script
    execution = harness.begin(plan_of(ALONE))
    harness.drain()
    client, names = harness.client, harness.keys
    control = client.expiretime(names.control(execution))
    assert control > 0
    assert client.expiretime(names.lines(execution)) == control + encode_changes.CONTROL_LEAD_S
    assert client.expiretime(names.logged(execution)) == control + encode_changes.CONTROL_LEAD_S
    assert 3500 < client.ttl(names.live(execution)) <= 3600
    harness.trigger(execution)
    assert client.ttl(names.lines(execution)) == client.ttl(names.live(execution)) == -1
    harness.drain()
    assert client.expiretime(names.lines(execution)) > 0


@pytest.mark.proves("lines-too-late")
def test_lines_that_come_late_expire_too(harness: Harness) -> None:
    """Those of a node whose execution has ended meanwhile, and those of one that is gone."""
    execution = harness.begin(plan_of(ALONE))
    harness.start_executions()
    (task,) = harness.tasks()

    def script(context: Context) -> None:
        harness.cancel(execution)
        for _ in range(2):
            for entry in harness.waiting("orchestrator"):
                harness.deliver(harness.orchestrators[0], entry)
            harness.end_stops()
        say("late")
        flush(harness)
        flush(harness)

    harness.script = script
    harness.deliver(harness.workers[0], task)
    client, names = harness.client, harness.keys
    control = client.expiretime(names.control(execution))
    assert client.expiretime(names.lines(execution)) == control + encode_changes.CONTROL_LEAD_S
