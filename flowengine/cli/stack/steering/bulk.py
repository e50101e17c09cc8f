"""`flowengine bulk`: one action on many executions of a stack."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

import click

from flowengine.cli.stack.completing import complete_name, complete_status
from flowengine.cli.stack.options import ago, json_option, label_pairs
from flowengine.cli.stack.reaching import InvalidInputError, stack
from flowengine.cli.stack.steering.stopping import can_ask
from flowengine.errors import CannotRunError

if TYPE_CHECKING:
    from flowengine.client import Client
    from flowengine.execution.requests.bulk import BulkAction, BulkMode, BulkView
    from flowengine.jsonvalue import JsonValue

ACTIONS: Final = ("cancel", "pause", "resume", "rerun", "delete")
MODES: Final = ("failed", "all")


@click.command()
@click.argument("action", type=click.Choice(ACTIONS))
@click.option(
    "--status",
    "statuses",
    multiple=True,
    shell_complete=complete_status,
    help="Of this status; repeat it for several.",
)
@click.option("--since", callback=ago, metavar="24h", help="Created in this time: 30m, 24h, 7d.")
@click.option("--before", callback=ago, metavar="24h", help="Created before this time: 30m, 24h, 7d.")
@click.option("--name", shell_complete=complete_name, help="Of the workflow with this name.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", help="With this label; of several, all."
)
@click.option("--all", "everything", is_flag=True, help="All that there are.")
@click.option("--reason", help="Why they are cancelled.")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Of a rerun: begin again what has failed (the default), or all.",
)
@click.option("--force", is_flag=True, help="Of a delete: cancel what has not ended.")
@click.option("--dry-run", is_flag=True, help="Only count what would be done.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def bulk(
    action: str,
    statuses: tuple[str, ...],
    since: datetime | None,
    before: datetime | None,
    name: str | None,
    labels: tuple[str, ...],
    everything: bool,
    reason: str | None,
    mode: BulkMode | None,
    force: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Cancel, pause, resume, rerun or delete many executions: those that all of this is true of."""
    from flowengine.cli.output.tables import print_json_line

    where: dict[str, JsonValue] = {
        "status": list(statuses),
        "name": name,
        "label": [f"{label}:{value}" for label, value in label_pairs(labels).items()],
        "created_after": _text(since),
        "created_before": _text(before),
    }
    where = {field: value for field, value in where.items() if value}
    if bool(where) == everything:
        raise click.UsageError("say which executions: --status, --name, --label, --since, --before; or --all")
    asked = _Asked(cast("BulkAction", action), where, reason, force, mode)
    with stack(as_json=as_json) as client:
        if not dry_run and not yes:
            _confirm(client, asked)
        view = asked.carry_out(client, dry_run=dry_run)
    if as_json:
        print_json_line(view)
    else:
        click.echo(_told(view))


class _Asked:
    """What is to be done, and to which executions."""

    def __init__(
        self,
        action: BulkAction,
        where: dict[str, JsonValue],
        reason: str | None,
        force: bool,
        mode: BulkMode | None,
    ) -> None:
        self.action = action
        self.where = where
        self.reason = reason
        self.force = force
        self.mode = mode

    def carry_out(self, client: Client, *, dry_run: bool) -> BulkView:
        """Begin with it, and wait until it has finished."""
        from flowengine.client.waiting import Patience

        view = client.start_bulk(
            self.action,
            where=self.where,
            dry_run=dry_run,
            reason=self.reason,
            force=self.force,
            mode=self.mode,
        )
        patience = Patience(view.bulk_id, timeout_s=None, now=time.monotonic())
        while view.status != "finished":
            time.sleep(patience.after_answer(time.monotonic()))
            view = client.bulk(view.bulk_id)
        return view


def _confirm(client: Client, asked: _Asked) -> None:
    """Ask on a terminal, with how many it is about; what is created afterwards is left alone.

    Raises InvalidInputError where nobody can be asked, CannotRunError for a no.
    """
    if not can_ask():
        raise InvalidInputError("not_confirmed", "there is no terminal to ask on: say --yes, or --dry-run")
    would = asked.carry_out(client, dry_run=True)
    if not click.confirm(f"{_told(would)}. Do it?", err=True):
        raise CannotRunError("nothing was done")
    asked.where = {"created_before": would.created_at, **asked.where}


def _told(view: BulkView) -> str:
    done = "would be done" if view.dry_run else "done"
    refused = "".join(f"; {reason}: {count}" for reason, count in sorted(view.refused.items()))
    nodes = ""
    if isinstance(view.nodes_reset, int) and isinstance(view.results_reused, int):
        nodes = f", nodes reset: {view.nodes_reset}, results reused: {view.results_reused}"
    stopped = "; stopped before its end: the key that began it is not valid any more" if view.stopped else ""
    return f"{view.action}: {done} to {view.done} of {view.seen}{nodes}{refused}{stopped}"


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")
