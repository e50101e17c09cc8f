"""End a node on an operator's word: one transaction, with all that fails or is skipped with it.

What runs then is left to an orchestrator: a message in the same transaction tells it. Of an ended execution
it is another run, which begins with the node's end.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.access.acting import acting_key
from flowengine.engine.commands.rerun import Found, RerunAsked, rerun
from flowengine.engine.ports import CommandStore, DecidingUnit, Reading
from flowengine.errors import (
    ExecutionNotFoundError,
    NodeNotFoundError,
    ResultInvalidError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.events import Event
from flowengine.execution.records import COUNTED_RESULT_BYTES, UNTOUCHED, Control, ExecutionRecord
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.descent import Grounds
from flowengine.execution.rules.dispatching import SIZES, Run
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.starting import opening
from flowengine.execution.rules.steering.overruling import (
    STATUS_OF,
    Complete,
    Overruling,
    Skip,
    Word,
    meant_for_another,
    overrule,
    refusal,
)
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.status import is_over
from flowengine.execution.views.executions import OverruledView
from flowengine.execution.work import primary_of
from flowengine.heuristics import BELOW_AT_FIRST, BELOW_GROWS
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import OUTPUTS_NODE

TRIES: Final = 50


def overrule_node(store: CommandStore, execution: str, node: str, said: Overruling) -> OverruledView:
    """Let the node end as the operator says.

    Raises ExecutionNotFoundError, NodeNotFoundError, WrongStateError (it has ended, or is not to be ended
    so), ResultInvalidError, StoreUnavailableError; of an ended execution TooManyExecutionsError and
    StoreFullError as well.
    """
    plan, checked = store.plan(execution), None
    for _ in range(TRIES):
        record = store.read_execution(execution)
        if plan is None or record is None:
            raise ExecutionNotFoundError.of(execution)
        position = _position(plan, execution, node)
        checked = checked or _checked(plan, position, said)
        if is_over(record.status):
            return _run_again(store, plan, execution, position, checked)
        attempt = _Attempt(store, plan, execution, record, position, checked)
        view = attempt.carry_out()
        if view is not None:
            return view
    raise StoreUnavailableError(f"node '{node}' of execution '{execution}' keeps changing; try again")


def _position(plan: Plan, execution: str, node: str) -> int:
    position = plan.index.get(node)
    if position is None or node == OUTPUTS_NODE:
        raise NodeNotFoundError(f"execution '{execution}' has no node {node[:100]!r}")
    return position


def _run_again(
    store: CommandStore, plan: Plan, execution: str, position: int, said: Overruling
) -> OverruledView:
    """Begin another run of an ended execution with the node's end; what is below it begins again."""
    node = plan.nodes[position].id
    if position not in plan.main:
        raise WrongStateError(
            f"execution '{execution}' has ended, and '{node}' is a hook: hooks run again with every rerun, "
            "as the verdict says"
        )
    skips = isinstance(said.word, Skip)
    wanted = Wanted("from", skip=(node,)) if skips else Wanted("from", said=(node,))
    asked = RerunAsked(wanted, said={node: said})
    attempts: list[int] = []

    def check(found: Found) -> None:
        before = found.stored.get(node, UNTOUCHED)
        against = meant_for_another(execution, found.record.run, node, before, said)
        if against is not None:
            raise WrongStateError(against)
        _refuse_over(said.word, store, _kept_bytes(found))
        attempts.append(before.attempt)

    view = rerun(store, execution, asked, check)
    return OverruledView(
        execution_id=execution,
        node=node,
        status=STATUS_OF[type(said.word)],
        run=view.run,
        attempt=attempts[-1],
    )


def _kept_bytes(found: Found) -> int:
    """The bytes of results that stay, as far as they count."""
    stands = records_of(found.stored)
    return sum(stands(name).counted for name in found.reused)


def _refuse_over(word: Word, store: CommandStore, stored: int) -> None:
    """Raises ResultInvalidError where a result takes the execution's results over what may be stored."""
    most = store.max_execution_result_bytes
    size = len(word.result) if isinstance(word, Complete) else 0
    if size >= COUNTED_RESULT_BYTES and size > most - stored:
        raise ResultInvalidError(
            f"this result of {size} bytes would take the execution's results over {most} bytes "
            "(FLOWENGINE_MAX_EXECUTION_RESULT_BYTES)"
        )


def _checked(plan: Plan, position: int, said: Overruling) -> Overruling:
    """What is said, where the result is one that the node may have. Raises ResultInvalidError."""
    if not isinstance(said.word, Complete):
        return said
    result, policy = said.word.result, plan.policy(position)
    node = plan.nodes[position]
    if policy.ends:
        value = msgspec.json.decode(result)
        if value is not None and not isinstance(value, dict):
            raise ResultInvalidError(
                f"'{node.id}' is an `end`: its result is the execution's outputs, an object or null"
            )
        whole = msgspec.Raw(msgspec.json.encode({"result": result, "message": ""}))
        return msgspec.structs.replace(said, word=Complete(whole))
    if policy.output_schema is not None:
        # Imported where there is a schema: few nodes have one.
        from flowengine.engine.running.rendering.output_check import refuse_misfits
        from flowengine.plugin import HandlerError

        try:
            refuse_misfits(policy.output_schema.encode(), bytes(result), primary_of(node))
        except HandlerError as error:
            raise ResultInvalidError(f"'{node.id}' cannot have this result: {error.message}") from error
    return said


class _Attempt:
    """One unit: what it reads, and what it makes of that."""

    def __init__(
        self,
        store: CommandStore,
        plan: Plan,
        execution: str,
        record: ExecutionRecord,
        position: int,
        said: Overruling,
    ) -> None:
        self._store = store
        self._plan = plan
        self._execution = execution
        self._record = record
        self._position = position
        self._said = said
        self._name = plan.nodes[position].id
        # The first root tells whether the execution's start has been told of: it is dispatched with that.
        self._first = plan.nodes[plan.roots[0]].id
        watched = dict.fromkeys([self._name, self._first])
        parents = [plan.nodes[parent].id for parent in plan.nodes[position].parents]
        beside = tuple([(execution, name) for name in dict.fromkeys(parents) if name not in watched])
        nodes = tuple([(execution, name) for name in watched])
        self._reading = Reading(nodes, (execution,), (execution,), beside)
        self._read = {name for _, name in (*nodes, *beside)}

    def carry_out(self) -> OverruledView | None:
        """The node's new state; None where others changed it meanwhile.

        Raises ExecutionNotFoundError, WrongStateError, ResultInvalidError.
        """
        unit = self._store.begin_deciding(self._reading)
        try:
            control = unit.controls.get(self._execution)
            if control is None:
                raise ExecutionNotFoundError.of(self._execution)
            if is_over(control.status) or control.run != self._record.run:
                unit.abandon()
                return None
            before = unit.nodes.get((self._execution, self._name), UNTOUCHED)
            against = refusal(self._plan, self._execution, control, self._position, before, self._said)
            if against is not None:
                raise WrongStateError(against)
            _refuse_over(self._said.word, self._store, unit.counts[self._execution].bytes)
            decision = self._decide(unit, control)
        except BaseException:
            unit.abandon()
            raise
        if unit.commit({self._execution: decision.changes}) is None:
            return None
        return OverruledView(
            execution_id=self._execution,
            node=self._name,
            status=STATUS_OF[type(self._said.word)],
            run=control.run,
            attempt=before.attempt,
        )

    def _decide(self, unit: DecidingUnit, control: Control) -> Decision:
        """Decide, and read and WATCH more of what is below until the decision holds."""
        run = Run(self._execution, control.run, self._record.correlation_id)
        begins = self._opening(unit, control)
        most = BELOW_AT_FIRST
        while True:
            grounds = Grounds(
                self._plan,
                run,
                lambda name: unit.nodes.get((self._execution, name), UNTOUCHED),
                self._read,
                unit.now,
                SIZES,
                SIZES.transaction_bytes,
            )
            decision = overrule(self._position, control, grounds, self._said, acting_key(), begins)
            if not decision.unread:
                return decision
            fresh = decision.unread[:most]
            unit.extend([(self._execution, name) for name in fresh])
            self._read.update(fresh)
            most *= BELOW_GROWS

    def _opening(self, unit: DecidingUnit, control: Control) -> Event | None:
        """The execution's first event, if nothing has been dispatched or ended in it."""
        first = unit.nodes.get((self._execution, self._first), UNTOUCHED)
        none_ended = unit.counts[self._execution].unfinished == len(self._plan.main)
        begins = control.run == 1 and control.closing is None and none_ended and not first.dispatch
        return opening(self._record) if begins else None
