"""`flowengine validate`: the validator of the API, over files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowengine.cli.document_path import DocumentPath
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.plugin import Registry
    from flowengine.settings import Limits
    from flowengine.workflow.problems import Problem

INVALID = 2


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=DocumentPath())
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every file with its problems.")
@click.pass_context
def validate(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Check workflow files (- is standard input), and all those in folders.

    Every problem is a line `file:line:column: code: message`. Exit code 0: all valid, 2: not.
    """
    found = _check_all(paths)
    if as_json:
        _print_json(found)
    else:
        _print_lines(found)
    if not found or any(problems for _, problems in found):
        ctx.exit(INVALID)


def _check_all(paths: Sequence[Path]) -> list[tuple[Path, tuple[Problem, ...]]]:
    from flowengine.cli.output.document_problems import find_documents
    from flowengine.cli.tool_settings import read_settings
    from flowengine.handlers import load_registry

    settings = read_settings()
    registry = load_registry(settings.handlers)
    return [(path, _check(path, registry, settings.limits)) for path in find_documents(paths)]


def _check(path: Path, registry: Registry, limits: Limits) -> tuple[Problem, ...]:
    from flowengine.cli.output.document_problems import check_document, read_document
    from flowengine.workflow.problems import Problem

    try:
        return check_document(path, read_document(path, limits), registry, limits).problems
    except CannotRunError as error:
        return (Problem(code="unreadable", pointer="", message=str(error)),)


def _print_lines(found: Sequence[tuple[Path, tuple[Problem, ...]]]) -> None:
    from flowengine.cli.output.document_problems import problem_line

    for path, problems in found:
        for problem in problems:
            click.echo(problem_line(path, problem))
    total = sum(len(problems) for _, problems in found)
    bad = sum(bool(problems) for _, problems in found)
    if not found:
        click.echo("no workflow files there (*.yaml, *.yml, *.json)", err=True)
    elif bad:
        click.echo(f"{_count(total, 'problem')} in {bad} of {_count(len(found), 'file')}", err=True)
    else:
        click.echo(f"{_count(len(found), 'file')} valid", err=True)


def _print_json(found: Sequence[tuple[Path, tuple[Problem, ...]]]) -> None:
    import msgspec

    files = [{"file": str(path), "valid": not problems, "problems": problems} for path, problems in found]
    text = msgspec.json.format(msgspec.json.encode({"files": files}), indent=2).decode()
    click.echo(plain_text(text, keep_lines=True))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
