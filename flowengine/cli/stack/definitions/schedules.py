"""`flowengine schedules`: when definitions start executions by themselves, and how that is steered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowengine.cli.stack.completing import complete_definition, complete_schedule
from flowengine.cli.stack.options import json_option
from flowengine.cli.stack.reaching import stack
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.execution.schedules.views import OutcomeView, ScheduleView

_name = click.argument("name", metavar="NAME", shell_complete=complete_definition)
_id = click.argument("schedule", metavar="[ID]", default="default", shell_complete=complete_schedule)


@click.group(invoke_without_command=True)
@click.option("--name", metavar="NAME", shell_complete=complete_definition, help="Of this definition only.")
@json_option
@click.pass_context
def schedules(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """List the schedules of a stack; pause, resume or trigger one."""
    if ctx.invoked_subcommand is not None:
        return
    from flowengine.cli.output.tables import print_json_line, print_rows, shown_time

    with stack(as_json=as_json) as client:
        found = list(client.schedules(name=name, limit=500))
    if as_json:
        for item in found:
            print_json_line(item)
        return
    print_rows(
        ("name", "id", "when", "next", "last", "held by"),
        [
            (
                item.name,
                item.id,
                _when(item),
                shown_time(item.next_times[0]) if item.next_times else item.status,
                _last(item),
                ", ".join(item.held_by),
            )
            for item in found
        ],
        nothing="Nothing is scheduled. See: flowengine help schedules",
    )


@schedules.command()
@_name
@_id
@json_option
def pause(name: str, schedule: str, as_json: bool) -> None:
    """Let a schedule start nothing until it is resumed."""
    with stack(as_json=as_json) as client:
        view = client.pause_schedule(name, schedule)
    _print_steered(view, as_json=as_json)


@schedules.command()
@_name
@_id
@json_option
def resume(name: str, schedule: str, as_json: bool) -> None:
    """Let a schedule go on with its next time."""
    with stack(as_json=as_json) as client:
        view = client.resume_schedule(name, schedule)
    _print_steered(view, as_json=as_json)


@schedules.command()
@_name
@_id
@json_option
def trigger(name: str, schedule: str, as_json: bool) -> None:
    """Start an execution of a schedule now; prints its id."""
    from flowengine.cli.output.tables import print_json_line

    with stack(as_json=as_json) as client:
        view = client.trigger_schedule(name, schedule)
    if as_json:
        print_json_line(view)
    else:
        click.echo(view.execution_id)


@schedules.command()
@_name
@_id
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="So many at most.")
@json_option
def history(name: str, schedule: str, limit: int, as_json: bool) -> None:
    """Show what the times of a schedule have brought about, newest first."""
    from flowengine.cli.output.tables import print_json_line, print_rows, shown_time

    with stack(as_json=as_json) as client:
        found = client.schedule_history_page(name, schedule, limit=limit).items
    if as_json:
        for item in found:
            print_json_line(item)
        return
    print_rows(
        ("scheduled", "decided", "outcome", "execution", "why"),
        [
            (
                shown_time(item.scheduled_at),
                shown_time(item.at),
                item.outcome,
                item.execution_id or "",
                _why(item),
            )
            for item in found
        ],
        nothing="None of its times has come yet.",
    )


def _when(item: ScheduleView) -> str:
    if item.every_seconds is not None:
        return f"every {item.every_seconds} s"
    return f"{item.cron} {item.timezone}"


def _last(item: ScheduleView) -> str:
    return " ".join(filter(None, [item.last[0].outcome, item.last[0].code])) if item.last else ""


def _why(item: OutcomeView) -> str:
    from flowengine.cli.output.tables import shown_time

    if item.by is not None:
        return f"triggered by {item.by.key or 'an operator'}"
    if item.until is not None:
        return f"until {shown_time(item.until)}"
    return ": ".join(filter(None, [item.code, item.message]))


def _print_steered(view: ScheduleView, *, as_json: bool) -> None:
    from flowengine.cli.output.tables import print_json_line, shown_time

    if as_json:
        print_json_line(view)
    else:
        following = f", next {shown_time(view.next_times[0])}" if view.next_times else ""
        click.echo(plain_text(f"{view.name} {view.id}: {view.status}{following}"))
