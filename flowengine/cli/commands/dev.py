"""`flowengine dev`: the whole stack in one terminal. Only the options are here."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
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
@click.option(
    "--apply/--no-apply",
    default=None,
    help="Apply the workflows of PATH, and again when a file is saved.  [default: yes; with REDIS_URL: no]",
)
@click.option("--demo", is_flag=True, help="Start a small service that the examples call, on 127.0.0.1:8810.")
@click.pass_context
def dev(
    ctx: click.Context,
    paths: tuple[Path, ...],
    port: int | None,
    data: Path | None,
    apply: bool | None,
    demo: bool,
) -> None:
    """Run the whole stack in this terminal: API, orchestrator, worker, and a server.

    Applies the workflows of PATH (files and folders; workflows/ if there is one), and again whenever a file
    is saved: what is wrong is told. A change of a module of FLOWENGINE_HANDLERS is loaded for the nodes that
    start after it.

    With REDIS_URL set it uses that server, and takes part in its work. Ctrl-C stops everything.
    """
    from flowengine.cli.processes.dev_stack import run_stack

    if paths and apply is False:
        raise click.UsageError("--no-apply applies nothing: leave out one of the two")
    ctx.exit(run_stack(port=port, data=data, apply=True if paths else apply, paths=paths, demo=demo))
