"""One run of one workflow file: its check, the processes it needs, its execution, its outcome.

A file that has problems starts nothing. Signals are remembered and looked at between steps, so that no child
is forgotten at any moment; children end with this process in any case, since they hold a pipe from it.
Nothing is created or triggered after the user has asked to end, or after the time is up.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowengine.cli.output.starting_notice import StartingNotice
from flowengine.cli.processes.lean_imports import import_lean
from flowengine.cli.processes.parked_services import ParkedServices
from flowengine.cli.processes.redis_access import check_access
from flowengine.cli.processes.workflow_run_services import (
    GRACE_S,
    SERVICES,
    InterruptedRunError,
    OutOfTimeError,
    WorkflowRunServices,
)
from flowengine.cli.tool_settings import chosen_server, read_settings
from flowengine.cli.workflow_files import check_file, is_json, problem_line, read_file
from flowengine.errors import CannotRunError, FlowEngineError, StoreUnavailableError
from flowengine.execution.status import is_over
from flowengine.plaintext import plain_text
from flowengine.supervision.interrupts import Interrupts

if TYPE_CHECKING:
    from flowengine.api.ports import Executions
    from flowengine.cli.given_inputs import GivenInputs
    from flowengine.cli.output.progress import Progress
    from flowengine.execution.views.executions import ExecutionView
    from flowengine.jsonvalue import JsonValue
    from flowengine.plugin import Registry
    from flowengine.settings import Settings
    from flowengine.workflow.labels import Labels
    from flowengine.workflow.plan import Plan

COMPLETED, FAILED, INVALID = 0, 1, 2
SHORTEST_POLL_S = 0.03
LONGEST_POLL_S = 0.2
OUTAGE_S = 10.0
READY_S = 15.0
"""How long the processes may take to read their queues. Then the execution is started without them."""


def run_file(
    path: Path,
    *,
    as_json: bool,
    timeout_s: float | None,
    starting: StartingNotice,
    inputs: GivenInputs | None = None,
) -> int:
    """Run the file's workflow to its end, with these inputs; returns the exit code.

    Raises CannotRunError, EmbeddedServerError, StoreUnavailableError, SettingsError.
    """
    settings = read_settings()
    body = read_file(path, settings.limits)
    is_private = chosen_server() is None
    run = _Run(
        path, body, starting, as_json=as_json, timeout_s=timeout_s, is_private=is_private, inputs=inputs
    )
    with Interrupts(insist=True) as interrupts:
        try:
            return run.until_its_end(settings, interrupts)
        except OutOfTimeError as error:
            raise CannotRunError(f"the time is up (--timeout): {run.left_behind()}") from error
        except (InterruptedRunError, KeyboardInterrupt):
            starting.say("interrupted" if run.is_forgotten else f"interrupted: {run.left_behind()}")
            return interrupts.exit_code()


class _Run:
    """The steps of one run, and how far it has come."""

    def __init__(
        self,
        path: Path,
        body: bytes,
        starting: StartingNotice,
        *,
        as_json: bool,
        timeout_s: float | None,
        is_private: bool,
        inputs: GivenInputs | None,
    ) -> None:
        self._given = inputs
        self._inputs: dict[str, JsonValue] = {}
        self._labels: dict[str, str] = {}
        self._path = path
        self._body = body
        self._starting = starting
        self._as_json = as_json
        self._timeout_s = timeout_s
        self._execution: str | None = None
        self._is_triggered = False
        self._seen: ExecutionView | None = None
        self._is_private = is_private
        self._owner = "" if is_private else _new_execution_id()

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing of the execution is left after the run."""
        return self._is_private or self._execution is None

    def left_behind(self) -> str:
        """For the user who gives up the run: what becomes of the execution."""
        if self._execution is None or (self._is_private and not self._is_triggered):
            return "nothing was started"
        counts = None if self._seen is None else self._seen.counts
        done = "" if counts is None else f"{counts.completed} of {counts.total} nodes were completed; "
        if self._is_private:
            return f"{done}the execution ended with its server, nothing of it is kept"
        state = "goes on with the services of" if self._is_triggered else "was not started, but is kept on"
        return (
            f"{done}execution {self._execution} {state} the server that REDIS_URL names; "
            f"see: flowengine show {self._execution}"
        )

    def until_its_end(self, settings: Settings, interrupts: Interrupts) -> int:
        """Check the file, start its execution, watch it and print its outcome; returns the exit code."""
        with contextlib.ExitStack() as stack:
            with interrupts.at_once():  # imports and checks may be cut off anywhere
                parked = stack.enter_context(ParkedServices(*SERVICES, grace_s=GRACE_S, owner=self._owner))
                registry, plan = self._prepare(settings)
            if plan is None:
                return INVALID
            if not self._is_private:
                with interrupts.at_once():
                    check_access(settings, "api", "orchestrator", "worker")
                stack.callback(self._hand_over, settings)
            services = stack.enter_context(
                WorkflowRunServices(interrupts, parked, self._starting.say, owner=self._owner)
            )
            executions = self._executions(services, registry)
            _await_ready(services, executions)
            self._claim_queues(services, registry)
            execution = self._start(services, executions, plan)
            code = self._watch(services, executions, execution)
            services.run_is_over()
            return code

    def _prepare(self, settings: Settings) -> tuple[Registry, Plan | None]:
        from flowengine.handlers.loading import load_registry

        registry = load_registry(settings.handlers)
        return registry, self._plan(registry, settings)

    def _executions(self, services: WorkflowRunServices, registry: Registry) -> Executions:
        import_lean("structlog", "redis")
        from flowengine.bootstrap import build_executions
        from flowengine.observability import configure_logs

        settings = services.settings
        configure_logs("run", level=settings.log_level, log_format=settings.log_format)
        return build_executions(settings, registry, owner=self._owner)

    def _claim_queues(self, services: WorkflowRunServices, registry: Registry) -> None:
        """Before anything is sent to them: whatever dies now, a sweep finds what is left in them."""
        from flowengine.bootstrap import build_own_queues, queues_of

        if self._owner:
            build_own_queues(services.settings, owner=self._owner).claim(queues_of(registry))

    def _hand_over(self, settings: Settings) -> None:
        """Leave nothing in queues that nobody serves; where the server is away, a sweep does it later."""
        import redis

        from flowengine.bootstrap import build_own_queues

        with contextlib.suppress(FlowEngineError, redis.RedisError):
            build_own_queues(settings).hand_over(self._owner)

    def _plan(self, registry: Registry, settings: Settings) -> Plan | None:
        from msgspec.structs import replace

        # Nobody would take a callback: there is no API.
        limits = replace(settings.limits, public_url="")
        checked = check_file(self._path, self._body, registry, limits)
        for problem in checked.problems:
            self._starting.say(problem_line(self._path, problem))
        if checked.problems and self._as_json:
            from flowengine.cli.output.results import encode_refusal

            click.echo(encode_refusal("invalid_workflow", "the workflow has problems", checked.problems))
        if checked.plan is None or not self._takes_given(checked.plan, checked.labels, settings):
            return None
        return checked.plan

    def _takes_given(self, plan: Plan, labels: Labels, settings: Settings) -> bool:
        """Whether the inputs fit the workflow, and the labels can be. What is wrong with them is said."""
        from flowengine.cli.given_inputs import GivenInputs
        from flowengine.workflow.inputs.beginning import VarsInvalidError
        from flowengine.workflow.inputs.values import InputsInvalidError

        try:
            given = (self._given or GivenInputs()).read(plan, settings.limits, labels)
            self._inputs, self._labels = given.inputs, given.labels
        except (InputsInvalidError, VarsInvalidError) as error:
            for problem in error.problems:
                self._starting.say(plain_text(f"{problem.pointer}: {problem.code}: {problem.message}"))
            if self._as_json:
                from flowengine.cli.output.results import encode_refusal

                click.echo(encode_refusal(error.code, "the inputs do not fit the workflow", error.problems))
            return False
        return True

    def _start(self, services: WorkflowRunServices, executions: Executions, plan: Plan) -> str:
        from flowengine.workflow.posting.posted_document import JSON, YAML, PostedDocument, pack

        correlation_id = uuid.uuid4().hex
        form = JSON if is_json(self._path, self._body) else YAML
        services.check()
        created = executions.create(
            plan,
            correlation_id=correlation_id,
            inputs=self._inputs,
            labels=self._labels,
            document=pack(PostedDocument(self._body, form)),
        )
        self._execution = created.execution_id
        if not self._is_private:
            self._starting.say(f"execution {self._execution} on the server that REDIS_URL names")
        services.check()
        services.execution_starts(self._timeout_s)
        self._is_triggered = True
        executions.trigger(self._execution, correlation_id=correlation_id)
        return self._execution

    def _watch(self, services: WorkflowRunServices, executions: Executions, execution: str) -> int:
        from flowengine.cli.output.console import OutputConsole
        from flowengine.cli.output.progress import Silence, choose_progress
        from flowengine.cli.output.results import encode_results, print_results

        console = OutputConsole(stderr=self._as_json)
        quiet = self._as_json and not console.is_terminal
        self._starting.end()
        with Silence() if quiet else choose_progress(console) as progress:
            self._starting.say_with(progress.say)
            try:
                view = self._until_ended(services, executions, execution, progress)
            finally:
                self._starting.say_with(None)
        results = executions.results(view.execution_id)
        if self._as_json:
            click.echo(encode_results(results))
        else:
            print_results(console, view, results)
        return COMPLETED if view.status == "completed" else FAILED

    def _until_ended(
        self, services: WorkflowRunServices, executions: Executions, execution: str, progress: Progress
    ) -> ExecutionView:
        reader = _StatusReader(executions, execution)
        pause = SHORTEST_POLL_S
        while True:
            asked_at = time.monotonic()
            view = reader.read()
            if view is not None:
                progress.show(view)
                seen = self._seen
                changed = seen is None or (view.counts, view.hooks) != (seen.counts, seen.hooks)
                pause = SHORTEST_POLL_S if changed else min(LONGEST_POLL_S, pause * 1.3)
                self._seen = view
                if is_over(view.status):
                    return view
            answered_in = time.monotonic() - asked_at
            services.step(max(pause, 4 * answered_in))  # asking takes a fifth of the time at most


def _new_execution_id() -> str:
    """An id by this machine's clock: the processes must know it before any of them has asked the server."""
    import_lean("structlog", "httpx")
    from flowengine.engine.commands.create import new_id, random_part

    return new_id(int(time.time() * 1000), random_part(), "")


class _StatusReader:
    """Reads the execution's status. Puts up with a server that does not answer, for OUTAGE_S."""

    def __init__(self, executions: Executions, execution: str) -> None:
        self._executions = executions
        self._execution = execution
        self._answered_at = time.monotonic()

    def read(self) -> ExecutionView | None:
        """The status now; None if the server does not answer. Raises StoreUnavailableError after OUTAGE_S."""
        try:
            view = self._executions.status(self._execution)
        except StoreUnavailableError:
            if time.monotonic() - self._answered_at > OUTAGE_S:
                raise
            return None
        self._answered_at = time.monotonic()
        return view


def _await_ready(services: WorkflowRunServices, executions: Executions) -> None:
    """Return when somebody reads every queue, so that the execution's time does not include the start.

    Returns at once if the server is down: `create` says then what is wrong with it.
    """
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        services.check()
        health = executions.health()
        if health.status == "down" or all(queue.consumers for queue in health.queues.values()):
            return
        services.step(SHORTEST_POLL_S)
