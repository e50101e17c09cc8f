"""How an execution looks while it runs and when it has ended."""

from __future__ import annotations

import io
import re
import time
from collections import Counter
from typing import get_args

import msgspec
import pytest
from rich.console import Console

from flowengine.cli.output.progress import (
    Lines,
    LiveTable,
    choose_progress,
    elapsed,
    failed_and_skipped,
    waiting_words,
)
from flowengine.cli.output.results import encode_results, print_results
from flowengine.cli.output.starting_notice import StartingNotice
from flowengine.execution.records import NodeError
from flowengine.execution.status import ExecutionStatus, NodeStatus
from flowengine.execution.views.executions import (
    CountsView,
    ExecutionView,
    NodeView,
    ResultsView,
    WaitingForView,
    moment,
)
from flowengine.plugin.errors import AttemptError
from tests.unit.project.test_plaintext import HOSTILE

BEGIN = 1_767_225_600_000
"""Milliseconds since the epoch: 2026-01-01."""
ERROR = NodeError(
    code="http_status",
    message="[bold]no[/bold] such user: " + "long " * 40,
    attempts=2,
    errors=(AttemptError(code="timeout", message="too slow"),),
)


def node(name: str, status: NodeStatus, *, error: NodeError | None = None) -> NodeView:
    """A node that began at BEGIN and took 120 ms."""
    return NodeView(
        id=name,
        kind="task",
        handler="compute",
        status=status,
        attempt=1,
        dependencies=(),
        queued_at=moment(BEGIN),
        started_at=moment(BEGIN),
        finished_at=moment(BEGIN + 120),
        error=error,
    )


def view(*nodes: NodeView, status: ExecutionStatus = "running") -> ExecutionView:
    """An execution of these nodes."""
    found = Counter(item.status for item in nodes)
    counts = {status: found[status] for status in get_args(NodeStatus)}
    return ExecutionView(
        execution_id="x",
        name="Name of the workflow",
        status=status,
        run=1,
        created_at=moment(BEGIN),
        started_at=moment(BEGIN),
        finished_at=moment(BEGIN + 2000),
        correlation_id="c",
        labels={},
        counts=CountsView(total=len(nodes), **counts),
        nodes=nodes,
    )


def console(*, terminal: bool = False, width: int = 80, height: int = 24) -> Console:
    """A console that writes into memory."""
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=width,
        height=height,
        color_system=None,
        markup=False,
        highlight=False,
        emoji=False,
        _environ={},
    )


def printed(target: Console) -> str:
    """What it has written."""
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def test_pipe_gets_a_line_for_each_change_and_none_twice() -> None:
    """Nodes that wait are not worth a line."""
    target = console()
    with Lines(target) as lines:
        lines.show(view(node("a", "running"), node("b", "pending")))
        lines.show(view(node("a", "running"), node("b", "queued")))
        lines.show(view(node("a", "completed"), node("b", "failed", error=ERROR)))
    told = [line.split()[:2] for line in printed(target).splitlines()]
    assert told == [["running", "a"], ["completed", "a"], ["failed", "b"]]


def test_pipe_gets_whole_messages_once() -> None:
    """A long error is not folded or cut, its brackets are no markup, and only the outcome tells it."""
    target = console(width=20)
    failed = view(node("a", "failed", error=ERROR), status="failed")
    with Lines(target) as lines:
        lines.show(failed)
    assert printed(target) == "failed    a  120 ms\n"
    results = ResultsView(execution_id="x", status="failed", results={}, errors={"a": ERROR})
    print_results(target, failed, results)
    assert printed(target).count("http_status: [bold]no[/bold] such user: long long") == 1


def test_only_try_is_not_told_twice() -> None:
    """A `tried:` line is there for what the error itself does not say."""
    target = console()
    error = NodeError("http_client_error", "GET x: answered 404", errors=(
        AttemptError(code="http_client_error", message="answered 404"),
    ))  # fmt: skip
    results = ResultsView(execution_id="x", status="failed", results={}, errors={"a": error})
    print_results(target, view(node("a", "failed", error=error), status="failed"), results)
    assert "tried:" not in printed(target)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_live_table_fits_into_any_terminal(width: int) -> None:
    """No line is wider than the terminal, no table higher."""
    target = console(terminal=True, width=width, height=10)
    nodes = [node(f"node_{position}_with_a_long_name", "completed") for position in range(30)]
    nodes[17] = node("the_bad_one", "failed", error=ERROR)
    rendered = target.render_lines(LiveTable(target)._draw(view(*nodes)))
    assert len(rendered) <= 10
    assert all(sum(segment.cell_length for segment in line) <= width for line in rendered)
    text = "\n".join("".join(segment.text for segment in line) for line in rendered)
    assert "failed" in text
    assert "more" in text


def test_progress_fits_what_it_is_shown_on() -> None:
    """A terminal gets a table, a pipe gets lines."""
    assert isinstance(choose_progress(console()), Lines)
    assert isinstance(choose_progress(console(terminal=True)), LiveTable)


def test_times_are_for_people() -> None:
    """Milliseconds below a second, seconds above, nothing while unknown."""
    assert elapsed(None, None) == ""
    assert elapsed(moment(BEGIN), moment(BEGIN + 7)) == "7 ms"
    assert elapsed(moment(BEGIN), moment(BEGIN + 90_000)) == "90.0 s"
    assert elapsed(moment(BEGIN), moment(BEGIN + 150_000)) == "2 m 30 s"
    assert elapsed(moment(BEGIN), moment(BEGIN + 3 * 3_600_000 + 300_000)) == "3 h 5 m"
    assert elapsed(moment(BEGIN), moment(BEGIN + 52 * 3_600_000)) == "2 d 4 h"


def test_outcome_has_every_result_and_every_error() -> None:
    """A pipe gets all of them whole, with what was tried."""
    target = console(width=30)
    results = ResultsView(
        execution_id="x",
        status="failed",
        results={f"n{position}": msgspec.Raw(b'{"result":"' + b"x" * 100 + b'"}') for position in range(60)},
        errors={"bad": ERROR},
    )
    print_results(target, view(node("bad", "failed", error=ERROR), status="failed"), results)
    text = printed(target)
    assert text.count('"result":"' + "x" * 100) == 60
    assert "tried: timeout: too slow" in text
    assert text.splitlines()[-1] == "failed: Name of the workflow, 1 node, 1 failed, 2.0 s"


def test_outcome_is_whole_on_a_terminal_too() -> None:
    """No result is cut or broken into lines, since it may be copied; there are no more than anyone reads."""
    target = console(terminal=True, width=30)
    raw = msgspec.Raw(b'"' + b"y" * 300 + b'"')
    results = ResultsView(
        execution_id="x", status="completed", results={f"n{n}": raw for n in range(60)}, errors={}
    )
    print_results(target, view(node("a", "completed"), status="completed"), results)
    lines = printed(target).splitlines()
    assert sum(line.endswith('"' + "y" * 300 + '"') for line in lines) == 50
    assert any("10 more" in line for line in lines)


def test_json_outcome_is_the_apis_shape() -> None:
    """Results as they are stored, errors with all fields."""
    results = ResultsView(
        execution_id="x", status="failed", results={"a": msgspec.Raw(b"[1]")}, errors={"b": ERROR}
    )
    decoded = msgspec.json.decode(encode_results(results))
    assert decoded["results"] == {"a": [1]}
    assert decoded["errors"]["b"]["attempts"] == 2


@pytest.mark.proves("escape-sequences")
def test_nothing_that_a_server_said_acts_on_the_terminal() -> None:
    """Names, messages and outputs come out escaped, one line each, in a pipe and on a terminal."""
    error = NodeError(
        code=HOSTILE,
        message=f"{HOSTILE}\ncompleted all",
        attempts=1,
        errors=(AttemptError(code=HOSTILE, message=HOSTILE),),
    )
    bad = msgspec.structs.replace(node(HOSTILE, "failed", error=error), handler=HOSTILE)
    seen = msgspec.structs.replace(view(bad, status="failed"), name=HOSTILE)
    raw = msgspec.Raw(msgspec.json.encode(HOSTILE))
    results = ResultsView(execution_id="x", status="failed", results={HOSTILE: raw}, errors={HOSTILE: error})
    for target in (console(width=400), console(terminal=True, width=400)):
        with Lines(target) as lines:
            lines.show(seen)
        print_results(target, seen, results)
        target.print(LiveTable(target)._draw(seen))
        shown = printed(target)
        assert shown.replace("\n", "").isprintable()
        assert "\\x1b]0;pwned" in shown
        assert not [line for line in shown.splitlines() if line.startswith("completed all")]


def test_json_outcome_holds_no_control_either() -> None:
    """It may be looked at on a terminal; what it says is the same."""
    raw = msgspec.Raw(msgspec.json.encode(HOSTILE))
    results = ResultsView(execution_id="x", status="completed", results={"a": raw}, errors={})
    encoded = encode_results(results)
    assert encoded.isprintable()
    assert msgspec.json.decode(encoded)["results"] == {"a": HOSTILE}


@pytest.mark.parametrize(
    ("terminal", "quiet", "printed"),
    [
        (True, False, "starting ...\r            \rdone\n"),
        (True, True, "starting ...\r            \rdone\n"),
        (False, False, "starting ...\ndone\n"),
        (False, True, "done\n"),
    ],
)
def test_start_is_told_and_wiped_out(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, quiet: bool, printed: str
) -> None:
    """On a terminal it leaves nothing; where nobody watches, --json says nothing of it."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr", stream)
    with StartingNotice(quiet=quiet) as starting:
        starting.say("done")
    assert stream.getvalue() == printed


def test_a_node_that_does_not_run_says_why() -> None:
    """With no time, because it has taken none."""
    target = console()
    skipped = msgspec.structs.replace(node("a", "skipped"), skipped="when")
    with Lines(target) as lines:
        lines.show(view(skipped))
    assert printed(target) == "skipped   a  its `when` is false\n"


def test_a_node_that_waits_says_why_and_until_when() -> None:
    """The failure that it is tried again after, and how long the pause is still."""
    target = console(width=200)
    soon = moment(round(time.time() * 1000) + 3_600_000)
    waiting = msgspec.structs.replace(
        node("a", "waiting", error=ERROR), waiting_for=WaitingForView(kind="retry", until=soon)
    )
    loops = msgspec.structs.replace(
        node("a", "waiting"), iteration=3, waiting_for=WaitingForView(kind="repeat", until=soon)
    )
    late = msgspec.structs.replace(waiting, waiting_for=WaitingForView(kind="retry", until=moment(BEGIN)))
    with Lines(target) as lines:
        lines.show(view(waiting))
        lines.show(view(msgspec.structs.replace(late, attempt=2)))
        lines.show(view(loops))
    first, second, third = printed(target).splitlines()
    assert re.fullmatch(r"waiting   a  failed with http_status  next try in 3\d\d\d\.\d s", first)
    assert second == "waiting   a  attempt 2  failed with http_status  next try is due"
    assert re.fullmatch(r"waiting   a  iteration 3  next iteration in 3\d\d\d\.\d s", third)


def test_a_tolerated_failure_is_told_as_one() -> None:
    """While it runs, with the errors, and in the closing line: a green outcome must not look red."""
    target = console(width=400)
    tolerated = msgspec.structs.replace(node("a", "failed", error=ERROR), tolerated=True)
    ended = view(tolerated, node("b", "skipped"), status="completed")
    with Lines(target) as lines:
        lines.show(ended)
    results = ResultsView(execution_id="x", status="completed", results={}, errors={"a": ERROR})
    print_results(target, ended, results)
    text = printed(target).splitlines()
    assert text[0] == "failed    a  120 ms  tolerated"
    assert [line.endswith("(tolerated)") for line in text if "http_status" in line] == [True]
    assert text[-1] == "completed: Name of the workflow, 2 nodes, 1 failed (tolerated), 1 skipped, 2.0 s"


def test_failures_of_both_kinds_are_told_apart() -> None:
    """How many of the failed are tolerated."""
    tolerated = msgspec.structs.replace(node("a", "failed", error=ERROR), tolerated=True)
    assert failed_and_skipped(view(tolerated, node("b", "failed"))) == ", 2 failed (1 tolerated)"


@pytest.mark.parametrize(("place", "told"), [(2, ", place 2 in its line"), (None, ""), (msgspec.UNSET, "")])
def test_place_in_a_line_is_told_where_it_is_known(place: int | msgspec.UnsetType | None, told: str) -> None:
    """Of a node that waits for its turn."""
    waits = WaitingForView(kind="turn", until=None, key="db", place=place)
    assert waiting_words(waits) == f"waits for its turn: db{told}"
