"""`flowengine definitions`: what is applied on a stack, its versions and its documents."""

from __future__ import annotations

import click

from flowengine.cli.stack.completing import complete_definition
from flowengine.cli.stack.options import json_option
from flowengine.cli.stack.reaching import InvalidInputError, stack
from flowengine.cli.stack.steering.stopping import can_ask
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

_name = click.argument("name", metavar="NAME", shell_complete=complete_definition)


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def definitions(ctx: click.Context, as_json: bool) -> None:
    """List the definitions of a stack; show or delete one."""
    if ctx.invoked_subcommand is not None:
        return
    from flowengine.cli.output.tables import print_json_line, print_rows, shown_time

    with stack(as_json=as_json) as client:
        found = list(client.definitions(limit=500))
    if as_json:
        for item in found:
            print_json_line(item)
        return
    print_rows(
        ("name", "version", "nodes", "applied", "by", "description"),
        [
            (
                item.name,
                str(item.version),
                str(item.nodes),
                shown_time(item.applied_at),
                item.applied_by or "",
                item.description,
            )
            for item in found
        ],
        nothing="Nothing is applied. See: flowengine apply",
    )


@definitions.command()
@_name
@json_option
def versions(name: str, as_json: bool) -> None:
    """List the versions of a definition, the newest first."""
    from flowengine.cli.output.tables import print_json_line, print_rows, shown_time

    with stack(as_json=as_json) as client:
        found = list(client.versions(name, limit=500))
    if as_json:
        for item in found:
            print_json_line(item)
        return
    print_rows(
        ("version", "in force", "nodes", "applied first", "by", "description"),
        [
            (
                str(item.version),
                "yes" if item.current else "",
                str(item.nodes),
                shown_time(item.applied_at),
                item.applied_by or "",
                item.description,
            )
            for item in found
        ],
        nothing="There are none.",
    )


@definitions.command()
@_name
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="This version, not that in force.")
@json_option
def document(name: str, version: int | None, as_json: bool) -> None:
    """Print the document of a definition as it was applied."""
    from flowengine.cli.output.tables import print_json_line

    with stack(as_json=as_json) as client:
        found = client.definition(name, version=version)
    if as_json:
        print_json_line(found)
    else:
        click.echo(found.document, nl=not found.document.endswith("\n"))


@definitions.command()
@_name
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="This version, not that in force.")
@click.option("--since", type=click.IntRange(min=1), metavar="N", help="Not the one before, but this one.")
@json_option
def changes(name: str, version: int | None, since: int | None, as_json: bool) -> None:
    """Show what a version of a definition has changed."""
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.definitions.difference_line import difference_line

    with stack(as_json=as_json) as client:
        found = client.definition_changes(name, version=version, since=since)
    if as_json:
        print_json_line(found)
    elif found.since is None:
        click.echo(f"version {found.version} is the first that is kept", err=True)
    else:
        click.echo(plain_text(f"{found.name}, version {found.since} -> {found.version}"))
        for each in found.differences:
            click.echo(plain_text(f"  {difference_line(each)}"))


@definitions.command()
@_name
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def delete(name: str, yes: bool, as_json: bool) -> None:
    """Delete a definition with all its versions. Its executions stay."""
    from flowengine.cli.output.tables import print_json_line

    with stack(as_json=as_json) as client:
        if not yes:
            _confirm(name)
        view = client.delete_definition(name)
    if as_json:
        print_json_line(view)
    else:
        click.echo(plain_text(f"deleted: {view.name}"))


def _confirm(name: str) -> None:
    """Ask on a terminal. Raises InvalidInputError where nobody can be asked, CannotRunError for a no."""
    if not can_ask():
        raise InvalidInputError("not_confirmed", "there is no terminal to ask on: say --yes to delete it")
    if not click.confirm(plain_text(f"Delete the definition {name}?"), err=True):
        raise CannotRunError("nothing was deleted")
