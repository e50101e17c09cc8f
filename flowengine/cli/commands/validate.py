"""`flowengine validate`: the validator of the API, over files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from flowengine.cli.output.json_output import print_json
from flowengine.cli.tool_settings import read_settings
from flowengine.cli.workflow_files import WorkflowPath, check_file, find_files, problem_line, read_file
from flowengine.errors import CannotRunError

if TYPE_CHECKING:
    from flowengine.plugin import Registry
    from flowengine.settings import Limits
    from flowengine.workflow.problems import Problem

INVALID = 2

Findings: TypeAlias = "Sequence[tuple[Path, tuple[Problem, ...]]]"


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=WorkflowPath())
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every file with its problems.")
@click.pass_context
def validate(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Check workflow files (- is standard input), and all those in folders.

    Every problem is a line `file:line:column: code: message`. Exit code 0: all valid, 2: not.
    """
    findings = _check_all(paths)
    if as_json:
        _print_json(findings)
    else:
        _print_lines(findings)
    if not findings or any(problems for _, problems in findings):
        ctx.exit(INVALID)


def _check_all(paths: Sequence[Path]) -> Findings:
    from flowengine.handlers import load_registry

    settings = read_settings()
    registry = load_registry(settings.handlers)
    return [(path, _check(path, registry, settings.limits)) for path in find_files(paths)]


def _check(path: Path, registry: Registry, limits: Limits) -> tuple[Problem, ...]:
    from flowengine.workflow.problems import Problem

    try:
        return check_file(path, read_file(path, limits), registry, limits).problems
    except CannotRunError as error:
        return (Problem(code="unreadable", pointer="", message=str(error)),)


def _print_lines(findings: Findings) -> None:
    for path, problems in findings:
        for problem in problems:
            click.echo(problem_line(path, problem))
    total = sum(len(problems) for _, problems in findings)
    bad = sum(bool(problems) for _, problems in findings)
    if not findings:
        click.echo("no workflow files there (*.yaml, *.yml, *.json)", err=True)
    elif bad:
        click.echo(f"{_count(total, 'problem')} in {bad} of {_count(len(findings), 'file')}", err=True)
    else:
        click.echo(f"{_count(len(findings), 'file')} valid", err=True)


def _print_json(findings: Findings) -> None:
    files = [{"file": str(path), "valid": not problems, "problems": problems} for path, problems in findings]
    print_json({"files": files})


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
