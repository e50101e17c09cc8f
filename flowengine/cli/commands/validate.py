"""`flowengine validate`: the validator of the API, over files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from flowengine.cli.output.json_output import print_json
from flowengine.cli.tool_settings import read_document_settings
from flowengine.cli.workflow_files import WorkflowPath, find_files, problem_line, read_and_check
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.workflow import Checked

INVALID = 2

Findings: TypeAlias = "Sequence[tuple[Path, Checked]]"


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=WorkflowPath())
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every file with its problems.")
@click.pass_context
def validate(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Check workflow files (- is standard input), and all those in folders.

    Every problem is a line `file:line:column: code: message`. Exit code 0: all valid, 2: not. A secret
    that the environment does not have is a warning: other workers may have it. So is a name that two
    different workflows have: only one of them can be applied.
    """
    findings = _check_all(paths)
    if as_json:
        _print_json(findings)
    else:
        _print_lines(findings)
    if not findings or any(checked.problems for _, checked in findings):
        ctx.exit(INVALID)


def _check_all(paths: Sequence[Path]) -> Findings:
    from flowengine.handlers.loading import load_registry

    settings = read_document_settings()
    registry = load_registry(settings.handlers)
    files = find_files(paths, _say_skipped)
    return _beside_each_other([(path, read_and_check(path, registry, settings.limits)) for path in files])


def _beside_each_other(findings: Findings) -> Findings:
    """With warnings of what cannot be applied: of two workflows of one name, and of a name that none can
    have."""
    from msgspec.structs import replace

    from flowengine.workflow.definitions.applied_document import wrong_with_name
    from flowengine.workflow.plan import Plan
    from flowengine.workflow.problems import Problem, quoted

    first: dict[str, tuple[Path, Plan]] = {}
    found = []
    for path, checked in findings:
        plan, wrong = checked.plan, None
        if plan is not None:
            other, same_name = first.setdefault(plan.name, (path, plan))
            wrong = wrong_with_name(plan.name, None)
            if same_name != plan:
                wrong = f"{quoted(plan.name)} is the name of {other} too: only one of them can be applied"
        if wrong is not None:
            warning = Problem(code="not_applicable", pointer="/name", message=wrong)
            checked = replace(checked, warnings=(*checked.warnings, warning))
        found.append((path, checked))
    return found


def _say_skipped(link: Path) -> None:
    click.echo(plain_text(f"skipped {link}: it is a link that leads out of the folder"), err=True)


def _print_lines(findings: Findings) -> None:
    for path, checked in findings:
        for problem in checked.problems:
            click.echo(problem_line(path, problem))
        for warning in checked.warnings:
            click.echo(f"{problem_line(path, warning)} (a warning)", err=True)
    total = sum(len(checked.problems) for _, checked in findings)
    bad = sum(bool(checked.problems) for _, checked in findings)
    if not findings:
        click.echo("no workflow files there (*.yaml, *.yml, *.json)", err=True)
    elif bad:
        click.echo(f"{_count(total, 'problem')} in {bad} of {_count(len(findings), 'file')}", err=True)
    else:
        click.echo(f"{_count(len(findings), 'file')} valid", err=True)


def _print_json(findings: Findings) -> None:
    files = [
        {
            "file": str(path),
            "valid": not checked.problems,
            "problems": checked.problems,
            "warnings": checked.warnings,
        }
        for path, checked in findings
    ]
    print_json({"files": files})


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
