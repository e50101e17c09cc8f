"""`flowengine validate`: the validator of the API, over files, each by itself and all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import click

from flowengine.cli.output.json_output import print_json
from flowengine.cli.tool_settings import has_secret, read_document_settings
from flowengine.cli.workflow_files import WorkflowPath, find_files, is_json, problem_line, read_file
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.cli.output.problem_formats import Told
    from flowengine.plugin import Registry
    from flowengine.settings import Limits
    from flowengine.workflow import Checked
    from flowengine.workflow.problems import Problem
    from flowengine.workflow.validation import Text

INVALID = 2

Output: TypeAlias = Literal["text", "json", "github", "sarif"]


class FileFound(NamedTuple):
    """A file, what the validator says of it, and what it says itself; None where it cannot be read."""

    path: Path
    checked: Checked
    text: Text | None = None


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=WorkflowPath())
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json", "github", "sarif"]),
    help="What to print: lines, JSON, commands for GitHub Actions, or a SARIF log.  [default: text]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--queues", metavar="A,B", help="Warn of nodes that need another queue than these.")
@click.pass_context
def validate(
    ctx: click.Context, paths: tuple[Path, ...], output: Output | None, as_json: bool, queues: str | None
) -> None:
    """Check workflow files (- is standard input), and all those in folders, each and all together.

    Every problem is a line `file:line:column: code: message`. Exit code 0: all valid, 2: not. A secret
    that the environment does not have is a warning: other workers may have it. So is a name that two
    different workflows have: only one of them can be applied.
    """
    found = _check_all(paths, None if queues is None else [name.strip() for name in queues.split(",")])
    _print(found, "json" if as_json and output is None else output or "text")
    if not found or any(each.checked.problems for each in found):
        ctx.exit(INVALID)


def _check_all(paths: Sequence[Path], queues: Sequence[str] | None) -> Sequence[FileFound]:
    from flowengine.handlers.loading import load_registry

    settings = read_document_settings()
    registry = load_registry(settings.handlers)
    files = find_files(paths, _say_skipped)
    found = _beside_each_other([_checked(path, registry, settings.limits) for path in files])
    if queues is None:
        return found
    return [_with(each, warnings=list(_unserved(each, registry, queues))) for each in found]


def _checked(path: Path, registry: Registry, limits: Limits) -> FileFound:
    from flowengine.workflow import Checked
    from flowengine.workflow.problems import Problem
    from flowengine.workflow.validation import check_document, read_text

    try:
        body = read_file(path, limits)
    except CannotRunError as error:
        return FileFound(path, Checked(None, (Problem(code="unreadable", pointer="", message=str(error)),)))
    text = read_text(body, "json" if is_json(path, body) else "yaml", limits)
    if isinstance(text, Problem):
        return FileFound(path, Checked(None, (text,), malformed=True))
    checked = check_document(text.value, registry, limits, has_secret=has_secret)
    return FileFound(path, text.placed(checked), text)


def _beside_each_other(found: Sequence[FileFound]) -> Sequence[FileFound]:
    """With what is wrong between the files: what cannot be applied together, or does not fit."""
    from flowengine.workflow.definitions.applied_document import wrong_with_name
    from flowengine.workflow.definitions.relations import Member, findings
    from flowengine.workflow.plan import Plan
    from flowengine.workflow.problems import Problem, quoted

    first: dict[str, tuple[Path, Plan]] = {}
    members: list[tuple[int, Member]] = []
    problems: dict[int, list[Problem]] = {}
    warnings: dict[int, list[Problem]] = {}
    for number, (path, checked, text) in enumerate(found):
        plan = checked.plan
        if plan is None or text is None:
            continue
        members.append((number, Member(plan.name, text.value, plan.inputs)))
        other, same_name = first.setdefault(plan.name, (path, plan))
        wrong = wrong_with_name(plan.name, None)
        if same_name != plan:
            wrong = f"{quoted(plan.name)} is the name of {other} too: only one of them can be applied"
        if wrong is not None:
            warning = Problem(code="not_applicable", pointer="/name", message=wrong)
            warnings.setdefault(number, []).append(warning)
    for each in findings([member for _, member in members]):
        told = warnings if each.is_warning else problems
        told.setdefault(members[each.member][0], []).append(each.problem)
    return [
        _with(each, problems=problems.get(number, ()), warnings=warnings.get(number, ()))
        for number, each in enumerate(found)
    ]


def _with(
    found: FileFound, *, problems: Sequence[Problem] = (), warnings: Sequence[Problem] = ()
) -> FileFound:
    """The same, with more problems and warnings, each at its place."""
    from msgspec.structs import replace

    if found.text is None or not (problems or warnings):
        return found
    checked = replace(
        found.checked,
        problems=(*found.checked.problems, *found.text.located(tuple(problems))),
        warnings=(*found.checked.warnings, *found.text.located(tuple(warnings))),
    )
    return found._replace(checked=checked)


def _unserved(found: FileFound, registry: Registry, queues: Sequence[str]) -> Iterator[Problem]:
    from flowengine.workflow.definitions.relations import nodes_of
    from flowengine.workflow.problems import Problem, quoted

    for node, pointer in nodes_of(None if found.text is None else found.text.value):
        name = node.get("handler")
        handler = registry.get(name) if isinstance(name, str) else None
        if handler is not None and handler.queue not in queues:
            message = f"its handler needs the queue {quoted(handler.queue)}, which none of --queues is"
            yield Problem(code="queue_not_served", pointer=f"{pointer}/handler", message=message)


def _say_skipped(link: Path) -> None:
    click.echo(plain_text(f"skipped {link}: it is a link that leads out of the folder"), err=True)


def _print(found: Sequence[FileFound], output: Output) -> None:
    # Only those who ask for it wait for the import of another form.
    from flowengine.cli.output.problem_formats import github_lines, sarif

    match output:
        case "text":
            _print_problems(found)
        case "json":
            _print_json(found)
        case "github":
            for line in github_lines(_told(found)):
                click.echo(line)
        case "sarif":
            print_json(sarif(list(_told(found))))
    if output in ("text", "github"):
        _sum_up(found)


def _told(found: Sequence[FileFound]) -> Iterator[Told]:
    from flowengine.cli.output.problem_formats import Told

    for path, checked, _ in found:
        yield from (Told(path, "error", problem) for problem in checked.problems)
        yield from (Told(path, "warning", warning) for warning in checked.warnings)


def _print_problems(found: Sequence[FileFound]) -> None:
    for path, checked, _ in found:
        for problem in checked.problems:
            click.echo(problem_line(path, problem))
        for warning in checked.warnings:
            click.echo(f"{problem_line(path, warning)} (a warning)", err=True)


def _sum_up(found: Sequence[FileFound]) -> None:
    total = sum(len(each.checked.problems) for each in found)
    bad = sum(bool(each.checked.problems) for each in found)
    if not found:
        click.echo("no workflow files there (*.yaml, *.yml, *.json)", err=True)
    elif bad:
        click.echo(f"{_count(total, 'problem')} in {bad} of {_count(len(found), 'file')}", err=True)
    else:
        click.echo(f"{_count(len(found), 'file')} valid", err=True)


def _print_json(found: Sequence[FileFound]) -> None:
    files = [
        {
            "file": str(path),
            "valid": not checked.problems,
            "problems": checked.problems,
            "warnings": checked.warnings,
        }
        for path, checked, _ in found
    ]
    print_json({"files": files})


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
