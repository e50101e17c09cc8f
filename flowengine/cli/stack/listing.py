"""`flowengine list`: the executions of a stack."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, cast

import click

from flowengine.cli.stack.completing import complete_name, complete_status
from flowengine.cli.stack.options import ago, json_option, label_pairs
from flowengine.cli.stack.reaching import stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from flowengine.execution.status import ExecutionStatus
    from flowengine.execution.views.executions import SummaryView


@click.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    shell_complete=complete_status,
    help="Of this status; repeat it for several.",
)
@click.option("--since", callback=ago, metavar="24h", help="Created in this time: 30m, 24h, 7d.")
@click.option("--name", shell_complete=complete_name, help="Of the workflow with this name.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", help="With this label; of several, all."
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="So many at most, the newest.",
)
@json_option
def list_executions(
    statuses: tuple[str, ...],
    since: datetime | None,
    name: str | None,
    labels: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """List the executions of a stack, newest first."""
    from flowengine.cli.output.tables import is_terminal, print_json_line, print_rows

    tells_more = is_terminal() and not as_json
    with stack(as_json=as_json) as client:
        items = client.list(
            status=cast("Sequence[ExecutionStatus]", statuses),
            name=name,
            labels=label_pairs(labels),
            created_after=since,
            limit=min(limit + tells_more, 500),
        )
        found = list(islice(items, limit))
        # Nobody else asks for a further page: of a narrow list, it may take many to find one more.
        more = tells_more and len(found) == limit and next(items, None) is not None
    if as_json:
        for item in found:
            print_json_line(item)
        return
    print_rows(
        ("id", "status", "name", "nodes", "created", "took", "error"),
        _rows(found),
        nothing="There is no such execution.",
    )
    if more:
        click.echo(f"There are more than {limit}: see --limit.", err=True)


def _rows(items: Sequence[SummaryView]) -> list[tuple[str, ...]]:
    """On a terminal, ids are short."""
    from flowengine.cli.output.progress import elapsed
    from flowengine.cli.output.tables import is_terminal, shown_time
    from flowengine.cli.stack.ids import short_ids

    shown = short_ids(item.execution_id for item in items) if is_terminal() else {}
    return [
        (
            shown.get(item.execution_id, item.execution_id),
            item.status,
            item.name,
            f"{item.counts.total - item.counts.unfinished}/{item.counts.total}",
            shown_time(item.created_at),
            elapsed(item.started_at, item.finished_at),
            "" if item.error is None else _error(item.error.code, item.error.node),
        )
        for item in items
    ]


def _error(code: str, node: str | None) -> str:
    return code if node is None else f"{code} ({node})"
