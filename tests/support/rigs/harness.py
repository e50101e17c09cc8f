"""Drives the engine over a real server one message at a time: no Dramatiq, no threads, no waiting.

Each Process is one orchestrator, worker or API with connections of its own, which a Gate may stop at
any command. The harness is the queue: it decides what is delivered to whom, when, how often and in
what order, and knows nothing of what the messages mean.
"""

from __future__ import annotations

import contextlib
from collections.abc import (
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Any, Final, cast

import httpx
import msgspec
import pytest
import structlog

from flowengine.bootstrap import posting_to
from flowengine.broker.streams.wire import ACTOR, decode, payload_of
from flowengine.engine.advancing.orchestrator import Orchestrator
from flowengine.engine.advancing.steps.bulk_step import BulkStep
from flowengine.engine.chains.chain_step import ChainStep
from flowengine.engine.definitions.definitions import StoredDefinitions
from flowengine.engine.delivering.ports import Answered, Outgoing
from flowengine.engine.delivering.sender import Sender
from flowengine.engine.executions import StoredExecutions
from flowengine.engine.held import Held, Sink
from flowengine.engine.maintenance.sweep import Sweep
from flowengine.engine.operations import StoredOperations
from flowengine.engine.ports import Begun, Reading
from flowengine.engine.running.asynchronous.async_nodes import AsyncNodes
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.node_context import Environment
from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.engine.schedules.schedule_step import ScheduleStep
from flowengine.engine.schedules.schedules import StoredSchedules
from flowengine.errors import FlowEngineError
from flowengine.execution.limits.starts import EXPECTED_AT
from flowengine.execution.messages import Callback, ItemTry, RunNode
from flowengine.execution.requests.idempotency import IdempotentRequest
from flowengine.execution.rules.dispatching import SIZES, Sizes
from flowengine.execution.rules.steering.overruling import Overruling, Word
from flowengine.execution.views.executions import HealthView
from flowengine.handlers.builtin import calling
from flowengine.handlers.builtin import waiting as waiting_handlers
from flowengine.handlers.builtin.ending import end
from flowengine.handlers.builtin.set_values import set_values
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import AnyObject, Context, Handler, HandlerError, Registry, Wait, handler
from flowengine.plugin.waiting import WaitAsSaid
from flowengine.queues import (
    GROUP,
    ORCHESTRATOR_QUEUE,
    WORKER_QUEUE,
    async_line,
    crowd_line,
    high_line,
    low_line,
)
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import AdmittingUnit, CreatingUnit, RedisApiState
from flowengine.store.bulks import RedisBulks
from flowengine.store.chains.redis_chains import RedisChains
from flowengine.store.codec import decode_record, encode_record, format_begun, parse_begun
from flowengine.store.committing.transaction import RedisUnit
from flowengine.store.connection.clock import Clock, milliseconds
from flowengine.store.definitions.redis_definitions import RedisDefinitions, RedisDefinitionUnit
from flowengine.store.delivering.delivery_state import RedisSending
from flowengine.store.limits.limits_list import LimitsList
from flowengine.store.lines_beside import LinesBeside
from flowengine.store.maintenance.sweep_reads import RedisSweepState
from flowengine.store.maintenance.timer_store import RedisTimers
from flowengine.store.operations.dead_letters import DeadLetters
from flowengine.store.operations.gauges import RedisGauges
from flowengine.store.operations.process_list import Processes
from flowengine.store.operations.queue_list import Queues
from flowengine.store.operations.stats import Stats
from flowengine.store.schedules.redis_schedules import RedisSchedules, RedisScheduleUnit
from flowengine.store.worker_state import RedisWorkerState
from flowengine.workflow.limits.declared import NodeConcurrency, RateLimit
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan, PlanNode, Task
from flowengine.workflow.policy import PLAIN as PLAIN_POLICY
from flowengine.workflow.policy import PLAIN_EXECUTION, ExecutionPolicy, Policy, Retry, TriggerRule
from flowengine.workflow.repeating.repeat import Repeat
from flowengine.workflow.stages import MAIN_ONLY, OUTPUTS_NODE, Stages
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.support.checks.invariants import check_everything
from tests.support.checks.map_model import MapSays
from tests.support.checks.reference_model import MODULUS, Graph, Says
from tests.support.checks.snapshot import Client
from tests.support.faults import Gate, Line, ProcessDied
from tests.support.servers.direct_client import DirectClient
from tests.support.servers.valkey import Valkey

QUEUES = (ORCHESTRATOR_QUEUE, WORKER_QUEUE)
LINE: Final = async_line(WORKER_QUEUE)
STEPS_AT_MOST = 20_000
TASKS_TOGETHER = 2
HOLD_S = 3600.0
WAITERS: Final = {"wait": "hold", "signal": "hear", "approval": "ask"}
"""The handlers of nodes that wait."""
CONSUMER = "fe2-harness"
NO_HURRY_S = 3600.0
"""What a process of the harness has read ahead does not grow old, however slow the machine is."""

CLOCK_MARGIN_MS: Final = 2000
"""A machine that runs much else may take so long between a look at the clock and EXEC."""

Receiver = Callable[[Outgoing], Answered]
"""Stands for where results are sent to."""

Script = Callable[[Context], None]
"""Called in place of work: raises HandlerError where the node shall fail."""


class Sum(msgspec.Struct):
    """Config of the handler `sum`."""

    inputs: list[int]


@handler("sum")
def add_up(config: Sum, context: Context) -> dict[str, int]:
    """One more than the sum of the inputs."""
    return {"result": (1 + sum(config.inputs)) % MODULUS}


@handler("hold")
def hold(config: Sum, context: Context) -> WaitAsSaid:
    """Waits for an hour."""
    return WaitAsSaid(kind="wait", seconds=HOLD_S)


@handler("hear")
def hear(config: Sum, context: Context) -> WaitAsSaid:
    """Waits for a signal."""
    return WaitAsSaid(kind="signal", prompt="pay")


@handler("ask")
def ask(config: Sum, context: Context) -> WaitAsSaid:
    """Waits for a person's decision."""
    return WaitAsSaid(kind="approval", prompt="may it go?")


@handler("charge", signals=["paid", "refused"])
def charge(config: Sum, context: Context) -> Wait | dict[str, int]:
    """Waits for one signal in its first attempt, for two others in the second, and returns in the third."""
    if context.attempt == 1:
        return Wait("paid", prompt="pay", timeout_seconds=HOLD_S)
    if context.attempt == 2:
        return Wait(timeout_seconds=HOLD_S, on_timeout="continue")
    return add_up(config, context)


@handler("name_sum")
def name_sum(config: Sum, context: Context) -> dict[str, dict[str, int]]:
    """The same as an object, as outputs are."""
    return {"result": {"sum": add_up(config, context)["result"]}}


@handler("list")
def give_list(config: Sum, context: Context) -> dict[str, list[int]]:
    """The numbers from 1 to 3."""
    return {"result": [1, 2, 3]}


@handler("later_sum")
async def later_sum(config: Sum, context: Context) -> dict[str, int]:
    """The same as `sum`, of a handler that needs no thread."""
    return add_up(config, context)


class Handlers:
    """What the harness's workers can run."""

    give_list = give_list

    add_up = add_up
    hold = hold
    hear = hear
    charge = charge
    ask = ask
    name_sum = name_sum
    later_sum = later_sum
    set_values = set_values
    end = end


def registry() -> Registry:
    """The handlers of the harness's workers."""
    made = Registry()
    made.collect(Handlers)
    made.collect(waiting_handlers)
    made.collect(calling)
    return made


class AlwaysQuick(HandlerSpeed):
    """Takes every handler for quick."""

    def is_quick(self, handler: str) -> bool:
        """It is."""
        return True


def plan_of(
    graph: Graph,
    *,
    name: str = "test",
    timeout_ms: int = 300_000,
    padding: int = 0,
    reading: bool = True,
    says: Mapping[str, Says] | None = None,
    ends: Collection[str] = (),
    overall: ExecutionPolicy = PLAIN_EXECUTION,
    stages: Stages = MAIN_ONLY,
    waits: Mapping[str, WaitPolicy] | None = None,
    waiting: Collection[str] = (),
) -> Plan:
    """A plan whose nodes add up what their parents gave. `padding`: bytes to add to each config.

    Without `reading` they read nothing, so that each gives 1. `says`: what nodes say about when they
    run; what they read of a parent that has not completed is 0. `ends`: nodes whose end stops the execution,
    as a node of the handler `end` does. `overall`: what holds for the execution as a whole. `stages`: how
    many of the last nodes are outputs and hooks. `waits`: what nodes wait for, once they have run.
    `waiting`: the handlers of these need no thread.
    """
    missing = "" if says is None else " | default(0)"
    holding = {
        node: WaitPolicy(said.waits, names=(node,) if said.waits == "signal" else ())
        for node, said in (says or {}).items()
        if said.waits
    }
    holding |= waits or {}
    index = {node: position for position, node in enumerate(graph)}
    nodes = []
    for node, parents in graph.items():
        # What waits for a time gives a time, and a map a list, which nobody adds up.
        unread = [*holding, *[name for name, said in (says or {}).items() if said.each is not None]]
        read = [parent for parent in parents if parent not in unread] if reading else ()
        config = {
            "inputs": [f"{{{{ {parent}.result{missing} }}}}" for parent in read],
            "pad": "x" * padding,
        }
        positions = tuple(index[parent] for parent in parents)
        reads = tuple(index[parent] for parent in read)
        encoded = msgspec.Raw(msgspec.json.encode(config))
        does = (
            WAITERS.get(holding[node].kind, "sum")
            if node in holding
            else "later_sum"
            if node in waiting
            else "sum"
        )
        does = "name_sum" if node == OUTPUTS_NODE else does
        task = Task(does, encoded, reads, timeout_ms, WORKER_QUEUE)
        nodes.append(PlanNode(node, positions, task))
    policies = {
        index[node]: policy_of(said, tuple(index[parent] for parent in (graph[node] if reading else ())))
        for node, said in (says or {}).items()
    }
    for node, waited in holding.items():
        position = index[node]
        policies[position] = msgspec.structs.replace(policies.get(position, PLAIN_POLICY), waits=waited)
    for node in ends:
        position = index[node]
        policies[position] = msgspec.structs.replace(policies.get(position, PLAIN_POLICY), ends=True)
    threadless = frozenset(index[node] for node in waiting if node not in {OUTPUTS_NODE, *holding})
    return Plan(name, tuple(nodes), policies, overall=overall, stages=stages, waiting=threadless)


def policy_of(said: Says, sees: tuple[int, ...] = ()) -> Policy:
    """A node's policy in the plan. Its pause before another try, or between iterations, is one second."""
    return Policy(
        trigger_rule=cast(TriggerRule, said.rule),
        when=_condition(said.when),
        tolerates=said.tolerates,
        retry=Retry(max_attempts=said.tries, when=_condition(said.again)) if said.tries > 1 else None,
        sees=sees,
        repeat=None
        if said.times == 1
        else Repeat(
            f"{{{{ iteration >= {said.times} }}}}", delay_s=int(said.delayed), collects=said.collects
        ),
        concurrency=None if said.limit is None else NodeConcurrency(said.limit, said.key),
        rate_limit=None if said.rate is None else RateLimit(*said.rate),
        map=None if said.each is None else _map_of(said.each),
    )


def _map_of(said: MapSays) -> MapPolicy:
    spec = {
        "items": list(range(said.items)),
        "max_concurrent": said.at_once,
        "tolerated_failures": said.tolerated,
    }
    return MapPolicy(msgspec.json.encode(spec).decode())


def _condition(gives: bool | None) -> str | None:
    return None if gives is None else f"{{{{ 1 == {1 if gives else 2} }}}}"


class ScriptedInvoker:
    """Runs handlers in this thread, after asking the script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls: list[Context] = []

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object:
        """What the handler returns."""
        self.calls.append(context)
        self.script(context)
        if handler.config_type is AnyObject:
            return handler.function(AnyObject(cast(dict[str, Any], config)), context)
        return handler.function(msgspec.convert(config, handler.config_type), context)

    def begin(
        self,
        handler: Handler,
        config: JsonValue,
        context: Context,
        ended: Callable[[tuple[object, BaseException | None]], None],
    ) -> None:
        """Run an async handler to its end, which no handler here waits for."""
        try:
            coroutine = cast("Coroutine[None, None, object]", self.invoke(handler, config, context))
            coroutine.send(None)
        except StopIteration as returned:
            ended((returned.value, None))
        except BaseException as error:  # noqa: BLE001 - handed on as the handler's outcome
            ended((None, error))

    def forsake(self, handler: str) -> None:
        """No handler here outlasts its time."""
        raise AssertionError(handler)


class NoSecrets:
    """Knows no secret."""

    def lookup(self, name: str) -> str:
        """Fails: there is none."""
        raise LookupError(name)

    def redact(self, text: str) -> str:
        """The text."""
        return text

    def redact_json(self, data: bytes) -> bytes:
        """The data."""
        return data

    @contextlib.contextmanager
    def hiding(self, values: Sequence[str]) -> Iterator[None]:
        """Hides nothing."""
        yield


def _no_client() -> httpx.Client:
    raise AssertionError("no handler here calls out")


def _no_async_client() -> httpx.AsyncClient:
    raise AssertionError("no handler here calls out")


NO_CALLS: Final = Environment(http=_no_client, async_http=_no_async_client, setting=lambda name: None)
"""Of handlers that call nothing and have no settings."""


class Entry(msgspec.Struct, frozen=True):
    """One message that waits in a queue, or that a dead process left behind."""

    queue: str
    id: bytes
    actor: str
    payload: bytes
    deliveries: int

    @property
    def place(self) -> str:
        """Where it stands, as a noted start says it."""
        beside = f"/{self.queue}" if ":" in self.queue else ""
        return f"{self.id.decode()}/{CONSUMER}{beside}"


def _payload(fields: Mapping[bytes, bytes]) -> bytes:
    """The payload of an engine message, in whatever format."""
    (payload,) = (value for name, value in fields.items() if name != ACTOR)
    return payload


class HeldEntries:
    """The Receipt of what a process has in hand."""

    def __init__(self, entries: Sequence[Entry], partition: str, owner: str = "") -> None:
        self._entries = entries
        self._names = keys.of(partition, owner)
        self.confirmed: set[int] = set()

    def held(self) -> list[Held[Any]]:
        """The payloads, each in hand."""
        return [
            Held(
                decode(entry.actor, entry.payload),
                entry.deliveries,
                entry.place,
                self,
                index,
            )
            for index, entry in enumerate(self._entries)
        ]

    def acknowledge(self, sink: Sink, entries: Sequence[int]) -> None:
        """Queue XACK and XDEL, for the queue and for its crowd."""
        chosen = [self._entries[index] for index in entries]
        for queue in dict.fromkeys(entry.queue for entry in chosen):
            key, ids = self._names.stream(queue), [entry.id for entry in chosen if entry.queue == queue]
            sink.execute_command("XACK", key, GROUP, *ids)
            sink.execute_command("XDEL", key, *ids)

    def confirm(self, entries: Sequence[int]) -> None:
        """The transaction has succeeded."""
        self.confirmed |= set(entries)

    def is_lost(self, entry: int) -> bool:
        """Nothing is taken over from who still runs."""
        return False

    def hand_back(self, entries: Sequence[int]) -> None:
        """Nothing is handed back: no watchdog runs here."""
        raise AssertionError("no watchdog runs here")

    def pass_on(self, entries: Sequence[int]) -> None:
        """Nothing is passed on: every worker knows every handler here."""
        raise AssertionError("every handler is known here")


class HeldForAsync:
    """What async nodes ask of the broker. What is let go of unsettled comes back."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None

    def let_go(self, held: Sequence[Held[Any]], error: BaseException | None = None) -> None:
        """Those whose messages are not acknowledged come back."""
        self.failure = self.failure or error

    def is_handed_back(self, held: Held[Any]) -> bool:
        """Nothing is: no worker here is told to stop."""
        return False

    def weigh(self, held: Held[Any], size: int) -> None:
        """What is begun here ends at once."""

    def keeps_too_much(self) -> bool:
        """Never."""
        return False

    def hand_back(self, held: Sequence[Held[Any]]) -> None:
        """Nothing is handed back."""
        raise AssertionError("there is room for everything here")

    def acknowledge(self, sink: Sink, held: Sequence[Held[Any]]) -> None:
        """Queue what settles them."""
        for each in held:
            each.acknowledge(sink)


class HookedState(RedisSweepState):
    """State that lets a test do something between a unit's reads and its writes."""

    between: Callable[[], object] | None = None
    skipped: int = 0

    @property
    def hooked(self) -> bool:
        """Whether it is still to come."""
        return self.between is not None

    def begin(self, reading: Reading, *, commits: bool = False, exact_time: bool = False) -> RedisUnit:
        """As ever, and then what the test wants, once: after `skipped` other units."""
        unit = super().begin(reading, commits=commits, exact_time=exact_time)
        self.call_hook()
        return unit

    def begin_with_plans(self, reading: Reading) -> tuple[RedisUnit, dict[str, Plan | None]]:
        """As `begin`."""
        unit, plans = super().begin_with_plans(reading)
        self.call_hook()
        return unit, plans

    def call_hook(self) -> None:
        """What the test wants, if it is time."""
        if self.between is not None and self.skipped > 0:
            self.skipped -= 1
        elif self.between is not None:
            hook, self.between = self.between, None
            hook()


class HookedApiState(RedisApiState):
    """The same between the reads and the writes of a command."""

    def __init__(self, state: HookedState) -> None:
        super().__init__(state)
        self._hooked = state

    def begin_creating(self, request: IdempotentRequest) -> CreatingUnit:
        """As ever, and then what the test wants."""
        unit = super().begin_creating(request)
        self._hooked.call_hook()
        return unit

    def begin_admitting(
        self, execution: str, request: IdempotentRequest | None = None, *, inputs: bool = False
    ) -> AdmittingUnit:
        """As ever, and then what the test wants."""
        unit = super().begin_admitting(execution, request, inputs=inputs)
        self._hooked.call_hook()
        return unit

    def begin_command(self, execution: str) -> AdmittingUnit:
        """As ever, and then what the test wants."""
        unit = super().begin_command(execution)
        self._hooked.call_hook()
        return unit


class HookedDefinitions(RedisDefinitions):
    """The same between the reads and the writes of an apply or a deletion."""

    def __init__(self, state: HookedState) -> None:
        super().__init__(state)
        self._hooked = state

    def begin(self, name: str) -> RedisDefinitionUnit:
        """As ever, and then what the test wants."""
        unit = super().begin(name)
        self._hooked.call_hook()
        return unit


class HookedSchedules(RedisSchedules):
    """The same between the reads and the writes of what moves a schedule."""

    def __init__(self, state: HookedState) -> None:
        super().__init__(state)
        self._hooked = state

    def begin(self, name: str, schedule: str) -> RedisScheduleUnit:
        """As ever, and then what the test wants."""
        unit = super().begin(name, schedule)
        self._hooked.call_hook()
        return unit


class Process:
    """One process of a service. `reborn` starts it again after its death."""

    def __init__(self, name: str, harness: Harness) -> None:
        self.name = name
        self.harness = harness
        self._open()

    def _open(self) -> None:
        self.line = Line(self.name, self.harness.gate)
        self.client = self.line.connect(self.harness.settings.redis_url)
        settings, names = self.harness.settings, self.harness.keys
        self.state = HookedState(
            self.client,
            posting_to(names.owner),
            settings,
            names.partition,
            owner=names.owner,
            ahead_for_s=NO_HURRY_S,
        )
        if self.harness.clock is not None:
            self.state.clock = self.harness.clock
        # Asked once: to ask again is a command, and what is struck must not go by how fast the machine is.
        self.state.lines_beside = LinesBeside(self.state.sessions, names, every_s=NO_HURRY_S)
        self.state.looks_for_s = NO_HURRY_S
        self.assemble()

    def assemble(self) -> None:
        """Build the engine's side of this process."""

    def handle(self, actor: str, held: list[Held[Any]]) -> None:
        """Deal with one delivery."""
        raise NotImplementedError

    def close(self) -> None:
        """Close its connections."""
        self.state.sessions.here().discard()
        self.line.close()
        self.client.close()

    def reborn(self) -> None:
        """A new process in the place of a dead one."""
        self.close()
        self._open()


class OrchestratorProcess(Process):
    """Serves the orchestrator's queue; its timer loop and sweep turn when the test says so."""

    def assemble(self) -> None:
        """The engine, the sweep and the timers."""
        lease_s, sizes = self.harness.settings.lease_s, self.harness.sizes
        stop_s = self.harness.settings.stop_s
        self.engine = Orchestrator(self.state, lease_s=lease_s, stop_s=stop_s, sizes=sizes)
        self.bulks = BulkStep(RedisBulks(self.state), at_once=self.harness.bulk_at_once)
        self.sweep = Sweep(
            self.state, sizes=sizes, clock_margin_ms=CLOCK_MARGIN_MS, stop_s=stop_s, lease_s=lease_s
        )
        self.timers = RedisTimers(self.state)
        definitions, executions = RedisDefinitions(self.state), RedisApiState(self.state)
        self.schedules = ScheduleStep(HookedSchedules(self.state), definitions, executions)
        self.chains = ChainStep(RedisChains(self.state, HookedApiState(self.state)), definitions, executions)

    def handle(self, actor: str, held: list[Held[Any]]) -> None:
        """What the orchestrator's actors do."""
        if actor == "start_execution" and len(held) > 1:
            self.engine.start_together(held)
        elif actor == "start_execution":
            self.engine.start(held[0])
        elif actor == "stop_execution":
            self.engine.stop(held[0])
        elif actor == "resume_execution":
            self.engine.resume(held[0])
        elif actor == "run_bulk":
            self.bulks.fire(held[0])
        elif actor == "fire_schedule":
            self.schedules.fire(held[0])
        elif actor == "start_followers":
            self.chains.start(held[0])
        elif actor == "delete_execution":
            self.engine.delete(held[0])
        elif actor == "copy_results":
            self.engine.copy(held[0])
        elif actor == "node_overruled":
            self.engine.follow_overruled(held[0])
        elif actor == "signal_kept":
            self.engine.bring_signals(held[0])
        elif actor == "line_moved":
            self.engine.move_line(held[0])
        elif actor == "delivery_attempted":
            self.engine.deliver(held[0])
        elif actor == "tend_child":
            self.engine.tend_child(held[0])
        elif actor == "tend_children":
            self.engine.tend_children(held[0])
        elif actor == "keep_children":
            self.engine.keep_children(held[0])
        elif actor == "timer_fired":
            self.engine.fire(held[0])
        else:
            self.engine.finish(held)


class WorkerProcess(Process):
    """Serves the worker queue."""

    def assemble(self) -> None:
        """The runner."""
        self.invoker = ScriptedInvoker(self._act)
        speed = self.harness.speed()
        store = RedisWorkerState(self.state)
        self.runner = Runner(
            store,
            registry(),
            self.invoker,
            NoSecrets(),
            self.harness.settings.limits,
            NO_CALLS,
            self.state.clock.now,
            speed,
        )
        self.groups = QuickGroups(store, self.runner, speed)
        self.holding = HeldForAsync()
        self.nodes = AsyncNodes(
            store, self.runner, self.invoker, NoSecrets(), speed, self.holding, reports_on_thread=False
        )
        self.sender = Sender(RedisSending(self.state), self.harness.receive, lambda: 0.5)

    def handle(self, actor: str, held: list[Held[Any]]) -> None:
        """What the worker's actors do."""
        if actor == "deliver_results":
            self.sender.send(held[0])
        elif self.nodes.may_begin(held[0].payload):
            self._run_together(held)
        elif len(held) > 1:
            self.groups.run(held)
        else:
            self.runner.run(held[0])

    def _act(self, context: Context) -> None:
        self.harness.gate.acts()
        self.harness.script(context)

    def _run_together(self, held: list[Held[Any]]) -> None:
        """Begin async nodes, and report them, in one transaction."""
        self.holding.failure = None
        self.nodes.begin(held)
        self.nodes.reporter.report()
        if self.holding.failure is not None:
            raise self.holding.failure


class ApiProcess(Process):
    """Creates and triggers."""

    def assemble(self) -> None:
        """The executions."""
        health = HealthView(status="ok", checks={})
        store = HookedApiState(self.state)
        letters = DeadLetters(self.state, QUEUES, payload_of)
        queues, processes = Queues(self.state, QUEUES), Processes(self.state, QUEUES)
        gauges = RedisGauges(self.state, queues)
        stats, limits = Stats(self.state), LimitsList(self.state)
        operations = StoredOperations(store, letters, queues, processes, gauges, stats, limits)
        settings = self.harness.settings
        self.definitions = HookedDefinitions(self.state)
        self.executions = StoredExecutions(
            store,
            lambda: health,
            operations,
            RedisBulks(self.state),
            settings.limits,
            StoredDefinitions(self.definitions, store, kept_versions=settings.definition_versions),
            StoredSchedules(HookedSchedules(self.state), self.definitions, store),
        )


class Harness:
    """A whole stack over one server, moved by hand. With an `owner`, that execution's own.

    Without `groups`, another one has made the queues' groups. Every process goes by the `clock`, if there is
    one.
    """

    def __init__(
        self,
        url: str,
        *,
        gate: Gate | None = None,
        settings: Settings | None = None,
        sizes: Sizes = SIZES,
        partition: str = "",
        owner: str = "",
        groups: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock
        self.speed: type[HandlerSpeed] = HandlerSpeed
        self.sizes = sizes
        self.bulk_at_once = 3
        self.keys = keys.of(partition, owner)
        base = settings or Settings(lease_s=60.0)
        self.settings = msgspec.structs.replace(base, redis_url=url)
        self.gate = gate or Gate()
        self.script: Script = lambda context: None
        self.receiver: Receiver = lambda outgoing: Answered(200, None, 1)
        self.received: list[Outgoing] = []
        self.client: Client = DirectClient.from_url(url, socket_timeout=None, driver_info=None)
        for line in (*QUEUES, LINE) if groups else ():
            self.client.xgroup_create(self.stream(line), GROUP, id="0", mkstream=True)
            for beside in (crowd_line,) if line == ORCHESTRATOR_QUEUE else (crowd_line, high_line, low_line):
                key = self.stream(beside(line))
                self.client.xgroup_create(key, GROUP, id="0", mkstream=True)
                self.client.xgroup_createconsumer(key, GROUP, CONSUMER)  # it is read, as the queue is
        self.errors: list[Exception] = []
        self.deaths = 0
        self.api = ApiProcess("api", self)
        self.orchestrators = [OrchestratorProcess("orchestrator-1", self)]
        self.workers = [WorkerProcess("worker-1", self)]

    def close(self) -> None:
        """Close every connection."""
        for process in (self.api, *self.orchestrators, *self.workers):
            process.close()
        self.client.close()

    def receive(self, outgoing: Outgoing) -> Answered:
        """Results that a worker sends."""
        self.gate.acts()
        self.received.append(outgoing)
        return self.receiver(outgoing)

    def resize(self, sizes: Sizes) -> None:
        """From now on the orchestrators' transactions do so much."""
        self.sizes = sizes
        for orchestrator in self.orchestrators:
            orchestrator.assemble()

    def be_quick(self) -> None:
        """From now on the workers take every handler for quick: what reads nothing begins unnoted."""
        self.speed = AlwaysQuick
        for worker in self.workers:
            worker.assemble()

    def second_orchestrator(self) -> OrchestratorProcess:
        """One more orchestrator."""
        self.orchestrators.append(OrchestratorProcess(f"orchestrator-{len(self.orchestrators) + 1}", self))
        return self.orchestrators[-1]

    def second_worker(self) -> WorkerProcess:
        """One more worker."""
        self.workers.append(WorkerProcess(f"worker-{len(self.workers) + 1}", self))
        return self.workers[-1]

    # -- executions

    def create(self, plan: Plan, *, callback_url: str | None = None) -> str:
        """A pending execution."""
        made = self.api.executions.create(plan, correlation_id="test", callback_url=callback_url)
        return made.execution_id

    def trigger(self, execution: str) -> int:
        """Start it; returns the run."""
        return self.api.executions.trigger(execution, correlation_id="test").run

    def cancel(self, execution: str, reason: str | None = None) -> str:
        """Cancel it; returns the status."""
        return self.api.executions.cancel(execution, reason=reason).status

    def delete(self, execution: str, *, force: bool = False) -> bool:
        """Delete it; returns whether it is gone already."""
        return self.api.executions.delete(execution, force=force).deleted

    def overrule(self, execution: str, node: str, word: Word, **only: int) -> str:
        """End a node as an operator; returns its status. `only`: the run or the attempt that is meant."""
        said = Overruling(word, "by the test", **only)
        return self.api.executions.overrule(execution, node, said).status

    def signal(self, execution: str, name: str, payload: bytes = b"1") -> int:
        """Send a signal; returns the run that has kept it."""
        return self.api.executions.send_signal(execution, name, payload).run

    def begin(self, plan: Plan, *, callback_url: str | None = None) -> str:
        """A running execution, whose start message waits."""
        execution = self.create(plan, callback_url=callback_url)
        self.trigger(execution)
        return execution

    def statuses(self, execution: str) -> dict[str, str]:
        """Node -> status as stored: `running` counts as `queued`."""
        view = self.api.executions.status(execution)
        nodes = [*view.nodes, *(() if isinstance(view.hooks, msgspec.UnsetType) else view.hooks)]
        return {node.id: "queued" if node.status == "running" else node.status for node in nodes}

    def results(self, execution: str) -> dict[str, int]:
        """Node -> what its handler returned."""
        view = self.api.executions.results(execution)
        hooks = {} if isinstance(view.hooks, msgspec.UnsetType) else view.hooks.results
        found = {**view.results, **hooks}
        return {node: msgspec.json.decode(result)["result"] for node, result in found.items()}

    # -- messages

    def stream(self, queue: str) -> str:
        """The key of a queue."""
        return self.keys.stream(queue)

    def waiting(self, *queues: str) -> list[Entry]:
        """What has not been acknowledged, each as its next delivery would be: oldest first, and what is in
        the lines beside the queues last."""
        crowds = [beside(queue) for queue in queues for beside in (high_line, crowd_line, low_line)]
        lengths = [("XLEN", self.stream(crowd)) for crowd in crowds]
        replies = self.client.execute_together(*lengths, *self._looks(queues))
        used = [crowd for crowd, length in zip(crowds, replies, strict=False) if length]
        looks = replies[len(crowds) :] + (self.client.execute_together(*self._looks(used)) if used else [])
        return [
            entry
            for queue, pending, entries in zip((*queues, *used), looks[1::3], looks[2::3], strict=True)
            for entry in self._entries(queue, pending, entries)
        ]

    def _looks(self, lines: Sequence[str]) -> list[tuple[object, ...]]:
        """What asks for a line's entries, three commands each."""
        return [
            command
            for key in map(self.stream, lines)
            for command in (
                ("XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", 10_000, "STREAMS", key, ">"),
                ("XPENDING", key, GROUP, "-", "+", 10_000),
                ("XRANGE", key, "-", "+"),
            )
        ]

    def _entries(self, queue: str, pending: Any, entries: Any) -> list[Entry]:
        counts = {entry_id: delivered for entry_id, _, _, delivered in pending}
        found = [
            (entry_id, dict(zip(fields[::2], fields[1::2], strict=True))) for entry_id, fields in entries
        ]
        return [
            Entry(queue, entry_id, fields[ACTOR].decode(), _payload(fields), counts[entry_id])
            for entry_id, fields in found
            if entry_id in counts
        ]

    def callbacks(self) -> list[Entry]:
        """The callbacks that wait."""
        return [entry for entry in self.waiting(ORCHESTRATOR_QUEUE) if entry.actor == "node_finished"]

    def tasks(self) -> list[Entry]:
        """What waits for workers, with or without a thread."""
        return self.waiting(WORKER_QUEUE, LINE)

    def task_of(self, node: str) -> Entry:
        """The task of one node that waits."""
        return next(
            entry for entry in self.tasks() if msgspec.json.decode(entry.payload, type=RunNode).node == node
        )

    def callback_of(self, node: str) -> Entry:
        """The callback of one node that waits."""
        return next(
            entry
            for entry in self.callbacks()
            if msgspec.json.decode(entry.payload, type=Callback).node == node
        )

    def deliver(self, process: Process, *entries: Entry) -> bool:
        """Give entries to a process as one message; False when it failed or died over it.

        What it did not acknowledge comes back, counted.
        """
        receipt = HeldEntries(entries, self.keys.partition, self.keys.owner)
        self.gate.acts()
        try:
            process.handle(entries[0].actor, receipt.held())
        except ProcessDied:
            self.deaths += 1
            process.reborn()
        except FlowEngineError as error:
            self.errors.append(error)
        else:
            assert receipt.confirmed == set(range(len(entries))), "returned without settling its message"
            left = self.client.execute_together(
                *(("XRANGE", self.stream(entry.queue), entry.id, entry.id) for entry in entries)
            )
            assert not any(left), "confirmed a message that it had not acknowledged"
            return True
        for entry in entries:
            self.client.xclaim(self.stream(entry.queue), GROUP, CONSUMER, 0, [entry.id])
        return False

    def run_tasks(self, *nodes: str) -> None:
        """Let a worker run what waits, or only these nodes."""
        for entry in self.tasks():
            if not nodes or msgspec.json.decode(entry.payload, type=RunNode).node in nodes:
                self.deliver(self.workers[0], entry)

    def start_executions(self) -> None:
        """Let an orchestrator deal with the start messages that wait."""
        for entry in self.waiting(ORCHESTRATOR_QUEUE):
            if entry.actor == "start_execution":
                self.deliver(self.orchestrators[0], entry)

    def drain(self, *, batch: int = 64) -> None:
        """Deliver until every queue is empty; callbacks in batches of at most `batch`."""
        for step in range(STEPS_AT_MOST):
            waiting = self.waiting(ORCHESTRATOR_QUEUE)
            joined = [e for e in waiting if e.actor == "node_finished" and e.deliveries == 1][:batch]
            process = self.orchestrators[step % len(self.orchestrators)]
            if joined:
                self.deliver(process, *joined)
            for entry in waiting:
                if entry not in joined and not (entry.actor == "node_finished" and entry.deliveries == 1):
                    self.deliver(process, entry)
            tasks = self.tasks()
            threadless = [entry for entry in tasks if entry.queue == LINE]
            nodes = [entry for entry in tasks if entry.actor == "run_node" and entry.queue != LINE]
            together = [entry for entry in nodes if entry.deliveries == 1]
            alone = [(entry,) for entry in tasks if entry not in together and entry not in threadless]
            groups = [
                tuple(part[at : at + TASKS_TOGETHER])
                for part in (together, threadless)
                for at in range(0, len(part), TASKS_TOGETHER)
            ]
            for group in (*groups, *alone):
                self.deliver(self.workers[step % len(self.workers)], *group)
            if (
                waiting
                or tasks
                or self.end_pauses()
                or self.end_waits()
                or self.end_stops()
                or self.end_starts()
            ):
                continue
            if not self.end_delivery_pauses():
                return
        raise AssertionError(f"not drained after {STEPS_AT_MOST} steps; {self.errors[-3:]}")

    def conclude(self) -> None:
        """Undo what the test has set up, let everything go on to its end, and assert every invariant."""
        self.gate = Gate()
        self.script = lambda context: None
        for process in (self.api, *self.orchestrators, *self.workers):
            process.reborn()
        self.drain()
        check_everything(self.client)
        running = self.client.zrange(self.keys.index("running"), 0, -1)
        running += self.client.zrange(self.keys.nested, 0, -1)
        assert not running, f"nothing waits, and these have not ended: {running[:3]}"

    # -- time

    def now(self) -> int:
        """The server's time in milliseconds."""
        return milliseconds(self.client.time())

    def begun(self, execution: str, node: str, dispatch: int, item: ItemTry | None = None) -> Begun:
        """What a worker noted when it began this dispatch."""
        value = self.client.hget(self.keys.started(execution), keys.start_field(node, dispatch, item))
        return Begun(0, 0, "") if value is None else parse_begun(value)

    def lapse(self, entry: Entry) -> None:
        """As if the process that was given this entry last had died a while ago."""
        self._mark(entry, idle_ms=int(self.settings.lease_s * 1000))

    def still_holding(self, entry: Entry) -> None:
        """As if the process that was given this entry last still had it, and renewed its lease."""
        self._mark(entry, idle_ms=0)

    def _mark(self, entry: Entry, *, idle_ms: int) -> None:
        key, count = self.stream(entry.queue), entry.deliveries
        self.client.xclaim(key, GROUP, CONSUMER, 0, [entry.id], idle=idle_ms, retrycount=count, justid=True)

    def make_overdue(self, execution: str, node: str, dispatch: int, item: ItemTry | None = None) -> None:
        """Let an hour pass since a worker began this dispatch, or this try of an item."""
        begun = self.begun(execution, node, dispatch, item)
        if begun.delivery:
            long_ago = format_begun(msgspec.structs.replace(begun, at=begun.at - 3_600_000))
            field = keys.start_field(node, dispatch, item)
            self.client.hset(self.keys.started(execution), field, long_ago)
        wanted = (execution, node, dispatch, item)
        for member in self.client.zrange(self.keys.deadlines, 0, -1):
            timer = keys.parse_deadline(member)
            if (
                timer is not None
                and (
                    timer.execution,
                    timer.node,
                    timer.dispatch,
                    timer.item,
                )
                == wanted
            ):
                self.client.zadd(self.keys.deadlines, {member: 1})

    def end_pauses(self) -> int:
        """Let the pauses of all nodes be over that wait for another try; returns how many there are."""
        return self._end_pauses("retry")

    def end_waits(self) -> int:
        """Let the time be over of all nodes that wait for one, or for something else; returns how many."""
        return self._end_pauses("wait")

    def end_delivery_pauses(self) -> int:
        """Let the pauses be over of all deliveries that are sent again; returns how many there are."""
        return self._end_pauses("delivery")

    def _end_pauses(self, kind: str) -> int:
        timers = self.keys.timers(kind)
        members = self.client.zrange(timers, 0, -1)
        if members:
            self.client.zadd(timers, dict.fromkeys(members, 1))
            try:
                self.fire_timers()
            except FlowEngineError as error:
                self.errors.append(error)
            except ProcessDied:
                self.orchestrators[0].reborn()
        return len(members)

    def end_starts(self) -> int:
        """Let a day pass since all starts that are limited, for those that wait to start; returns of how many
        lines these are."""
        timers = self.keys.timers("starts")
        lines = self.client.zrange(timers, 0, -1)
        for line in lines:
            self.starts_ago(line.decode(), 86_400_000)
        if lines:
            self.client.zadd(timers, dict.fromkeys(lines, 1))
            self.fire_timers()
        return len(lines)

    def starts_ago(self, line: str, ms: int) -> None:
        """Let so long pass since all starts of a line that somebody has told of."""
        name = self.keys.starts(line)
        for member, at in self.client.zrange(name, 0, -1, withscores=True):
            if at < EXPECTED_AT:
                self.client.zadd(name, {member: at - ms})

    def end_stops(self, *, for_a_lease: bool = True) -> int:
        """Let the time be over that workers have to say that they have stopped; returns how many executions
        that concerns.

        `for_a_lease`: for so long that what is on its way is not waited for any more.
        """
        lease_s = self.settings.lease_s if for_a_lease else 0.0
        return self._make_due("stop", self.settings.stop_s + lease_s + 1)

    def end_runs(self) -> int:
        """Let the time of all runs be over that have a timeout; returns how many there are."""
        return self._make_due("timeout", 0)

    def end_maps(self, by: int = 0) -> int:
        """Let the time be over of all open maps that have one, for an hour, as this orchestrator finds;
        returns how many there are."""
        timers = self.keys.timers("map")
        members = self.client.zrange(timers, 0, -1)
        for member in members:
            timer = keys.parse_map_over(member)
            assert timer is not None
            name = self.keys.node(timer.execution, timer.node)
            record = decode_record(self.client.hget(name, "state"))
            if record.map is not None:
                until = self.orchestrators[by].state.now() - 3_600_000
                over = msgspec.structs.replace(record, map=msgspec.structs.replace(record.map, until=until))
                self.client.hset(name, "state", encode_record(over))
        if members:
            self.client.zadd(timers, dict.fromkeys(members, 1))
            try:
                self.orchestrators[by].timers.fire_due()
            except FlowEngineError as error:
                self.errors.append(error)
            except ProcessDied:
                self.orchestrators[by].reborn()
        return len(members)

    def end_hooks(self) -> int:
        """Let the time of all hooks be over; returns of how many executions."""
        return self._make_due("hooks", 0)

    def _make_due(self, kind: str, later_s: float) -> int:
        timers = self.keys.timers(kind)
        members = self.client.zrange(timers, 0, -1)
        for member in members:
            control = self.keys.control(member.decode().split("|")[0])
            stop = self.client.hget(control, "stop")
            if stop is not None:
                fields = msgspec.json.decode(stop)
                fields["at"] -= int(later_s * 1000)
                self.client.hset(control, "stop", msgspec.json.encode(fields))
        if members:
            self.client.zadd(timers, dict.fromkeys(members, 1))
            self.fire_timers()
        return len(members)

    def fire_timers(self) -> None:
        """One turn of the timer loop."""
        self.orchestrators[0].timers.fire_due()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A test over a harness that has passed goes on to its end, where every invariant must hold.

    Part of the test and not of the fixture's end, so that what is wrong then is a test that failed; the
    innermost wrapper, so that its output is captured.
    """
    yield
    used = getattr(item, "funcargs", {}).get("harness")
    if isinstance(used, Harness) and item.get_closest_marker("corrupts") is None:
        used.conclude()


@pytest.fixture
def harness(valkey: Valkey) -> Iterator[Harness]:
    """A stack over the session's server, moved by hand."""
    made = Harness(valkey.url)
    yield made
    made.close()


def diamond() -> Mapping[str, Sequence[str]]:
    """a, then b and c, then d."""
    return {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def failing_in(run: int, *nodes: str) -> Script:
    """A script in which these nodes fail in this run."""

    def script(context: Context) -> None:
        if context.run == run and context.node_id in nodes:
            raise HandlerError("boom", f"{context.node_id} failed on purpose")

    return script


@contextmanager
def silence() -> Iterator[None]:
    """No logs while it lasts: thousands of runs would write a million lines."""

    def drop(logger: object, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[drop], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


@pytest.fixture
def no_logs() -> Iterator[None]:
    """No logs during the test."""
    with silence():
        yield
