"""`flowengine rerun`: another run of an ended execution, or what it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowengine.cli.stack.options import execution_argument, json_option, waiting_options
from flowengine.cli.stack.reaching import stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowengine.client.calls import RerunMode
    from flowengine.execution.views.executions import RerunPreviewView, RerunView


@click.command()
@execution_argument
@click.option("--from", "start_from", multiple=True, metavar="NODE", help="A node to begin with.")
@click.option("--all", "everything", is_flag=True, help="Begin everything again.")
@click.option("--skip", multiple=True, metavar="NODE", help="A node that is skipped in this run.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Another input: text, or JSON.")
@click.option("--preview", is_flag=True, help="Tell what it would do, and change nothing.")
@waiting_options
@json_option
@click.pass_context
def rerun(
    ctx: click.Context,
    execution: str,
    start_from: tuple[str, ...],
    everything: bool,
    skip: tuple[str, ...],
    given: tuple[str, ...],
    preview: bool,
    wait: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Run an ended execution again: what has failed in it, or from the nodes named, and all below.

    With --wait or --follow the exit code says how it ended, as that of `flowengine run`.
    """
    from flowengine.cli.stack.ids import whole_id
    from flowengine.cli.stack.starting import given_values, until_ended

    if everything and start_from:
        raise click.UsageError("--all begins everything again: leave out --from")
    if preview and (wait or follow):
        raise click.UsageError("--preview begins nothing that could be waited for")
    mode: RerunMode | None = "all" if everything else "from" if start_from else None
    shown: RerunPreviewView | RerunView
    with stack(as_json=as_json) as client:
        inputs, _ = given_values(given, None, (), {})
        whole = whole_id(client, execution)
        ask = client.preview_rerun if preview else client.rerun
        shown = ask(whole, mode=mode, start_from=start_from, skip=skip, inputs=inputs)
        if wait or follow:
            ctx.exit(until_ended(client, whole, follow=follow, as_json=as_json))
    if as_json:
        from flowengine.cli.output.tables import print_json_line

        print_json_line(shown)
    else:
        for line in _lines(shown):
            click.echo(line)


def _lines(shown: RerunPreviewView | RerunView) -> Iterator[str]:
    """What it does, or would do, a line for each part of it."""
    from flowengine.execution.views.executions import RerunView
    from flowengine.plaintext import plain_text

    if isinstance(shown, RerunView):
        yield f"{shown.status}, run {shown.run}: {shown.execution_id}"
    else:
        yield f"after run {shown.run} of {shown.execution_id} this would begin:"
    for title, names in (("again", shown.reset), ("skipped", shown.skipped), ("kept", shown.reused)):
        if names:
            yield f"  {title}: {', '.join(names)}"
    for hindrance in () if isinstance(shown, RerunView) else shown.not_possible:
        yield plain_text(f"  not possible: {hindrance.message}")
