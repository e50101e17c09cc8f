"""Runs a workflow from a test in Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from flowengine.handlers.loading import load_registry
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Registry
from flowengine.plugin.registry import HandlerFunction, marked
from flowengine.settings import Settings, load_settings
from flowengine.testing.case_files import Starts, setting_of
from flowengine.testing.cases.reading import Cases, read_given
from flowengine.testing.running.addresses import nodes_of
from flowengine.testing.running.finished_run import Run
from flowengine.testing.running.workbench import Workbench
from flowengine.workflow.problems import Problem
from flowengine.workflow.validation import Checked, Form, check, check_document

DOTENV = Path(".env")


class InvalidTestError(ValueError):
    """The workflow, or what the test gives it, is wrong. `problems` says what."""

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        told = (f"{problem.pointer or '/'}: {problem.code}: {problem.message}" for problem in self.problems)
        super().__init__("\n  ".join([f"{what}:", *told]))


class NotMockedError(AssertionError):
    """A node would have called out, and no mock answers for it."""


def run(
    workflow: str | os.PathLike[str] | Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None,
    mocks: Mapping[str, Any] | None = None,
    *,
    trigger: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    now: str | None = None,
    real: Sequence[str] = (),
    handlers: Sequence[ModuleType | HandlerFunction] = (),
) -> Run:
    """Run a workflow to its end in this process, in no time, and tell what became of it.

    `workflow`: its file, or the document itself. `mocks`, `trigger`, `secrets`, `labels`, `now` and `real`
    are as in a file of tests (`flowengine help testing`): `{"fetch": {"result": 1}}`. `handlers`: modules and
    functions with handlers, besides those that are installed and those that FLOWENGINE_HANDLERS names.

    Raises InvalidTestError, NotMockedError, OSError for a file that cannot be read, SettingsError.
    """
    settings, registry = _registry(tuple(handlers))
    checked = _checked(workflow, registry, settings)
    if checked.plan is None:
        raise InvalidTestError("the workflow is wrong", checked.problems)
    case: dict[str, JsonValue] = {
        "name": "test",
        "inputs": dict(inputs or {}),
        "labels": dict(labels or {}),
        "secrets": dict(secrets or {}),
        "mocks": dict(mocks or {}),
        "real": list(real),
        **({} if now is None else {"now": now}),
        **({} if trigger is None else {"trigger": dict(trigger)}),
    }
    cases: Cases = read_given({"workflow": "-", "tests": [case]}, checked.plan, registry)
    if cases.file is None:
        raise InvalidTestError("what the test gives is wrong", [_shorter(each) for each in cases.problems])
    nodes = nodes_of(checked.plan)
    needed = {nodes[node].node.work.handler for node in real}
    starts = Starts(checked.after, checked.schedules)
    with Workbench(registry, settings, os.environ, needed) as workbench:
        found = workbench.run(checked.plan, setting_of(cases.file.tests[0], checked.labels, starts))
    if found.unmocked:
        told = [f"{each.node}: {each.why}; its config is {each.config}" for each in found.unmocked]
        raise NotMockedError("not_mocked:\n  " + "\n  ".join(told))
    if found.stopped is not None:
        raise AssertionError(found.stopped)
    return found


@cache
def _loaded() -> tuple[Settings, Registry]:
    """The settings of documents, and the handlers, as the tool finds them."""
    settings = load_settings(
        os.environ,
        DOTENV,
        wanted=lambda setting: setting.field == "handlers" or setting.field.startswith("limits."),
    )
    return settings, load_registry(settings.handlers)


def _registry(handlers: tuple[ModuleType | HandlerFunction, ...]) -> tuple[Settings, Registry]:
    settings, known = _loaded()
    if not handlers:
        return settings, known
    made = Registry()
    for item in known:
        made.add(item)
    for found in handlers:
        own = marked(found)
        if own is not None:
            made.add(own)
        elif not made.collect(found):
            raise ValueError(f"{found!r} has no handler: put @handler('name') on a function in it")
    return settings, made


def _checked(
    workflow: str | os.PathLike[str] | Mapping[str, Any], registry: Registry, settings: Settings
) -> Checked:
    if isinstance(workflow, Mapping):
        return check_document(dict(workflow), registry, settings.limits)
    path = Path(workflow)
    form: Form = "json" if path.suffix.lower() == ".json" else "yaml"
    return check(path.read_bytes(), form, registry, settings.limits)


def _shorter(problem: Problem) -> Problem:
    """By its place in what the test gives."""
    pointer = problem.pointer.removeprefix("/tests/0")
    return Problem(code=problem.code, pointer=pointer, message=problem.message)
