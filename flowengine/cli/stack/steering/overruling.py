"""`flowengine skip`, `complete` and `fail`: end a node that waits, hangs or is not wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flowengine.cli.stack.completing import complete_node
from flowengine.cli.stack.options import execution_argument, json_option
from flowengine.cli.stack.reaching import stack
from flowengine.cli.stack.steering.answering import json_value

if TYPE_CHECKING:
    from flowengine.client import Client
    from flowengine.execution.views.executions import OverruledView

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _node_argument(command: _Command) -> _Command:
    """NODE: its id."""
    return click.argument("node", metavar="NODE", shell_complete=complete_node)(command)


def _why_options(command: _Command) -> _Command:
    """`--reason`, `--run`, `--attempt`."""
    for option in (
        click.option("--attempt", type=click.IntRange(0), help="Only if the node is at this attempt."),
        click.option("--run", type=click.IntRange(1), help="Only if the execution is in this run."),
        click.option("--reason", help="Why; the events and the audit tell it."),
    ):
        command = option(command)
    return command


@click.command()
@execution_argument
@_node_argument
@_why_options
@json_option
def skip(
    execution: str, node: str, reason: str | None, run: int | None, attempt: int | None, as_json: bool
) -> None:
    """Skip a node that has not ended."""
    _overrule(
        execution,
        lambda client, whole: client.skip(whole, node, reason=reason, run=run, attempt=attempt),
        as_json=as_json,
    )


@click.command()
@execution_argument
@_node_argument
@click.argument("result", metavar="RESULT")
@_why_options
@json_option
def complete(
    execution: str,
    node: str,
    result: str,
    reason: str | None,
    run: int | None,
    attempt: int | None,
    as_json: bool,
) -> None:
    """Complete a node that has not ended with this output: RESULT, which is JSON."""
    value = json_value(result, "RESULT")
    _overrule(
        execution,
        lambda client, whole: client.complete(whole, node, value, reason=reason, run=run, attempt=attempt),
        as_json=as_json,
    )


@click.command()
@execution_argument
@_node_argument
@click.option("--code", help="The error's code; operator unless it is given.")
@click.option("--message", help="The error's message.")
@_why_options
@json_option
def fail(
    execution: str,
    node: str,
    code: str | None,
    message: str | None,
    reason: str | None,
    run: int | None,
    attempt: int | None,
    as_json: bool,
) -> None:
    """Fail a node that has not ended, for good."""
    _overrule(
        execution,
        lambda client, whole: client.fail(
            whole, node, code=code, message=message, reason=reason, run=run, attempt=attempt
        ),
        as_json=as_json,
    )


def _overrule(execution: str, ask: Callable[[Client, str], OverruledView], *, as_json: bool) -> None:
    """Ask the stack, and print the status that the node has now."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id
    from flowengine.plaintext import plain_text

    with stack(as_json=as_json) as client:
        view = ask(client, whole_id(client, execution))
    if as_json:
        print_json_line(view)
    else:
        click.echo(f"{view.status}: {plain_text(view.node)} of {view.execution_id}")
