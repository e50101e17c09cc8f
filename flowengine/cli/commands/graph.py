"""`flowengine graph`: a workflow file as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from flowengine.cli.tool_settings import read_document_settings
from flowengine.cli.workflow_files import STDIN, WorkflowPath, problem_line, read_and_check
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.workflow.plan import Plan

INVALID = 2
Format: TypeAlias = Literal["svg", "mermaid"]


@click.command()
@click.argument("file", type=WorkflowPath())
@click.option(
    "--format",
    "form",
    type=click.Choice(["svg", "mermaid"]),
    default="svg",
    show_default=True,
    help="SVG for browsers and documents, Mermaid for what draws it itself.",
)
@click.option(
    "-o", "--output", type=WorkflowPath(), default="-", help="The file to write.  [default: standard output]"
)
@click.pass_context
def graph(ctx: click.Context, file: Path, form: Format, output: Path) -> None:
    """Draw the workflow in FILE (- is standard input): its nodes, what depends on what, its hooks.

    Eight equal siblings or more are one stack. Exit code 0: drawn, 2: the workflow has problems, which are
    told on standard error, as `flowengine validate` does.
    """
    plan = _plan(file)
    if plan is None:
        ctx.exit(INVALID)
    _write(output, _drawn(plan, form))


def _plan(file: Path) -> Plan | None:
    from flowengine.handlers.loading import load_registry

    settings = read_document_settings()
    checked = read_and_check(file, load_registry(settings.handlers), settings.limits)
    for problem in checked.problems:
        click.echo(problem_line(file, problem), err=True)
    return checked.plan


def _drawn(plan: Plan, form: Format) -> str:
    from flowengine.layout.plan_drawing import draw

    if form == "svg":
        from flowengine.layout.formats.svg import svg

        return svg(draw(plan), plan.name)
    from flowengine.layout.formats.mermaid import mermaid

    return mermaid(draw(plan), plan.name)


def _write(output: Path, text: str) -> None:
    """In UTF-8, whatever the terminal has: both forms are files."""
    data = text.encode()
    if output == STDIN:
        click.echo(data, nl=False)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise CannotRunError(plain_text(f"cannot write {output}: {error.strerror or error}")) from error
    click.echo(plain_text(f"wrote {output}"), err=True)
