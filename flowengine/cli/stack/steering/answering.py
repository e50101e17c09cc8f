"""`flowengine signal`: give a node what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowengine.cli.stack.options import execution_argument, json_option
from flowengine.cli.stack.reaching import stack

if TYPE_CHECKING:
    from flowengine.jsonvalue import JsonValue


@click.command()
@execution_argument
@click.argument("name", metavar="NAME")
@click.argument("payload", metavar="[JSON]", required=False)
@json_option
def signal(execution: str, name: str, payload: str | None, as_json: bool) -> None:
    """Send an execution the signal NAME, which carries JSON, or nothing."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id
    from flowengine.plaintext import plain_text

    carried = None if payload is None else json_value(payload, "JSON")
    with stack(as_json=as_json) as client:
        view = client.signal(whole_id(client, execution), name, carried)
    if as_json:
        print_json_line(view)
    else:
        click.echo(f"sent: {plain_text(view.signal)} to {view.execution_id}")


def json_value(text: str, parameter: str) -> JsonValue:
    """The value that is meant. Raises BadParameter."""
    from flowengine.jsonvalue import NotJsonError, decode_bounded

    try:
        return decode_bounded(text)
    except NotJsonError as error:
        raise click.BadParameter(
            f"{error}; a text stands in quotes: '\"done\"'", param_hint=parameter
        ) from error
