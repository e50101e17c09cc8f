"""Files of tests with the workflows that they are of: read, checked and run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from flowengine.plugin import Registry
from flowengine.settings import Settings
from flowengine.settings.regular_file import read_regular
from flowengine.testing.cases.case_file import Case, CaseFile, GivenTrigger
from flowengine.testing.cases.moments import milliseconds_at
from flowengine.testing.cases.reading import read_cases, read_written
from flowengine.testing.judging.difference import Difference
from flowengine.testing.judging.verdict import judge
from flowengine.testing.running.addresses import nodes_of
from flowengine.testing.running.finished_run import Run
from flowengine.testing.running.workbench import START, Due, Ended, Setting, Workbench
from flowengine.workflow.chains.declared import After
from flowengine.workflow.labels import Labels
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem
from flowengine.workflow.schedules.declared import Schedule
from flowengine.workflow.validation import Checked, Form, check


class PlacedProblem(msgspec.Struct, frozen=True):
    """A problem, and the file that it is in."""

    path: Path
    problem: Problem


class Starts(msgspec.Struct, frozen=True):
    """What starts executions of a workflow by itself: the ends that it follows, its schedules."""

    after: tuple[After, ...] = ()
    schedules: tuple[Schedule, ...] = ()


NO_STARTS: Final = Starts()


class LoadedFile(msgspec.Struct, frozen=True):
    """A file of tests. `plan` and `file` are None where there are `problems`. `lines`: where each test
    begins."""

    path: Path
    workflow: Path | None
    plan: Plan | None
    file: CaseFile | None
    problems: tuple[PlacedProblem, ...] = ()
    labels: Labels = {}
    starts: Starts = NO_STARTS
    lines: tuple[int, ...] = ()


class CaseOutcome(msgspec.Struct, frozen=True):
    """What came of one test. `took_s`: seconds of this machine's clock."""

    path: Path
    line: int
    case: Case
    run: Run
    differences: tuple[Difference, ...]
    took_s: float

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return not self.differences


def load(path: Path, registry: Registry, settings: Settings) -> LoadedFile:
    """Read a file of tests and its workflow."""
    body = _read(path, path, settings)
    if isinstance(body, Problem):
        return LoadedFile(path, None, None, None, (PlacedProblem(path, body),))
    written = read_written(body, path, settings.limits)
    if written.workflow is None:
        problems = read_cases(written, None, registry).problems
        return LoadedFile(path, None, None, None, _placed(path, problems))
    workflow = path.parent / written.workflow
    checked = _checked(workflow, path, registry, settings)
    cases = read_cases(written, checked.plan, registry)
    wrong = _placed(path, cases.problems)
    if checked.problems:
        wrong = (*_placed(path if checked.malformed else workflow, checked.problems), *wrong)
    if wrong:
        return LoadedFile(path, workflow, None, None, wrong)
    starts = Starts(checked.after, checked.schedules)
    return LoadedFile(path, workflow, checked.plan, cases.file, (), checked.labels, starts, cases.lines)


def run_loaded(
    loaded: LoadedFile,
    registry: Registry,
    settings: Settings,
    variables: Mapping[str, str],
    *,
    wanted: str = "",
) -> Iterator[CaseOutcome]:
    """Run the tests of a file, or those whose names hold `wanted`. Raises SettingsError."""
    if loaded.file is None or loaded.plan is None:
        return
    nodes = nodes_of(loaded.plan)
    real = {nodes[node].node.work.handler for case in loaded.file.tests for node in case.real}
    with Workbench(registry, settings, variables, real) as workbench:
        for line, case in zip(loaded.lines, loaded.file.tests, strict=True):
            if wanted.lower() not in f"{loaded.path}::{case.name}".lower():
                continue
            began = time.perf_counter()
            run = workbench.run(loaded.plan, setting_of(case, loaded.labels, loaded.starts))
            found = tuple(judge(case.expect, run))
            yield CaseOutcome(loaded.path, line, case, run, found, time.perf_counter() - began)


def setting_of(case: Case, labels: Labels, starts: Starts = NO_STARTS) -> Setting:
    """What a test gives its execution. `starts`: what may start it."""
    return Setting(
        inputs=case.inputs,
        by=None if isinstance(case.trigger, msgspec.UnsetType) else _started_by(case.trigger, starts),
        labels={**labels, **case.labels},
        secrets=case.secrets,
        now=milliseconds_at(case.now) if isinstance(case.now, str) else START,
        mocks=case.mocks,
        real=case.real,
    )


def _started_by(said: GivenTrigger, starts: Starts) -> Ended | Due:
    if isinstance(said.schedule, str):
        at = milliseconds_at(said.scheduled_at) if isinstance(said.scheduled_at, str) else None
        return Due(schedules=starts.schedules, schedule=said.schedule, planned=at)
    return Ended(
        after=starts.after,
        workflow=said.workflow if isinstance(said.workflow, str) else "",
        status=said.status,
        outputs=said.outputs,
        execution=said.execution_id,
    )


def _checked(workflow: Path, path: Path, registry: Registry, settings: Settings) -> Checked:
    body = _read(workflow, path, settings)
    if isinstance(body, Problem):
        return Checked(None, (body,), malformed=True)
    form: Form = "json" if workflow.suffix.lower() == ".json" else "yaml"
    checked = check(body, form, registry, settings.limits)
    return msgspec.structs.replace(checked, malformed=False)


def _read(path: Path, asked_by: Path, settings: Settings) -> bytes | Problem:
    try:
        return read_regular(path, settings.limits.max_body_bytes + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        pointer = "" if path == asked_by else "/workflow"
        return Problem(
            code="unreadable", pointer=pointer, message=f"cannot read {path}: {reason}", line=1, column=1
        )


def _placed(path: Path, problems: tuple[Problem, ...]) -> tuple[PlacedProblem, ...]:
    return tuple(PlacedProblem(path, problem) for problem in problems)
