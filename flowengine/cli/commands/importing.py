"""`flowengine import`: another tool's workflow as one of FlowEngine, on standard output."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from flowengine.cli.tool_settings import read_document_settings
from flowengine.cli.workflow_files import STDIN, WorkflowPath, read_file
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowengine.cli.importing.translated import Translated
    from flowengine.workflow.problems import Problem

INVALID: Final = 2
FORMATS: Final = ("argo", "conductor", "dagu", "github", "kestra")


@click.command("import")
@click.argument("file", type=WorkflowPath())
@click.option(
    "--from", "name", type=click.Choice(FORMATS), help="What the file is of.  [default: it is looked at]"
)
@click.pass_context
def import_file(ctx: click.Context, file: Path, name: str | None) -> None:
    """Translate a workflow of Argo, Conductor, Dagu, GitHub Actions or Kestra, and print it.

    What cannot be translated stands in it as comments. A step that has no counterpart becomes a node that
    fails and says so. Exit code 2: the file cannot be read, or what came out is not valid yet.
    """
    from flowengine.cli.authoring.formatting.formatted import UnformattableError, formatted
    from flowengine.cli.importing.foreign_text import UnreadableError
    from flowengine.cli.importing.formats import translate
    from flowengine.cli.importing.written import written

    settings = read_document_settings()
    body = read_file(file, settings.limits)
    shown = "standard input" if file == STDIN else file.name
    try:
        known, made = translate(body, name)
    except UnreadableError as error:
        click.echo(plain_text(f"error: cannot import {shown}: {error}"), err=True)
        ctx.exit(INVALID)
    heading = [
        f"Made of {shown}, a workflow of {known.title}, by flowengine import. Check it before you run it."
    ]
    text = written(made, heading)
    problems = _problems(text)
    if problems:
        told = [f"{problem.code}: {problem.message}" for problem in problems]
        text = written(
            made, [*heading, "NOT VALID YET, says flowengine validate:", *(f"- {each}" for each in told)]
        )
    with contextlib.suppress(UnformattableError):  # then it is right as it is, and only looks otherwise
        text = formatted(text.encode())
    click.echo(text, nl=False)
    _sum_up(made, problems)
    if problems:
        ctx.exit(INVALID)


def _problems(text: str) -> Sequence[Problem]:
    from flowengine.handlers.loading import load_registry
    from flowengine.workflow import check

    settings = read_document_settings()
    return check(text.encode(), "yaml", load_registry(settings.handlers), settings.limits).problems


def _sum_up(made: Translated, problems: Sequence[Problem]) -> None:
    from flowengine.cli.importing.translated import NOT_TRANSLATED

    nodes = [node for _, listed in made.lists() for node in listed]
    missing = sum(node.config.get("code") == NOT_TRANSLATED for node in nodes)
    parts = len(made.notes) + sum(len(node.notes) for node in nodes)
    click.echo(f"{len(nodes)} nodes; not translated: {missing} steps, {parts} remarks in all", err=True)
    if problems:
        click.echo(f"not valid yet: {len(problems)} problems, see the comments at the top", err=True)
