"""`flowengine rerun`: another run of an ended execution, or what it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowengine.cli.stack.options import execution_argument, json_option, waiting_options
from flowengine.cli.stack.reaching import stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowengine.client.calls import RerunMode, RerunVersion
    from flowengine.execution.views.executions import ItemsAgainView, RerunPreviewView, RerunView


@click.command()
@execution_argument
@click.option("--from", "start_from", multiple=True, metavar="NODE", help="A node to begin with.")
@click.option("--all", "everything", is_flag=True, help="Begin everything again.")
@click.option(
    "--item",
    "named",
    multiple=True,
    metavar="NODE=KEY",
    help="An item of a map that begins again, by its key.",
)
@click.option("--skip", multiple=True, metavar="NODE", help="A node that is skipped in this run.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Another input: text, or JSON.")
@click.option("--new", "as_new", is_flag=True, help="As a new execution, also of one that runs.")
@click.option("--version", metavar="N", help="With --new: by this version of its definition, or 'latest'.")
@click.option("--preview", is_flag=True, help="Tell what it would do, and change nothing.")
@waiting_options
@json_option
@click.pass_context
def rerun(
    ctx: click.Context,
    execution: str,
    start_from: tuple[str, ...],
    everything: bool,
    named: tuple[str, ...],
    skip: tuple[str, ...],
    given: tuple[str, ...],
    as_new: bool,
    version: str | None,
    preview: bool,
    wait: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Run an ended execution again: what has failed in it, or from the nodes named, and all below.

    With --item exactly these items of a map run again; its others keep what they have.

    With --new it stays as it is, and a new execution copies the results that it keeps of it.

    With --wait or --follow the exit code says how it ended, as that of `flowengine run`.
    """
    from flowengine.cli.stack.ids import whole_id
    from flowengine.cli.stack.starting import given_values, until_ended

    if everything and start_from:
        raise click.UsageError("--all begins everything again: leave out --from")
    if everything and named:
        raise click.UsageError("--all begins all items again: leave out --item")
    if preview and (wait or follow):
        raise click.UsageError("--preview begins nothing that could be waited for")
    if version is not None and not as_new:
        raise click.UsageError("another version takes a new execution: say --new")
    by_version = _version(version)
    items = _items(named)
    mode: RerunMode | None = "all" if everything else "from" if start_from or items else None
    shown: RerunPreviewView | RerunView
    with stack(as_json=as_json) as client:
        inputs, _ = given_values(given, None, (), {}, "set")
        whole = whole_id(client, execution)
        ask = client.preview_rerun if preview else client.rerun
        shown = ask(
            whole,
            mode=mode,
            start_from=start_from,
            items=items,
            skip=skip,
            inputs=inputs,
            as_new=as_new,
            version=by_version,
        )
        if wait or follow:
            ctx.exit(until_ended(client, shown.execution_id, follow=follow, as_json=as_json))
    if as_json:
        from flowengine.cli.output.tables import print_json_line

        print_json_line(shown)
    else:
        for line in told_lines(shown):
            click.echo(line)


def _items(named: tuple[str, ...]) -> dict[str, list[str]]:
    """The keys by their maps. A key may hold '=': no node's id does."""
    found: dict[str, list[str]] = {}
    for each in named:
        node, is_there, key = each.partition("=")
        if not (node and is_there and key):
            raise click.UsageError(f"--item is NODE=KEY, not {each[:40]!r}")
        found.setdefault(node, []).append(key)
    return found


def _version(given: str | None) -> RerunVersion | None:
    if given is None or given == "original":
        return None
    if given == "latest":
        return "latest"
    if not given.isascii() or not given.isdecimal():
        raise click.UsageError(f"--version is a number or 'latest', not {given[:40]!r}")
    return int(given)


def _items_again(shown: RerunPreviewView | RerunView) -> Iterator[tuple[str, ItemsAgainView]]:
    import msgspec

    if not isinstance(shown.items, msgspec.UnsetType):
        yield from shown.items.items()


def told_lines(shown: RerunPreviewView | RerunView) -> Iterator[str]:
    """What it does, or would do, a line for each part of it."""
    import msgspec

    from flowengine.execution.views.executions import RerunView
    from flowengine.plaintext import plain_text

    if isinstance(shown, RerunView):
        made = "" if isinstance(shown.rerun_of, msgspec.UnsetType) else f"{shown.rerun_of} -> "
        yield f"{shown.status}, run {shown.run}: {made}{shown.execution_id}"
    else:
        made = "" if isinstance(shown.forks, msgspec.UnsetType) else " in a new execution"
        would = "cannot be done" if shown.not_possible else f"would begin{made}"
        yield f"after run {shown.run} of {shown.execution_id} this {would}:"
        if shown.not_possible:
            for hindrance in shown.not_possible:
                yield plain_text(f"  {hindrance.message}")
            return
    for title, names in (("again", shown.reset), ("skipped", shown.skipped), ("kept", shown.reused)):
        if names:
            yield f"  {title}: {', '.join(names)}"
    for node, again in _items_again(shown):
        parts = (("kept", again.reused), ("stay failed", again.failed), ("stay out", again.cancelled))
        others = "".join([f", {count} {what}" for what, count in parts if count])
        yield f"  items of {node}: {again.reset} again{others}"
    if not isinstance(shown, RerunView) and not isinstance(shown.forks, msgspec.UnsetType):
        for each in shown.forks.anew:
            yield plain_text(f"  anew: {each.message}")
