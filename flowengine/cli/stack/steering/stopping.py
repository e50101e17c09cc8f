"""`flowengine cancel`, `pause`, `resume` and `delete`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from flowengine.cli.stack.options import execution_argument, json_option
from flowengine.cli.stack.reaching import InvalidInputError, stack
from flowengine.errors import CannotRunError

if TYPE_CHECKING:
    from flowengine.client import Client
    from flowengine.execution.views.executions import CancelledView, SteeredView


@click.command()
@execution_argument
@click.option("--reason", help="Why; it is shown as the execution's error.")
@json_option
def cancel(execution: str, reason: str | None, as_json: bool) -> None:
    """Cancel an execution: nothing of it is started any more, and what runs is told to stop."""
    _steer(execution, lambda client, whole: client.cancel(whole, reason=reason), as_json=as_json)


@click.command()
@execution_argument
@json_option
def pause(execution: str, as_json: bool) -> None:
    """Pause an execution: what runs ends, and nothing is started until it is resumed."""
    _steer(execution, lambda client, whole: client.pause(whole), as_json=as_json)


@click.command()
@execution_argument
@json_option
def resume(execution: str, as_json: bool) -> None:
    """Let a paused execution go on."""
    _steer(execution, lambda client, whole: client.resume(whole), as_json=as_json)


@click.command()
@execution_argument
@click.option("--force", is_flag=True, help="Cancel it first, if it has not ended.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def delete(execution: str, force: bool, yes: bool, as_json: bool) -> None:
    """Delete an execution: its results, events and logs are gone for good."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        whole = whole_id(client, execution)
        if not yes:
            _confirm(client, whole)
        view = client.delete(whole, force=force)
    if as_json:
        print_json_line(view)
    else:
        click.echo(f"{'deleted' if view.deleted else 'deleted once it has ended'}: {whole}")


def _confirm(client: Client, execution: str) -> None:
    """Ask on a terminal. Raises InvalidInputError where nobody can be asked, CannotRunError for a no."""
    if not can_ask():
        raise InvalidInputError("not_confirmed", "there is no terminal to ask on: say --yes to delete it")
    from flowengine.plaintext import plain_text

    found = client.status(execution)
    if not click.confirm(f"Delete {execution} ({plain_text(found.name)}, {found.status})?", err=True):
        raise CannotRunError("nothing was deleted")


def can_ask() -> bool:
    """Whether somebody at a terminal can answer."""
    return sys.stdin.isatty()


def _steer(
    execution: str, ask: Callable[[Client, str], CancelledView | SteeredView], *, as_json: bool
) -> None:
    """Ask the stack, and print the status that the execution has now."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        view = ask(client, whole_id(client, execution))
    if as_json:
        print_json_line(view)
    else:
        click.echo(f"{view.status}: {view.execution_id}")
