"""`flowengine cancel`, `pause` and `resume`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from flowengine.cli.stack.options import execution_argument, json_option
from flowengine.cli.stack.reaching import stack

if TYPE_CHECKING:
    from flowengine.client import Client
    from flowengine.execution.views import CancelledView, SteeredView


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
