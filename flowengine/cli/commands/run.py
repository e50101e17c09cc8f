"""`flowengine run`: one workflow, from its file to its results. Only the options are here."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

import click

from flowengine.cli.output.starting_notice import StartingNotice
from flowengine.cli.workflow_files import WorkflowPath
from flowengine.errors import CannotRunError, FlowEngineError


def _finite(seconds: float | None) -> float | None:
    """A range lets NaN pass, which no moment is later than."""
    if seconds is not None and not math.isfinite(seconds):
        raise click.BadParameter("give a number of seconds, or leave it out")
    return seconds


@click.command()
@click.argument("file", type=WorkflowPath())
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON, and nothing else.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    callback=lambda _, __, value: _finite(value),
    metavar="SECONDS",
    help="Give up when the workflow has run for this long, with exit code 3.  [default: never]",
)
@click.option(
    "--input",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input of the workflow, read by its type: text as it is, all else as JSON.",
)
@click.option(
    "--inputs",
    "inputs_file",
    type=WorkflowPath(),
    metavar="FILE",
    help="Inputs from a file, JSON or YAML; --input takes precedence.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="A label of the execution, beside those of the workflow.",
)
@click.option("--demo", is_flag=True, help="Start a small service that the examples call, on 127.0.0.1:8810.")
@click.pass_context
def run(
    ctx: click.Context,
    file: Path,
    as_json: bool,
    timeout_s: float | None,
    given: tuple[str, ...],
    inputs_file: Path | None,
    labels: tuple[str, ...],
    demo: bool,
) -> None:
    """Run the workflow in FILE (- is standard input) to its end and print its results.

    Starts a server, an orchestrator and a worker for the time that takes, or uses the server that
    REDIS_URL names: with queues of its own, so that it sees to nothing else that waits there.

    Exit code 0: completed, 1: failed, 2: invalid, 3: could not run or ran out of time,
    130: interrupted. With --json, 2 and 3 print a JSON object that says why.
    """
    with StartingNotice(quiet=as_json) as starting, contextlib.ExitStack() as stack:
        from flowengine.cli.given_inputs import GivenInputs
        from flowengine.cli.processes.workflow_run import run_file

        try:
            if demo:
                _start_demo(stack)
            wanted = GivenInputs(given, inputs_file, labels)
            ctx.exit(run_file(file, as_json=as_json, timeout_s=timeout_s, starting=starting, inputs=wanted))
        except FlowEngineError as error:
            if as_json:
                from flowengine.cli.output.results import encode_refusal

                click.echo(encode_refusal(error.code, str(error)))
            raise


def _start_demo(stack: contextlib.ExitStack) -> None:
    """Start the service until `stack` ends; what this run starts asks it."""
    from flowengine.cli.authoring.demo_service import DemoService, demo_environment
    from flowengine.cli.tool_settings import chosen_server

    if chosen_server() is not None:
        raise CannotRunError(
            "--demo is for the embedded server, but REDIS_URL names another: unset one of them"
        )
    service = stack.enter_context(DemoService())
    os.environ.update(demo_environment(service.url))
