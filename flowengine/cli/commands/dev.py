"""`flowengine dev`: the whole stack in one terminal. Only the options are here."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The API's port; 0 picks a free one.  [default: FLOWENGINE_PORT or 8000]",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep state in this folder between starts.  [default: nothing is kept]",
)
@click.pass_context
def dev(ctx: click.Context, port: int | None, data: Path | None) -> None:
    """Run the whole stack in this terminal: API, orchestrator, worker, and a server.

    With REDIS_URL set it uses that server, and takes part in its work. Ctrl-C stops everything.
    """
    from flowengine.cli.processes.dev_stack import run_stack

    ctx.exit(run_stack(port=port, data=data))
