"""Shows an execution that runs: a live table on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol, Self, assert_never

import click
import msgspec
from rich.console import Console, Group, OverflowMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flowengine.execution.status import NODE_STATUSES, ExecutionStatus, NodeStatus, SkipReason
from flowengine.execution.views.executions import ExecutionView, Moment, NodeView, WaitingForView
from flowengine.plaintext import plain_text

STYLES: Final[Mapping[NodeStatus | ExecutionStatus, str]] = {
    "pending": "dim",
    "queued": "dim",
    "running": "yellow",
    "waiting": "cyan",
    "paused": "cyan",
    "cancelling": "magenta",
    "completed": "green",
    "failed": "red",
    "skipped": "dim",
    "cancelled": "magenta",
}
WHY_SKIPPED: Final[Mapping[SkipReason, str]] = {
    "when": "its `when` is false",
    "upstream_skipped": "what it depends on was skipped",
    "trigger_rule": "its trigger rule does not hold",
    "ended_early": "the execution had ended",
    "operator": "an operator said so",
}
REFRESH_PER_SECOND = 12
_IN_SECONDS: Final = 120
_IN_HOURS: Final = 48
_SHOWN: Final = frozenset(NODE_STATUSES) - {"pending", "queued"}
_LINES_AROUND = 6


class Progress(Protocol):
    """Shows each state that it is given. A context manager: leaving it ends what it draws."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def show(self, view: ExecutionView) -> None:
        """Show the latest state."""

    def say(self, line: str) -> None:
        """Show a line of what else there is to tell, on standard error, whole and beside what is drawn."""


def choose_progress(console: Console) -> Progress:
    """A live table if the console is a terminal that can redraw, else lines."""
    return LiveTable(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def show(self, view: ExecutionView) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Print the line: it is no progress."""
        click.echo(line, err=True)


class Lines:
    """One line for each node that has started or ended since the last state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def show(self, view: ExecutionView) -> None:
        """Print what has changed."""
        for node in shown_nodes(view):
            state = (node.status, node.attempt)
            if node.status in _SHOWN and self._seen.get(node.id) != state:
                self._seen[node.id] = state
                status = (f"{node.status:<9}", STYLES[node.status])
                line = Text.assemble(status, " ", plain_text(node.id))
                line.append(_suffix(node, with_error=False))  # the results have it
                self._console.print(line, soft_wrap=True)

    def say(self, line: str) -> None:
        """Print the line."""
        click.echo(line, err=True)


class LiveTable:
    """A table of all nodes, or of the most important ones if the terminal is too short."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=REFRESH_PER_SECOND, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def show(self, view: ExecutionView) -> None:
        """Redraw."""
        self._live.update(self._draw(view))

    def say(self, line: str) -> None:
        """Print the line above the table, if it goes to the same terminal."""
        if sys.stderr.isatty():
            self._console.print(Text(line), soft_wrap=True)
        else:
            click.echo(line, err=True)

    def _draw(self, view: ExecutionView) -> RenderableType:
        rows = max(3, self._console.height - _LINES_AROUND)
        known = shown_nodes(view)
        nodes = known if len(known) <= rows else _most_important(known, rows - 1)
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True, width=max(map(len, STYLES)))
        cut = _cut(self._console)
        table.add_column(no_wrap=True, overflow=cut, max_width=max(8, self._console.width // 3))
        table.add_column(no_wrap=True, overflow=cut, ratio=1)
        for node in nodes:
            details = Text.assemble((plain_text(node.handler), "dim"), _suffix(node))
            table.add_row(Text(node.status, STYLES[node.status]), Text(plain_text(node.id)), details)
        if len(nodes) < len(known):
            table.add_row(Text("...", "dim"), Text(f"{len(known) - len(nodes)} more", "dim"))
        return Group(_headline(view, cut), table)


def elapsed(started_at: Moment | None, finished_at: Moment | None) -> str:
    """The time between the two, for people: until now if it has not ended, empty if it has not started."""
    if started_at is None:
        return ""
    until = datetime.now(UTC) if finished_at is None else datetime.fromisoformat(finished_at)
    seconds = max(0.0, (until - datetime.fromisoformat(started_at)).total_seconds())
    return length_of(seconds)


def length_of(seconds: float) -> str:
    """So much time, for people: in two units at most."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _IN_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} m" if hours < _IN_HOURS else f"{hours // 24} d {hours % 24} h"


def _cut(console: Console) -> OverflowMethod:
    """How a text ends that is too long: `…` takes one column only where the terminal can show it."""
    return "ellipsis" if console.encoding.startswith("utf") else "crop"


def _headline(view: ExecutionView, cut: OverflowMethod) -> RenderableType:
    counts = view.counts
    done = counts.completed + counts.failed + counts.skipped + counts.cancelled
    bar = ProgressBar(total=max(1, counts.total), completed=done, width=24)
    text = f"{done}/{counts.total}{failed_and_skipped(view)}"
    line = Table.grid(padding=(0, 2))
    line.add_column(no_wrap=True, overflow=cut)
    for _ in range(3):
        line.add_column(no_wrap=True)
    line.add_row(
        Text(plain_text(view.name), "bold", overflow=cut, no_wrap=True),
        bar,
        text,
        elapsed(view.started_at, view.finished_at),
    )
    return line


def shown_nodes(view: ExecutionView) -> Sequence[NodeView]:
    """The main nodes, and the hooks that something has been decided about."""
    hooks = () if isinstance(view.hooks, msgspec.UnsetType) else view.hooks
    return (*view.nodes, *[node for node in hooks if node.queued_at or node.finished_at])


def _most_important(nodes: Sequence[NodeView], count: int) -> list[NodeView]:
    """So many of the nodes, in the document's order."""
    order = ("failed", "cancelled", "running", "waiting", "queued", "pending", "skipped", "completed")
    chosen = sorted(range(len(nodes)), key=lambda position: order.index(nodes[position].status))[:count]
    return [nodes[position] for position in sorted(chosen)]


def failed_and_skipped(view: ExecutionView) -> str:
    """How many nodes have failed and were skipped, as the end of a list; empty where there are none."""
    failed, skipped = view.counts.failed, view.counts.skipped
    tolerated = sum(node.tolerated is True for node in view.nodes)
    text = f", {failed} failed" if failed else ""
    if tolerated:
        text += " (tolerated)" if tolerated == failed else f" ({tolerated} tolerated)"
    hooks = ", hooks failed" if view.hooks_failed is True else ""
    return text + (f", {skipped} skipped" if skipped else "") + hooks


def _suffix(node: NodeView, *, with_error: bool = True) -> str:
    if node.iteration:
        attempt = f"iteration {node.iteration}"
    else:
        attempt = f"attempt {node.attempt}" if node.attempt > 1 else ""
    error = plain_text(f"{node.error.code}: {node.error.message}") if node.error and with_error else ""
    return "".join(f"  {part}" for part in (_time(node), attempt, *_fate(node), error) if part)


def _time(node: NodeView) -> str:
    """How long it has run. One that is skipped, or waits, has not."""
    if node.status not in _SHOWN or node.status in ("skipped", "waiting"):
        return ""
    return elapsed(node.started_at, node.finished_at)


def _fate(node: NodeView) -> tuple[str, ...]:
    """What there is to say of one that was skipped, has failed in vain, or waits."""
    if node.skipped:
        return (WHY_SKIPPED[node.skipped],)
    if node.waiting_for and node.waiting_for.kind != "retry":
        return (waiting_words(node.waiting_for),)
    if node.waiting_for:
        failed = f"failed with {plain_text(node.error.code)}" if node.error else ""
        return (failed, _due("next try", node.waiting_for.until))
    return ("tolerated",) if node.tolerated else ()


def waiting_words(waits: WaitingForView) -> str:
    """What a node waits for that is no other try."""
    match waits.kind:
        case "later" | "retry":
            return f"waits until {waits.until}, when its handler is called again"
        case "wait":
            return f"waits until {waits.until}"
        case "repeat":
            return _due("next iteration", waits.until)
        case "signal":
            return f"waits for a signal, until {waits.until}"
        case "turn":
            place = f", place {waits.place} in its line" if waits.place else ""
            return f"waits for its turn: {plain_text(waits.key or '')}{place}"
        case "callback":
            return f"waits for a callback, until {waits.until}"
        case "approval":
            return f"waits for a decision, until {waits.until}"
        case _ as never:
            assert_never(never)


def _due(what: str, until: Moment | None) -> str:
    left = 0.0 if until is None else (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds()
    return f"{what} in {left:.1f} s" if left > 0 else f"{what} is due"
