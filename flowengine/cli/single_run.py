"""One run of one workflow file: the processes it needs, started, watched and ended around it.

The processes start while this one still checks the file: both take about as long. Signals are only
remembered, and looked at between steps, so that there is no moment in which a child is forgotten; what
children hold of this process (a pipe) ends them whatever happens to it.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowengine.cli.configuration import read_settings
from flowengine.cli.documents import check_document, problem_line, read_document
from flowengine.cli.run_services import InterruptedRunError, RunServices
from flowengine.devstack.interrupts import Interrupts
from flowengine.errors import CannotRunError, StoreUnavailableError

if TYPE_CHECKING:
    from flowengine.api.ports import Executions
    from flowengine.cli.progress import Progress
    from flowengine.execution.views import ExecutionView
    from flowengine.plugin import Registry
    from flowengine.workflow.plan import Plan

COMPLETED, FAILED, INVALID = 0, 1, 2
SHORTEST_POLL_S = 0.03
LONGEST_POLL_S = 0.2
OUTAGE_S = 10.0


def run_file(path: Path, *, as_json: bool, timeout_s: float | None) -> int:
    """Run the file's workflow to its end; returns the exit code.

    Raises CannotRunError, EmbeddedServerError, StoreUnavailableError, SettingsError.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    body = read_document(path, read_settings().limits)
    with Interrupts(insist=True) as interrupts:
        try:
            with RunServices(interrupts) as services:
                code = _run(services, path, body, deadline, as_json=as_json)
                services.done()
                return code
        except InterruptedRunError:
            return interrupts.exit_code()


def _run(services: RunServices, path: Path, body: bytes, deadline: float | None, *, as_json: bool) -> int:
    from rich.console import Console

    from flowengine.bootstrap import build_executions
    from flowengine.cli.outcome import encode_outcome, print_outcome
    from flowengine.cli.progress import Silence, choose_progress
    from flowengine.handlers import load_registry

    registry = load_registry(services.settings.handlers)
    plan = _plan(path, body, registry, services)
    if plan is None:
        return INVALID
    console = Console(stderr=as_json, highlight=False, emoji=False, markup=False)
    quiet = as_json and not console.is_terminal
    executions = build_executions(services.settings, registry)
    with Silence() if quiet else choose_progress(console) as progress:
        view = _Watch(services, executions, progress, deadline).run(plan)
    results = executions.results(view.execution_id)
    if as_json:
        click.echo(encode_outcome(results))
    else:
        print_outcome(console, view, results)
    return COMPLETED if view.status == "completed" else FAILED


def _plan(path: Path, body: bytes, registry: Registry, services: RunServices) -> Plan | None:
    checked = check_document(path, body, registry, services.settings.limits)
    for problem in checked.problems:
        click.echo(problem_line(path, problem), err=True)
    return checked.plan


class _Watch:
    """Starts an execution and looks at it until it has ended."""

    def __init__(
        self, services: RunServices, executions: Executions, progress: Progress, deadline: float | None
    ) -> None:
        self._services = services
        self._executions = executions
        self._progress = progress
        self._deadline = deadline
        self._answered_at = time.monotonic()

    def run(self, plan: Plan) -> ExecutionView:
        """The execution's last state. Raises CannotRunError when the time is up."""
        correlation_id = uuid.uuid4().hex
        execution = self._executions.create(plan, correlation_id=correlation_id).execution_id
        self._executions.trigger(execution, correlation_id=correlation_id)
        pause = SHORTEST_POLL_S
        seen: ExecutionView | None = None
        while True:
            asked_at = time.monotonic()
            view = self._look(execution, seen)
            if view is not None:
                self._progress.show(view)
                if view.status in ("completed", "failed"):
                    return view
                changed = seen is None or view.counts != seen.counts
                pause = SHORTEST_POLL_S if changed else min(LONGEST_POLL_S, pause * 1.3)
                seen = view
            self._refuse_if_late(execution, seen)
            self._services.step(max(pause, 4 * (time.monotonic() - asked_at)))

    def _look(self, execution: str, seen: ExecutionView | None) -> ExecutionView | None:
        """The state now; None when the server does not answer, which is borne for a while."""
        try:
            view = self._executions.status(execution)
        except StoreUnavailableError:
            if time.monotonic() - self._answered_at > OUTAGE_S:
                raise
            return None
        self._answered_at = time.monotonic()
        return view

    def _refuse_if_late(self, execution: str, seen: ExecutionView | None) -> None:
        if self._deadline is None or time.monotonic() < self._deadline:
            return
        done = "" if seen is None else f", {seen.counts.completed} of {seen.counts.total} nodes completed"
        raise CannotRunError(f"the time is up (--timeout): execution {execution} is still running{done}")
