"""`flowengine signal`, `approve` and `reject`: give a node what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from flowengine.cli.stack.completing import complete_node
from flowengine.cli.stack.options import execution_argument, json_option
from flowengine.cli.stack.reaching import stack

if TYPE_CHECKING:
    from flowengine.client import Client
    from flowengine.execution.views.executions import DecidedView
    from flowengine.jsonvalue import JsonValue


_ITEM = click.option("--item", metavar="KEY", help="Which item of a map is meant.")
_ITERATION = click.option(
    "--iteration", type=click.IntRange(1), help="Only if the group around is in this iteration."
)


@click.command()
@execution_argument
@click.argument("name", metavar="NAME")
@click.argument("payload", metavar="[JSON]", required=False)
@_ITEM
@_ITERATION
@json_option
def signal(
    execution: str,
    name: str,
    payload: str | None,
    item: str | None,
    iteration: int | None,
    as_json: bool,
) -> None:
    """Send an execution the signal NAME, which carries JSON, or nothing."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id
    from flowengine.plaintext import plain_text

    carried = None if payload is None else json_value(payload, "JSON")
    with stack(as_json=as_json) as client:
        view = client.signal(whole_id(client, execution), name, carried, item=item, iteration=iteration)
    if as_json:
        print_json_line(view)
    else:
        click.echo(f"sent: {plain_text(view.signal)} to {view.execution_id}")


_COMMENT = click.option("--comment", help="Why; the events and the audit tell it.")
_ATTEMPT = click.option("--attempt", type=click.IntRange(0), help="Only if the node is at this attempt.")
_RUN = click.option("--run", type=click.IntRange(1), help="Only if the execution is in this run.")


class _Which(TypedDict):
    """Which of several is meant, by the options of both commands."""

    run: int | None
    attempt: int | None
    item: str | None
    iteration: int | None


def _which(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which is meant."""
    return _RUN(_ATTEMPT(_ITEM(_ITERATION(command))))


@click.command()
@execution_argument
@click.argument("node", metavar="NODE", shell_complete=complete_node)
@click.option("--data", metavar="JSON", help="What the node's schema asks for.")
@_COMMENT
@_which
@json_option
def approve(
    execution: str,
    node: str,
    data: str | None,
    comment: str | None,
    as_json: bool,
    **which: Unpack[_Which],
) -> None:
    """Approve what a node asks. One in a group is GROUP.NODE."""
    given = None if data is None else json_value(data, "--data")
    _decide(
        execution,
        lambda client, whole: client.decide(whole, node, approved=True, comment=comment, data=given, **which),
        as_json=as_json,
    )


@click.command()
@execution_argument
@click.argument("node", metavar="NODE", shell_complete=complete_node)
@_COMMENT
@_which
@json_option
def reject(
    execution: str,
    node: str,
    comment: str | None,
    as_json: bool,
    **which: Unpack[_Which],
) -> None:
    """Reject what a node asks. One in a group is GROUP.NODE."""
    _decide(
        execution,
        lambda client, whole: client.decide(whole, node, approved=False, comment=comment, **which),
        as_json=as_json,
    )


def _decide(execution: str, ask: Callable[[Client, str], DecidedView], *, as_json: bool) -> None:
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id
    from flowengine.plaintext import plain_text

    with stack(as_json=as_json) as client:
        view = ask(client, whole_id(client, execution))
    if as_json:
        print_json_line(view)
    else:
        word = "approved" if view.decision.approved else "rejected"
        click.echo(f"{word}: {plain_text(view.node)} of {view.execution_id} is {view.status}")


def json_value(text: str, parameter: str) -> JsonValue:
    """The value that is meant. Raises BadParameter."""
    from flowengine.jsonvalue import NotJsonError, decode_bounded

    try:
        return decode_bounded(text)
    except NotJsonError as error:
        raise click.BadParameter(
            f"{error}; a text stands in quotes: '\"done\"'", param_hint=parameter
        ) from error
