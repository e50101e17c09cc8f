"""`flowengine submit` and `flowengine trigger`: an execution on a stack, and its end for those who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from flowengine.cli.stack.completing import complete_definition
from flowengine.cli.stack.options import execution_argument, given_options, json_option, waiting_options
from flowengine.cli.stack.reaching import InvalidInputError, stack
from flowengine.cli.workflow_files import STDIN, SUFFIXES, WorkflowPath, problem_line, read_file
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flowengine.client import Client
    from flowengine.execution.views.executions import StartedView
    from flowengine.jsonvalue import JsonValue
    from flowengine.workflow.priority import Priority
    from flowengine.workflow.problems import Problem

PRIORITIES: Final = ("high", "normal", "low")
"""Those of `workflow.priority`, which the help must not wait for."""


@click.command()
@click.argument("file", metavar="FILE|NAME", type=WorkflowPath(), shell_complete=complete_definition)
@given_options
@click.option(
    "--version", type=click.IntRange(min=1), metavar="N", help="Of the definition NAME: this version."
)
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Start it once, however often this is run with the same key and workflow.",
)
@click.option("--priority", type=click.Choice(PRIORITIES), help="In place of that of the workflow.")
@click.option("--callback-url", metavar="URL", help="Where its results are sent once it has ended.")
@waiting_options
@json_option
@click.pass_context
def submit(
    ctx: click.Context,
    file: Path,
    given: tuple[str, ...],
    inputs_file: Path | None,
    labels: tuple[str, ...],
    version: int | None,
    idempotency_key: str | None,
    priority: Priority | None,
    callback_url: str | None,
    wait: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Start the workflow in FILE (- is standard input) on a stack, and print the execution's id.

    Where there is no such file, it is the NAME of an applied definition. With --wait or --follow the exit
    code says how it ended, as that of `flowengine run`.
    """
    from flowengine.cli.stack.workflow_source import AppliedSource, WorkflowSource
    from flowengine.settings import Limits

    body = None if version is not None or names_definition(file) else read_file(file, Limits())
    with stack(as_json=as_json) as client:
        source = AppliedSource(client, str(file), version) if body is None else WorkflowSource(file, body)
        inputs, named = given_values(given, inputs_file, labels, source.schemas)
        started = source.start(client, inputs, named, idempotency_key, callback_url, priority)
        for warning in started.warnings or ():
            _say_problem(file, warning)
        _tell_started(started, quiet=as_json, waits=wait or follow)
        if wait or follow:
            ctx.exit(until_ended(client, started.execution_id, follow=follow, as_json=as_json))
    if as_json:
        from flowengine.cli.output.tables import print_json_line

        print_json_line(started)


@click.command()
@execution_argument
@given_options
@waiting_options
@json_option
@click.pass_context
def trigger(
    ctx: click.Context,
    execution: str,
    given: tuple[str, ...],
    inputs_file: Path | None,
    labels: tuple[str, ...],
    wait: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Start a pending execution, or run again what has failed in one and what is below it.

    Inputs and labels can be given at the first start only.
    """
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        inputs, named = given_values(given, inputs_file, labels, {})
        done = client.trigger(whole_id(client, execution), inputs=inputs, labels=named)
        if wait or follow:
            ctx.exit(until_ended(client, done.execution_id, follow=follow, as_json=as_json))
    if as_json:
        from flowengine.cli.output.tables import print_json_line

        print_json_line(done)
    else:
        click.echo(f"{done.status}, run {done.run}: {done.execution_id}")


def names_definition(path: Path) -> bool:
    """Whether an argument is the name of a definition: no file is called so, nor could a workflow's be."""
    return path != STDIN and path.suffix.lower() not in SUFFIXES and not path.exists()


def given_values(
    pairs: tuple[str, ...],
    inputs_file: Path | None,
    labels: tuple[str, ...],
    schemas: Mapping[str, JsonValue],
    option: str = "input",
) -> tuple[dict[str, JsonValue], dict[str, str]]:
    from flowengine.cli.given_inputs import read_inputs, split_pair, value_of
    from flowengine.settings import Limits
    from flowengine.workflow.inputs.values import InputsInvalidError

    try:
        values = {} if inputs_file is None else read_inputs(inputs_file, Limits())
        for name, text in (split_pair(pair, "input", option) for pair in pairs):
            values[name] = value_of(text, schemas.get(name))
        return values, dict(split_pair(pair, "label") for pair in labels)
    except InputsInvalidError as error:
        raise InvalidInputError(error.code, "the options cannot be read", error.problems) from error


def _tell_started(started: StartedView, *, quiet: bool, waits: bool) -> None:
    """The id, which a script takes from standard output. A person is told what comes next as well."""
    from flowengine.cli.output.tables import is_terminal

    execution = started.execution_id
    if not quiet:
        click.echo(execution, err=waits)
    if not quiet and not waits and is_terminal():
        click.echo(f"next: flowengine show {execution}, or logs -f, results, cancel", err=True)


def until_ended(client: Client, execution: str, *, follow: bool, as_json: bool) -> int:
    """Print the results once it has ended; returns the exit code."""
    from flowengine.cli.output.console import OutputConsole
    from flowengine.cli.output.progress import Silence, choose_progress
    from flowengine.cli.stack.showing import print_outcome

    console = OutputConsole(stderr=as_json)
    try:
        with choose_progress(console) if follow else Silence() as progress:
            view = client.wait_until_ended(execution, seen=progress.show)
    except KeyboardInterrupt:
        click.echo(f"execution {execution} goes on; see: flowengine show {execution}", err=True)
        raise
    print_outcome(client, execution, as_json=as_json, view=view)
    return 0 if view.status == "completed" else 1


def _say_problem(file: Path, problem: Problem) -> None:
    click.echo(plain_text(problem_line(file, problem)), err=True)
