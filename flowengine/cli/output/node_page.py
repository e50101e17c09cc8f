"""Prints one node: what has happened to it, its attempts, its config, its result or its error.

All of it holds what documents, servers and handlers said, so it reaches the terminal only as plain text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

import click
import msgspec

from flowengine.cli.output.progress import WHY_SKIPPED, elapsed, waiting_words
from flowengine.cli.output.tables import print_rows
from flowengine.execution.records import NodeError
from flowengine.execution.views.executions import NULL, AttemptView, NodeDetailView
from flowengine.execution.views.maps import MapView
from flowengine.plaintext import plain_text


def print_node(node: NodeDetailView) -> None:
    """Print the node, for people."""
    click.echo(plain_text(what_happened(node)))
    click.echo()
    if node.kind not in ("task", node.handler):
        click.echo(f"kind          {node.kind}")
    click.echo(plain_text(f"handler       {node.handler}"))
    if node.map:
        click.echo(f"items         {map_words(node.map)}")
    if node.dependencies:
        click.echo(plain_text(f"dependencies  {', '.join(node.dependencies)}"))
    if node.attempts:
        click.echo()
        print_rows(
            ("attempt", "began", "took", "delivery", "error"), map(_row, node.attempts), nothing="no attempts"
        )
    for title, lines in _parts(node):
        click.echo(f"\n{title}")
        for line in lines:
            click.echo(plain_text(f"  {line}"))


def map_words(items: MapView) -> str:
    """How far the items of a map are."""
    counted = {
        "completed": items.completed,
        "failed": items.failed,
        "running": items.running,
        "pending": items.pending,
        "cancelled": items.cancelled,
    }
    told = ", ".join(f"{number} {status}" for status, number in counted.items() if number)
    return f"{items.total} items: {told}" if told else "no items"


def what_happened(node: NodeDetailView) -> str:
    """One sentence about the node."""
    attempt = f" on attempt {node.attempt}" if node.attempt > 1 else ""
    return f"{node.id} {_what(node, attempt, elapsed(node.started_at, node.finished_at))}."


def _what(node: NodeDetailView, attempt: str, took: str) -> str:
    after = f"{attempt} after {took}" if took else attempt
    code = "" if node.error is None else f" with {node.error.code}"
    match node.status:
        case "pending":
            return "has not begun"
        case "queued":
            return f"waits for a worker, for attempt {node.attempt}"
        case "running":
            return f"has run for {took}{attempt}"
        case "waiting":
            if node.waiting_for and node.waiting_for.kind not in ("retry", "repeat"):
                return waiting_words(node.waiting_for)
            until = f" at {node.waiting_for.until}" if node.waiting_for else ""
            if node.waiting_for and node.waiting_for.kind == "repeat":
                done = f"iteration {node.iteration} has ended" if node.iteration else "its first is to come"
                return f"waits for its next iteration{until}: {done}"
            return f"failed{code} on attempt {node.attempt}, and is tried again{until}"
        case "completed":
            return f"completed{attempt} in {took}" if took else f"completed{attempt}"
        case "failed":
            return f"failed{code}{after}{', and the execution goes on' if node.tolerated else ''}"
        case "skipped":
            return f"was skipped: {WHY_SKIPPED[node.skipped]}" if node.skipped else "was skipped"
        case "cancelled":
            return f"was cancelled{after}"
        case _ as never:
            assert_never(never)


def _row(attempt: AttemptView) -> tuple[str, ...]:
    return (
        str(attempt.attempt),
        attempt.started_at or attempt.queued_at or "",
        elapsed(attempt.started_at, attempt.finished_at),
        "" if attempt.delivery is None else str(attempt.delivery),
        "" if attempt.error is None else f"{attempt.error.code}: {attempt.error.message}",
    )


def _parts(node: NodeDetailView) -> Iterator[tuple[str, Sequence[str]]]:
    if node.config_error:
        yield "config (it cannot be rendered)", [node.config_error]
    elif node.config_truncated:
        yield "config (the beginning of it)", [str(msgspec.json.decode(node.config))]
    else:
        yield "config", _pretty(node.config)
    if node.result != NULL:
        yield "result", _pretty(node.result)
    if node.error is not None:
        yield "error", [*_error_lines(node.error)]


def _error_lines(error: NodeError) -> Iterator[str]:
    yield f"{error.code}: {error.message}"
    for tried in error.errors:
        if len(error.errors) > 1 or tried.message not in error.message:
            yield f"  tried: {tried.code}: {tried.message}"


def _pretty(data: msgspec.Raw) -> list[str]:
    return msgspec.json.format(bytes(data), indent=2).decode().split("\n")
