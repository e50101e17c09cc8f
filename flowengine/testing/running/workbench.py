"""Runs workflows in this process, one after the other, each on a stack of its own that starts empty."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Self, assert_never, cast

import msgspec
import structlog
from msgspec.structs import replace

from flowengine.engine.commands.create import New, create_and_start
from flowengine.engine.starting.given_inputs import given_inputs
from flowengine.errors import FlowEngineError
from flowengine.execution.chains.records import Followed
from flowengine.execution.chains.rules import fitting
from flowengine.execution.views.executions import ExecutionView, NodeView, ResultsView
from flowengine.handlers.handler_settings import load_handler_settings
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.handlers.secrets.secret_variables import PREFIX
from flowengine.jsonvalue import JsonValue, decode, encode
from flowengine.plugin import Registry
from flowengine.settings import Settings
from flowengine.store.plan_cache import PlanCache
from flowengine.store.state import RedisState
from flowengine.testing.memory.connection import client_of
from flowengine.testing.memory.keyspace import Keyspace
from flowengine.testing.running.addresses import nodes_of
from flowengine.testing.running.finished_run import NodeRun, Refusal, Run
from flowengine.testing.running.local_stack import LocalStack, StandingStillError, addresses_over, state_over
from flowengine.testing.running.message_loop import EndlessExecutionError
from flowengine.testing.running.mocked_handlers import MockedHandlers
from flowengine.testing.running.mocks import Mock, Reply
from flowengine.testing.running.virtual_clock import VirtualClock
from flowengine.workflow.chains.declared import After, EndStatus
from flowengine.workflow.labels import Labels
from flowengine.workflow.plan import Plan
from flowengine.workflow.schedules.declared import Schedule
from flowengine.workflow.stages import OUTPUTS_NODE

START: Final = 1_767_225_600_000
"""When a run begins that says nothing of it: 2026-01-01T00:00:00Z."""
_RANDOM: Final = "0" * 16
CORRELATION_ID: Final = "test"
CHILDREN_AT_ONCE: Final = 1000


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an execution of the definition `workflow`, and `after` which ends the workflow starts."""

    after: tuple[After, ...]
    workflow: str
    status: EndStatus
    outputs: Mapping[str, JsonValue] | None
    execution: str


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """The time `planned` of a schedule of the workflow, which has these; None: it is now."""

    schedules: tuple[Schedule, ...]
    schedule: str
    planned: int | None


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution is given, and what answers for its nodes. `now`: when it begins, in milliseconds
    since the epoch. `real`: the nodes whose handlers run as they are. `by`: what starts it and makes its
    inputs, in place of a caller."""

    inputs: Mapping[str, JsonValue] = {}
    by: Ended | Due | None = None
    labels: Labels = {}
    secrets: Mapping[str, str] = {}
    now: int = START
    mocks: Mapping[str, Mock | Sequence[Reply]] = {}
    real: Collection[str] = ()


class Workbench:
    """A context manager: it owns what handlers share that run as they are.

    `variables`: the environment of these handlers. `real`: the names of those, which have to have their
    settings. Raises SettingsError.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        variables: Mapping[str, str],
        real: Collection[str] = (),
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._variables = variables
        used = Registry()
        for item in registry:
            if item.name in real:
                used.add(item)
        needed = load_handler_settings(used, settings, variables)
        self._invoker = Invoker(egress=settings.egress, settings=needed)
        self._plans = PlanCache()
        self._plan: Plan | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._invoker.close()

    def run(self, plan: Plan, setting: Setting) -> Run:
        """Run a workflow to its end."""
        with silence():
            return self._run(plan, setting)

    def _run(self, plan: Plan, setting: Setting) -> Run:
        clock = VirtualClock(setting.now)
        owner = f"{setting.now:011x}{_RANDOM}"
        state = state_over(client_of(Keyspace(clock.now)), clock, self._settings, owner)
        state.plans = self._plans_of(plan)
        primaries = {address: found.node.work.primary for address, found in nodes_of(plan).items()}
        handlers = MockedHandlers(
            self._invoker, addresses_over(state), setting.mocks, setting.real, primaries, clock.now
        )
        variables = {f"{PREFIX}{name.upper()}": value for name, value in setting.secrets.items()}
        secrets = Secrets(variables)
        stack = LocalStack(state, clock, self._registry, handlers, secrets, self._variables)
        stopped = None
        try:
            started = create_and_start(stack.store, _new(plan, setting, owner))
        except FlowEngineError as error:
            return _refused(error)
        try:
            stack.run(started.execution_id)
        except (EndlessExecutionError, StandingStillError, FlowEngineError) as error:
            stopped = f"{error.code}: {error}"
        return _Finished(stack, state, plan, started.execution_id).run(handlers, clock, setting, stopped)

    def _plans_of(self, plan: Plan) -> PlanCache:
        """The plans that the run before has decoded, if it was of the same workflow."""
        if plan is not self._plan:
            self._plans, self._plan = PlanCache(), plan
        self._plans.forget_executions()
        return self._plans


class NotStartedError(FlowEngineError):
    """Nothing in the workflow's `after` says that this end starts it; or it has no such schedule."""

    code = "not_started"


def _new(plan: Plan, setting: Setting, execution: str) -> New:
    """What the execution is made of. Raises NotStartedError, InputsInvalidError."""
    new = New(plan=plan, correlation_id=CORRELATION_ID, labels=setting.labels)
    match setting.by:
        case Ended() as ended:
            after = fitting(ended.after, ended.workflow, ended.status)
            if after is None:
                raise NotStartedError(
                    f"its 'after' names no end of '{ended.workflow}' as '{ended.status}': nothing starts"
                )
            followed = Followed(ended.execution, ended.workflow, ended.status)
            given = None if ended.outputs is None else encode(ended.outputs)
            new, written = replace(new, followed=followed, outputs=given, links=1), after.inputs
        case Due() as due:
            schedule = next((each for each in due.schedules if each.id == due.schedule), None)
            if schedule is None:
                raise NotStartedError(f"it has no schedule '{due.schedule}': nothing starts")
            planned = setting.now if due.planned is None else due.planned
            new, written = replace(new, schedule=schedule.id, scheduled_at=planned), schedule.inputs
        case None:
            return replace(new, inputs=setting.inputs)
        case _ as never:
            assert_never(never)
    return replace(new, inputs=given_inputs(new, written, execution, setting.now))


def _refused(error: FlowEngineError) -> Run:
    return Run(
        status=None,
        outputs=None,
        error=None,
        all_nodes={},
        calls=(),
        unmocked=(),
        seconds=0.0,
        refused=Refusal(error.code, str(error)),
    )


class _Finished:
    """Reads what became of an execution."""

    def __init__(self, stack: LocalStack, state: RedisState, plan: Plan, execution: str) -> None:
        self._stack = stack
        self._state = state
        self._plan = plan
        self._execution = execution
        self._addresses = addresses_over(state)
        self._items: dict[str, list[NodeRun]] = {}

    def run(
        self, handlers: MockedHandlers, clock: VirtualClock, setting: Setting, stopped: str | None
    ) -> Run:
        """All of it."""
        view = self._stack.executions.status(self._execution)
        results = self._stack.executions.results(self._execution)
        found: dict[str, list[NodeRun]] = {}
        self._add(found, self._execution, self._plan, view, results)
        if self._plan.nests:
            self._add_children(found)
        return Run(
            status=view.status,
            outputs=None if results.outputs is None else _values(results.outputs),
            error=None if view.error is msgspec.UNSET else view.error,
            all_nodes=found,
            calls=handlers.calls,
            unmocked=handlers.unmocked,
            seconds=(clock.now() - setting.now) / 1000,
            stopped=stopped,
            items=self._items,
        )

    def _add_children(self, found: dict[str, list[NodeRun]]) -> None:
        after = ""
        while True:
            children, after = self._state.children_of(self._execution, after)
            for child in children:
                plan = self._state.plan(child)
                if plan is not None:
                    executions = self._stack.executions
                    self._add(found, child, plan, executions.status(child), executions.results(child))
            if not after:
                return

    def _add(
        self,
        found: dict[str, list[NodeRun]],
        execution: str,
        plan: Plan,
        view: ExecutionView,
        results: ResultsView,
    ) -> None:
        outputs = dict(results.results)
        nodes = list(view.nodes)
        if view.hooks is not msgspec.UNSET:
            nodes += view.hooks
        if results.hooks is not msgspec.UNSET:
            outputs |= results.hooks.results
        for node in nodes:
            if node.id == OUTPUTS_NODE:
                continue
            primary = plan.nodes[plan.index[node.id]].work.primary
            output = decode(bytes(outputs[node.id])) if node.id in outputs else None
            address = self._addresses.of(execution, node.id).node
            into = self._items if self._addresses.is_item(execution) else found
            into.setdefault(address, []).append(_node_run(node, output, primary))


def _node_run(node: NodeView, output: JsonValue, primary: str | None) -> NodeRun:
    return NodeRun(
        status=node.status,
        handler=node.handler,
        attempts=node.attempt,
        result=primary_value(output, primary),
        output=output,
        error=node.error,
        skipped=None if node.skipped is msgspec.UNSET else node.skipped,
        tolerated=node.tolerated is True,
        iterations=None if node.iteration is msgspec.UNSET else node.iteration,
    )


def primary_value(output: JsonValue, primary: str | None) -> JsonValue:
    """What `X.result` means of an output: its own `result`, else its primary field, else all of it."""
    if not isinstance(output, dict):
        return output
    if "result" in output:
        return output["result"]
    return output[primary] if primary is not None and primary in output else output


def _values(fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    return {name: decode(bytes(value)) for name, value in fields.items()}


class _Mute:
    """A logger that says nothing, and takes no time for it."""

    def __init__(self, logger: object, *, processors: object, context: object) -> None:
        pass

    def bind(self, **fields: object) -> Self:
        """Itself."""
        return self

    new = bind

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _say_nothing


def _say_nothing(*words: object, **fields: object) -> None:
    pass


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """The engine logs nothing while it lasts: a test tells what became of its nodes by itself."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=cast(Any, _Mute),
        logger_factory=_say_nothing,
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
