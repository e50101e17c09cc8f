"""Executions as the API and the tool see them: create, trigger, look at.

`trigger` is one transaction that does the whole reset, so that of two at once exactly one applies.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from flowengine.errors import ExecutionNotFoundError, FlowEngineError, StoreUnavailableError, WrongStateError
from flowengine.execution.changes import Happened, Write
from flowengine.execution.events import encode_events
from flowengine.execution.records import NodeRecord, StartExecution
from flowengine.execution.rules import Reset, begins_events_anew, first_run, records_of, retry_failed
from flowengine.execution.views import (
    CreatedView,
    ExecutionView,
    HealthView,
    ResultsView,
    TriggeredView,
    timestamp,
)
from flowengine.store import keys, meta
from flowengine.store import view_reads as reading
from flowengine.store.admission import Admission
from flowengine.store.codec import encode_record
from flowengine.store.connection.sessions import Commands
from flowengine.store.state import META_LEAD_S, RedisState
from flowengine.workflow.plan import Plan, encode_plan

_ID = re.compile(r"[0-9a-f]{8,64}\Z")
TRIGGER_TRIES = 50


class RedisExecutions:
    """Implements `flowengine.api.ports.Executions`. `health` is passed in: it looks at queues too."""

    def __init__(self, state: RedisState, health: Callable[[], HealthView]) -> None:
        self._state = state
        self._health = health
        self._admission = Admission(state)

    def create(self, plan: Plan, *, correlation_id: str) -> CreatedView:
        """Store a new pending execution, which expires by itself if it is never triggered."""
        self._admission.check()
        now = self._state.clock.now()
        execution = f"{now:011x}{secrets.token_hex(8)}"
        gone = now // 1000 + self._state.settings.retention_s
        key = keys.meta(execution)
        values = {
            "status": "pending",
            "run": 0,
            "total": len(plan.nodes),
            "created_at": now,
            "correlation_id": correlation_id,
            "name": plan.name,
        }
        fields = [part for pair in values.items() for part in pair]
        encoded = encode_plan(plan)
        self._state.sessions.here().write(
            [
                ("SET", keys.plan(execution), encoded, "EXAT", gone + META_LEAD_S),
                ("HSET", key, *fields),
                ("EXPIREAT", key, gone),
                ("ZADD", keys.index("pending"), now, execution),
            ]
        )
        self._state.plans.put(execution, encoded, plan)
        created = timestamp(now)
        assert created is not None
        return CreatedView(
            execution_id=execution,
            name=plan.name,
            status="pending",
            created_at=created,
            correlation_id=correlation_id,
        )

    def trigger(self, execution_id: str, *, correlation_id: str) -> TriggeredView:
        """Start a pending execution, or run again what failed in a failed one."""
        execution = self._known(execution_id)
        token = secrets.token_hex(8)
        for _ in range(TRIGGER_TRIES):
            try:
                run = self._try_trigger(execution, token)
            except StoreUnavailableError:
                run = self._applied(execution, token)
                if run is None:
                    raise
            if run is not None:
                return TriggeredView(execution_id=execution, status="running", run=run)
        raise StoreUnavailableError(f"execution '{execution}' keeps changing; try again")

    def status(self, execution_id: str) -> ExecutionView:
        """The state of the execution and of all its nodes."""
        execution = self._known(execution_id)
        record, plan = self._record_and_plan(execution)
        return reading.execution_view(self._state, execution, record, plan)

    def results(self, execution_id: str) -> ResultsView:
        """Outputs of the completed nodes, errors of the failed."""
        execution = self._known(execution_id)
        record, plan = self._record_and_plan(execution)
        return reading.results_view(self._state, execution, record, plan)

    def health(self) -> HealthView:
        """Whether Redis answers and accepts writes, and how the queues are."""
        return self._health()

    def _known(self, execution_id: str) -> str:
        if not _ID.match(execution_id):
            raise _not_found(execution_id)
        return execution_id

    def _record_and_plan(self, execution: str) -> tuple[meta.Meta, Plan]:
        record = self._state.read_meta(execution)
        plan = None if record is None else self._state.plan(execution)
        if record is None or plan is None:
            raise _not_found(execution)
        return record, plan

    def _applied(self, execution: str, token: str) -> int | None:
        record = self._state.read_meta(execution)
        return record.run if record is not None and record.token == token else None

    def _try_trigger(self, execution: str, token: str) -> int | None:
        """The new run, or None when someone else changed the execution meanwhile."""
        plan = self._state.plan(execution)
        unit = self._state.begin((), (execution,), self._admission.questions())
        record = unit.metas[execution]
        if record is None or plan is None:
            unit.abandon()
            raise _not_found(execution)
        if record.status not in ("pending", "failed"):
            unit.abandon()
            raise WrongStateError(
                f"execution '{execution}' is {record.status}; only a pending or failed one can be triggered"
            )
        try:
            self._admission.decide(unit.also, starting=True)
        except FlowEngineError:
            unit.abandon()
            raise
        run = record.run + 1
        if record.status == "pending":
            touched: dict[str, NodeRecord] = {}
            reset = first_run(plan)
        else:
            touched = self._state.read_nodes(execution, [node.id for node in plan.nodes])
            reset = retry_failed(plan, records_of(touched), run, unit.now)
        commands = self._start_commands(execution, record, run, token, reset, unit.now)
        commands += [("PERSIST", keys.node(execution, name)) for name in touched]
        return run if unit.transact(commands) is not None else None

    def _start_commands(
        self, execution: str, record: meta.Meta, run: int, token: str, reset: Reset, now: int
    ) -> Commands:
        key = keys.meta(execution)
        fields = {
            "status": "running",
            "run": run,
            "unfinished": reset.unfinished,
            "failed": 0,
            "started_at": now,
            "finished_at": 0,
            "token": token,
        }
        commands = Commands(
            [
                ("HSET", key, *(part for pair in fields.items() for part in pair)),
                ("ZREM", keys.index(record.status), execution),
                ("ZADD", keys.index("running"), now, execution),
                ("DEL", keys.deps(execution), keys.started(execution)),
            ]
        )
        for change in reset.changes:
            if isinstance(change, Write):
                name = keys.node(execution, change.node)
                commands.append(("HSET", name, keys.STATE, encode_record(change.record)))
        if reset.counters:
            counted = [part for pair in reset.counters.items() for part in pair]
            commands.append(("HSET", keys.deps(execution), *counted))
        if begins_events_anew(run):
            commands.append(("DEL", keys.events(execution)))
        happened = [change.event for change in reset.changes if isinstance(change, Happened)]
        if happened:
            commands.append(("XADD", keys.events(execution), "*", "e", encode_events(happened)))
        commands += [("PERSIST", name) for name in (key, keys.plan(execution), keys.events(execution))]
        start = StartExecution(
            execution=execution, run=run, correlation_id=record.correlation_id, nodes=record.total
        )
        self._state.send_to_orchestrator(commands, "start_execution", start)
        return commands


def _not_found(execution_id: str) -> ExecutionNotFoundError:
    shown = execution_id if len(execution_id) <= 64 else f"{execution_id[:64]}..."
    return ExecutionNotFoundError(f"no execution has the id {shown!r}; it never existed, or it has expired")
