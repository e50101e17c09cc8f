"""Prints an execution that has ended: its outputs, its errors, one closing line.

Outputs and errors hold what servers and handlers said, so they reach the terminal only as plain text.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from flowengine.cli.output.progress import STYLES, elapsed, failed_and_skipped, shown_nodes
from flowengine.execution.records import NodeError
from flowengine.execution.views.executions import ExecutionView, NodeResultsView, ResultsView
from flowengine.plaintext import plain_text
from flowengine.workflow.problems import Problem

MOST_RESULTS = 50


def print_results(console: Console, view: ExecutionView, results: ResultsView) -> None:
    """Print every output (on a terminal: the first fifty) and every error, each whole."""
    hooks = _hooks_of(results)
    outputs = {**results.results, **hooks.results}
    names = list(outputs)
    shown = names[:MOST_RESULTS] if console.is_terminal else names
    if shown:
        console.print()
    for name in shown:
        output = plain_text(bytes(outputs[name]).decode())
        console.print(Text.assemble((plain_text(name), "bold"), "  ", output), soft_wrap=True)
    if len(shown) < len(names):
        console.print(Text(f"... and {len(names) - len(shown)} more; --json prints all", "dim"))
    errors = {**results.errors, **hooks.errors}
    if errors:
        console.print()
    tolerated = {node.id for node in shown_nodes(view) if node.tolerated}
    own = None if isinstance(view.error, msgspec.UnsetType) else view.error
    if own is not None and own.node is None and view.status == "failed":
        line = Text.assemble("\n", (view.name, "bold red"), plain_text(f"  {own.code}: {own.message}"))
        console.print(line, soft_wrap=True)
    for name, error in errors.items():
        _print_error(console, name, error, is_tolerated=name in tolerated)
    if not isinstance(view.outputs, msgspec.UnsetType):
        text = plain_text(msgspec.json.encode(view.outputs).decode())
        console.print(Text.assemble("\n", ("outputs", "bold"), "  ", text), soft_wrap=True)
    console.print()
    console.print(_closing_line(view), soft_wrap=True)


def _hooks_of(results: ResultsView) -> NodeResultsView:
    if isinstance(results.hooks, msgspec.UnsetType):
        return NodeResultsView(results={}, errors={})
    return results.hooks


def _print_error(console: Console, name: str, error: NodeError, *, is_tolerated: bool) -> None:
    message = plain_text(f"  {error.code}: {error.message}")
    style, note = ("bold yellow", " (tolerated)") if is_tolerated else ("bold red", "")
    console.print(Text.assemble((plain_text(name), style), message, (note, "dim")), soft_wrap=True)
    for tried in error.errors:
        if len(error.errors) == 1 and tried.message in error.message:
            continue
        line = plain_text(f"    tried: {tried.code}: {tried.message}")
        console.print(Text(line, "dim"), soft_wrap=True)


def encode_results(results: ResultsView) -> str:
    """The results as one line of JSON, in the API's shape."""
    return plain_text(msgspec.json.encode(results).decode())


def encode_refusal(code: str, detail: str, problems: Sequence[Problem] = ()) -> str:
    """Why there are no results, as one line of JSON: members of the API's problem documents."""
    members = {"code": code, "detail": detail, **({"problems": problems} if problems else {})}
    return plain_text(msgspec.json.encode(members).decode())


def _closing_line(view: ExecutionView) -> Text:
    nodes = "1 node" if view.counts.total == 1 else f"{view.counts.total} nodes"
    time = elapsed(view.started_at, view.finished_at)
    return Text.assemble(
        (view.status, f"bold {STYLES[view.status]}"),
        f": {plain_text(view.name)}, {nodes}{failed_and_skipped(view)}, {time}",
    )
