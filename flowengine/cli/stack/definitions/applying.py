"""`flowengine apply` and `flowengine diff`: the workflows of folders, and what is applied on a stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from flowengine.cli.stack.options import json_option
from flowengine.cli.stack.reaching import stack
from flowengine.cli.workflow_files import WorkflowPath, problem_line
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowengine.cli.stack.definitions.file_set import FileSet, Planned

DIFFERENT: Final = 1
"""The exit code of a `diff` that has found something."""

_paths = click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=WorkflowPath())
_prune = click.option("--prune", is_flag=True, help="Delete the definitions that no file has.")


@click.command()
@_paths
@_prune
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@json_option
def apply(paths: tuple[Path, ...], prune: bool, dry_run: bool, as_json: bool) -> None:
    """Apply workflow files, and all those in folders, as definitions of a stack.

    What they change is shown first. If one file is wrong, nothing is applied. Files called *.test.yaml are
    left out.
    """
    from flowengine.cli.stack.definitions.file_set import read_files

    with stack(as_json=as_json) as client:
        files = read_files(paths, _say_skipped)
        planned = files.compare(client, prune=prune)
        _show(files, planned, as_json=as_json)
        if not dry_run:
            files.carry_out(client, planned)
    if not as_json:
        click.echo(summary(planned, "would be " if dry_run else ""), err=True)


@click.command()
@_paths
@_prune
@json_option
@click.pass_context
def diff(ctx: click.Context, paths: tuple[Path, ...], prune: bool, as_json: bool) -> None:
    """Show what `flowengine apply` would do. Exit code 1: something.

    --prune shows the definitions that no file has as well.
    """
    from flowengine.cli.stack.definitions.file_set import read_files

    with stack(as_json=as_json) as client:
        files = read_files(paths, _say_skipped)
        planned = files.compare(client, prune=prune)
        _show(files, planned, as_json=as_json)
    if any(each.change != "same" for each in planned):
        ctx.exit(DIFFERENT)


def _say_skipped(link: Path) -> None:
    click.echo(plain_text(f"skipped {link}: it is a link that leads out of the folder"), err=True)


def _show(files: FileSet, planned: Sequence[Planned], *, as_json: bool) -> None:
    """What will be done: a line for each definition, and below it what differs."""
    for path, warning in files.warnings:
        click.echo(f"{problem_line(path, warning)} (a warning)", err=True)
    for each in planned:
        if as_json:
            from flowengine.cli.output.tables import print_json_line

            print_json_line(each)
        elif each.change != "same":
            click.echo(plain_text(each.headline))
            for line in each.lines:
                click.echo(plain_text(f"  {line}"))


def summary(planned: Sequence[Planned], would: str = "") -> str:
    """How many there are of each kind."""
    changes = [each.change for each in planned]
    words = {"new": "new", "changed": "changed", "rewritten": "rewritten", "deleted": "deleted"}
    told = [f"{changes.count(change)} {would}{word}" for change, word in words.items() if change in changes]
    same = changes.count("same")
    return ", ".join([*told, *([f"{same} the same"] if same or not told else [])])
