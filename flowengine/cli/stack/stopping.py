"""`flowengine cancel`, `pause` and `resume`."""

from __future__ import annotations

import click

from flowengine.cli.stack.options import execution_argument, json_option
from flowengine.cli.stack.reaching import stack


@click.command()
@execution_argument
@click.option("--reason", help="Why; it is shown as the execution's error.")
@json_option
def cancel(execution: str, reason: str | None, as_json: bool) -> None:
    """Cancel an execution: nothing of it is started any more, and what runs is told to stop."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        view = client.cancel(whole_id(client, execution), reason=reason)
    if as_json:
        print_json_line(view)
    else:
        click.echo(f"{view.status}: {view.execution_id}")


@click.command()
@execution_argument
@json_option
def pause(execution: str, as_json: bool) -> None:
    """Pause an execution: what runs ends, and nothing is started until it is resumed."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        view = client.pause(whole_id(client, execution))
    if as_json:
        print_json_line(view)
    else:
        click.echo(f"{view.status}: {view.execution_id}")


@click.command()
@execution_argument
@json_option
def resume(execution: str, as_json: bool) -> None:
    """Let a paused execution go on."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        view = client.resume(whole_id(client, execution))
    if as_json:
        print_json_line(view)
    else:
        click.echo(f"{view.status}: {view.execution_id}")
