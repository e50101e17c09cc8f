"""`flowengine run`: one workflow, from its file to its results. The command's options only."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON, and nothing else.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Give up after this long.  [default: never]",
)
@click.pass_context
def run(ctx: click.Context, file: Path, as_json: bool, timeout_s: float | None) -> None:
    """Run the workflow in FILE to its end and print its results.

    Starts a server, an orchestrator and a worker for the time that takes, or uses the server that
    REDIS_URL names. Exit code 0: completed, 1: failed, 2: invalid, 3: could not run.
    """
    from flowengine.cli.single_run import run_file

    ctx.exit(run_file(file, as_json=as_json, timeout_s=timeout_s))
