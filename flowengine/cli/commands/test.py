"""`flowengine test`: runs the files of tests beside workflows, without a stack and without a network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowengine.cli.tool_settings import read_document_settings
from flowengine.cli.workflow_files import WorkflowPath, find_case_files, problem_line
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.plugin import Registry
    from flowengine.settings import Settings
    from flowengine.testing.case_files import CaseOutcome, LoadedFile

FAILED, INVALID = 1, 2


@click.command("test")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=WorkflowPath())
@click.option("-k", "wanted", default="", help="Run only tests whose file::name holds this text.")
@click.option("--coverage", is_flag=True, help="Tell which ways through the workflows no test has taken.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML there.")
@click.option(
    "--record", "recorded", metavar="ID", help="Print a test made from this execution of a stack; run none."
)
@click.pass_context
def run_tests(
    ctx: click.Context,
    paths: tuple[Path, ...],
    wanted: str,
    coverage: bool,
    junit: Path | None,
    recorded: str | None,
) -> None:
    """Run the tests of workflows: files *.test.yaml, by default all below this folder.

    A path may be such a file, a workflow (its tests stand beside it), or a folder. No server is needed,
    nothing is called, waits take no time: what would call out needs a mock. Exit code 0: all passed, 1: some
    failed, 2: a file is wrong, or there are no tests.
    """
    if recorded is not None:
        _record(recorded, paths)
        return
    from flowengine.handlers.loading import load_registry

    settings = read_document_settings()
    registry = load_registry(settings.handlers)
    began = time.perf_counter()
    loaded = _load(_files(paths), registry, settings)
    wrong = [problem for each in loaded for problem in each.problems]
    for placed in wrong:
        click.echo(problem_line(placed.path, placed.problem))
    outcomes = _run(loaded, registry, settings, wanted)
    if coverage:
        _print_coverage(loaded, outcomes)
    _sum_up(outcomes, len(wrong), time.perf_counter() - began)
    if junit is not None:
        _write_junit(junit, loaded, outcomes)
    if wrong or not outcomes:
        ctx.exit(INVALID)
    if not all(outcome.passed for outcome in outcomes):
        ctx.exit(FAILED)


def _record(execution: str, paths: Sequence[Path]) -> None:
    """Print a file of one test. The path, if there is one, is that of the workflow."""
    from flowengine.cli.authoring.recorded_executions import RecordedByClient
    from flowengine.cli.stack.ids import whole_id
    from flowengine.cli.stack.reaching import stack
    from flowengine.testing.recording import record

    if len(paths) > 1:
        raise click.UsageError("--record takes one path: that of the workflow")
    with stack() as client:
        found = whole_id(client, execution)
        name = paths[0].name if paths else f"{client.status(found).name}.yaml"
        click.echo(plain_text(record(RecordedByClient(client), found, name), keep_lines=True), nl=False)


def _files(paths: Sequence[Path]) -> list[Path]:
    found = list(find_case_files(paths or (Path(),), lambda link: None))
    if not found:
        raise CannotRunError("no files of tests there (*.test.yaml). See: flowengine help testing")
    return found


def _load(paths: Iterable[Path], registry: Registry, settings: Settings) -> list[LoadedFile]:
    from flowengine.testing.case_files import load

    return [load(path, registry, settings) for path in paths]


def _run(
    loaded: Iterable[LoadedFile], registry: Registry, settings: Settings, wanted: str
) -> list[CaseOutcome]:
    from flowengine.bootstrap import read_environment
    from flowengine.testing.case_files import run_loaded

    variables, outcomes = read_environment(), []
    for each in loaded:
        for outcome in run_loaded(each, registry, settings, variables, wanted=wanted):
            outcomes.append(outcome)
            if not outcome.passed:
                _print_failure(outcome)
    return outcomes


def _print_failure(outcome: CaseOutcome) -> None:
    from flowengine.testing.judging.report import lines_of

    head = f"FAILED {outcome.path}:{outcome.line}: {outcome.case.name}"
    lines = [head, *lines_of(outcome.differences, outcome.run), ""]
    click.echo("\n".join(plain_text(line) for line in lines))


def _print_coverage(loaded: Sequence[LoadedFile], outcomes: Sequence[CaseOutcome]) -> None:
    """For each workflow how many of its ways were taken, and those that were not."""
    from flowengine.testing.judging.coverage import ways_of

    for file in loaded:
        if file.plan is None:
            continue
        ways = ways_of(file.plan, [outcome.run for outcome in outcomes if outcome.path == file.path])
        left = [way for way in ways if not way.taken]
        lines = [f"{file.workflow}: {len(ways) - len(left)} of {len(ways)} ways taken"]
        lines += [f"  {way.node}: no test in which {way.text}" for way in left]
        click.echo("\n".join(plain_text(line) for line in lines))


def _write_junit(path: Path, loaded: Sequence[LoadedFile], outcomes: Sequence[CaseOutcome]) -> None:
    from flowengine.testing.judging.junit import junit

    try:
        path.write_bytes(junit(loaded, outcomes))
    except OSError as error:
        raise CannotRunError(f"cannot write {path}: {error.strerror}") from error


def _sum_up(outcomes: Sequence[CaseOutcome], wrong: int, took_s: float) -> None:
    failed = sum(not outcome.passed for outcome in outcomes)
    told = [f"{len(outcomes) - failed} passed"]
    told += [f"{failed} failed"] if failed else []
    told += [f"{wrong} {'problem' if wrong == 1 else 'problems'} in files"] if wrong else []
    click.echo(f"{', '.join(told)}, in {took_s:.2f} s", err=True)
