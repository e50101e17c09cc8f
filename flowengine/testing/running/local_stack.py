"""A whole stack in this process: API, orchestrator and worker over one store, moved by one thread.

The parts are those of production. In place of servers and clocks there are a keyspace in memory and a clock
that jumps to the next timer when nothing else is left to do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
import redis

from flowengine.bootstrap import posting_to
from flowengine.engine.advancing.orchestrator import Orchestrator
from flowengine.engine.commands.answering.call_back import Carried
from flowengine.engine.commands.answering.payload_check import PayloadInvalidError
from flowengine.engine.executions import StoredExecutions
from flowengine.engine.held import Held
from flowengine.engine.ports import Redactor
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.runner import Runner
from flowengine.errors import CallbackGoneError, FlowEngineError, WrongStateError
from flowengine.execution.messages import RunNode
from flowengine.execution.records import NodeError
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.execution.status import is_over
from flowengine.execution.views.executions import HealthView
from flowengine.jsonvalue import JsonValue, encode
from flowengine.plugin import Registry
from flowengine.settings import Settings
from flowengine.store.api_state import RedisApiState
from flowengine.store.lines_beside import LinesBeside
from flowengine.store.maintenance.sweep_reads import RedisSweepState
from flowengine.store.maintenance.timer_store import RedisTimers
from flowengine.store.state import RedisState
from flowengine.store.worker_state import RedisWorkerState
from flowengine.testing.cases.durations import milliseconds
from flowengine.testing.running.addresses import Addresses
from flowengine.testing.running.message_loop import MessageLoop
from flowengine.testing.running.mocked_handlers import MockedHandlers, Question
from flowengine.testing.running.virtual_clock import VirtualClock
from flowengine.workflow.plan import Plan
from flowengine.workflow.posting.answers import read_callback
from flowengine.workflow.priority import NORMAL, Priority

STANDS_STILL: Final = "it waits for something that never comes: no timer is armed, and no mock answers"


class StandingStillError(FlowEngineError):
    """An execution has not ended, and nothing is left that could bring it on."""

    code = "standing_still"


class _OneLine(LinesBeside):
    """One worker serves a queue, with threads: nothing stands beside it."""

    def line_for(self, queue: str, *, waits: bool, crowd: bool, priority: Priority = NORMAL) -> str:
        """The queue itself."""
        return queue


class _NoHurry(HandlerSpeed):
    """Each start is noted before its handler runs, so that two runs of one test are alike."""

    def is_quick(self, handler: str) -> bool:
        """None is."""
        return False


class _Fits:
    """What is stored is of this version: nobody else has written to it."""

    def ensure(self) -> None:
        """It does."""


def state_over(client: redis.Redis, clock: VirtualClock, settings: Settings, owner: str) -> RedisSweepState:
    """State over a server, or over what stands for one, by this clock. Nothing is read ahead: a worker has
    its turn before the orchestrator reads again."""
    state = RedisSweepState(client, posting_to(owner), settings, owner=owner, ahead_for_s=0.0)
    state.clock = clock
    state.lines_beside = _OneLine(state.sessions, state.keys)
    return state


class LocalStack:
    """Runs the execution `owner` on the state. `handlers` and `secrets`: of its one worker."""

    def __init__(
        self,
        state: RedisSweepState,
        clock: VirtualClock,
        registry: Registry,
        handlers: MockedHandlers,
        secrets: Redactor,
        variables: Mapping[str, str],
    ) -> None:
        settings = state.settings
        health = HealthView(status="ok", checks={})
        self.state = state
        self.store = RedisApiState(state, check=_Fits())
        self.executions = StoredExecutions(self.store, lambda: health, limits=settings.limits)
        self._clock = clock
        self._handlers = handlers
        self._timers = RedisTimers(state)
        self._runner = Runner(
            RedisWorkerState(state),
            registry,
            handlers,
            secrets,
            settings.limits,
            handlers.environment(variables),
            clock.now,
            _NoHurry(),
        )
        queues = sorted({item.queue for item in registry})
        engine = Orchestrator(state, lease_s=settings.lease_s, stop_s=settings.stop_s)
        self._loop = MessageLoop(state, engine, self._run_node, queues)

    def run(self, execution: str) -> None:
        """Let a triggered execution go on to its end.

        Raises EndlessExecutionError, StandingStillError.
        """
        while True:
            self._loop.run_dry()
            if self._is_over(execution):
                return
            if not self._answer_questions() and not self._pass_time():
                raise StandingStillError(STANDS_STILL)

    def _run_node(self, held: Held[RunNode]) -> None:
        self._handlers.current = held.payload
        self._runner.run(held)

    def _is_over(self, execution: str) -> bool:
        record = self.state.read_execution(execution)
        return record is None or is_over(record.status)

    # -- what is answered

    def _answer_questions(self) -> bool:
        """Give the decisions and signals that are due; whether there were any."""
        due = [question for question in self._handlers.questions if self._due(question) <= self._clock.now()]
        for question in due:
            self._handlers.questions.remove(question)
            self._answer(question)
        return bool(due)

    def _due(self, question: Question) -> int:
        after = question.reply.after
        return question.at + (0 if after is msgspec.UNSET else milliseconds(after))

    def _answer(self, question: Question) -> None:
        reply, execution = question.reply, question.execution
        try:
            if question.kind == "approval":
                answer = Answer(reply.approved is True, reply.comment, encode(reply.data))
                self.executions.decide(execution, question.node, answer)
            elif question.kind == "callback":
                self.executions.call_back(question.token, self._carried(reply.callback))
            else:
                name = self._signal_of(question)
                self.executions.send_signal(execution, name, encode(reply.payload))
        except (WrongStateError, CallbackGoneError):
            """It has ended, or waits no longer: its time was over first, or something has stopped it."""

    def _carried(self, value: JsonValue) -> Carried:
        posted = read_callback(encode(value), self.state.settings.limits)
        if posted.problems:
            raise PayloadInvalidError(posted.problems)
        return Carried(posted.data, None if posted.error is None else NodeError(*posted.error))

    def _signal_of(self, question: Question) -> str:
        if question.reply.signal is not msgspec.UNSET:
            return question.reply.signal
        if question.signal:
            return question.signal
        plan = self.state.plan(question.execution)
        waits = None if plan is None else plan.policy(plan.index[question.node]).waits
        return question.node if waits is None or not waits.names else waits.names[0]

    # -- time

    def _pass_time(self) -> bool:
        """Go on to when the next timer is due, or the next answer; whether there is one."""
        left_s = self._timers.fire_due()
        now = self._clock.now()
        due = [self._due(question) for question in self._handlers.questions]
        if left_s is not None:
            due.append(now + math.ceil(left_s * 1000))
        if not due:
            return False
        if min(due) > now:
            self._clock.move(min(due))
            self._timers.fire_due()
        return True


def addresses_over(state: RedisState) -> Addresses:
    """The addresses of nodes, by the plans that are stored."""

    def plan(execution: str) -> Plan | None:
        return state.plan(execution)

    return Addresses(plan)
