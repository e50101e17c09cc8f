"""The stages after the main nodes: which comes next, and how it begins (LANGUAGE sections 2, 3 and 5).

A stage begins in the transaction that finds the one before at its end. What raises the number of unfinished
nodes moves control, so that nobody ends an execution by a number of the stage before.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from flowengine.execution.changes import ArmTimer, Change, DropTimer, EnterStage, Happened
from flowengine.execution.error_codes import (
    CANCELLED,
    EXECUTION_TIMEOUT,
    ORIGIN_GONE,
    OUTPUT_FAILED,
    UPSTREAM_FAILED,
)
from flowengine.execution.events import Event
from flowengine.execution.messages import HooksTimeout, RunTimeout, StopOverdue
from flowengine.execution.records import (
    Closing,
    Control,
    ExecutionError,
    NodeError,
    NodeRecord,
    Stop,
)
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.readiness import Records
from flowengine.execution.rules.stopping import stopping
from flowengine.execution.status import ExecutionStatus, is_final
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import OUTPUTS_NODE, Stage, is_hook

_FINAL: Final = ("completed", "failed", "skipped", "cancelled")


class Outcome(msgspec.Struct, frozen=True):
    """How the main nodes have ended, as hooks read it: fields of `execution`. `status` is the verdict."""

    status: ExecutionStatus
    error: ExecutionError | None
    failed_nodes: tuple[str, ...]
    counts: dict[str, int]


def next_stage(plan: Plan, control: Control, verdict: ExecutionStatus) -> Stage | None:
    """The stage that follows the one whose nodes have all ended; None: the execution ends.

    While hooks run, a stop ends them all.
    """
    if is_hook(control.stage) and control.stop is not None:
        return None
    if control.stage == "main" and verdict == "completed" and _computes_outputs(plan, control.stop):
        return "outputs"
    if not is_hook(control.stage) and verdict == "failed" and plan.stages.on_failure:
        return "on_failure"
    return "finally" if control.stage != "finally" and plan.stages.finally_ else None


def enter(
    plan: Plan, run: Run, control: Control, stage: Stage, verdict: ExecutionStatus, now: int, records: Records
) -> tuple[Change, ...]:
    """Begin a stage. `records`: those of the nodes that have ended, asked for before the first hooks only.

    Nothing, if a main node has not ended though the numbers say so: the sweep corrects these.
    """
    before = control.closing
    begins_hooks = is_hook(stage) and not is_hook(control.stage)
    if begins_hooks and not all(is_final(records(name).status) for name in plan.names("main")):
        return ()
    ended_by = control.stop or (None if before is None else before.ended_by)
    closing = Closing(stage, verdict, now, ended_by)
    outcome = _outcome(plan, closing, records) if begins_hooks else None
    entered = EnterStage(
        closing,
        unfinished=len(plan.positions(stage)),
        counters=_counters(plan, stage),
        outcome=None if outcome is None else msgspec.json.encode(outcome),
        was_stopped=control.stop is not None,
        main_failed=0 if outcome is None else len(outcome.failed_nodes),
    )
    changes: list[Change] = [entered]
    if control.stop is not None:
        if not control.stop.told:
            changes.append(Happened(stopping(control.stop, now)))
        changes.append(DropTimer(StopOverdue(execution=run.execution, run=control.run)))
    changes.append(Happened(Event("stage_started", now, detail=stage)))
    if begins_hooks:
        if plan.overall.timeout_ms:
            changes.append(DropTimer(RunTimeout(execution=run.execution, run=control.run)))
        timer = HooksTimeout(execution=run.execution, run=control.run)
        changes.append(ArmTimer(timer, now + plan.stages.hooks_timeout_ms))
    return tuple(changes)


def error_of(
    plan: Plan, verdict: ExecutionStatus, ended_by: Stop | None, records: Records
) -> ExecutionError | None:
    """What an execution that has failed or was cancelled says of that; None of any other.

    `ended_by`: the stop that its main nodes were ended by. Of a failed one it is the error of the `end`, or
    of the first failed node in the document's order that has not inherited its failure, or that of its
    outputs.
    """
    if verdict == "cancelled" and ended_by is not None:
        return ExecutionError(CANCELLED.code, ended_by.reason or "a caller has cancelled it")
    if verdict != "failed":
        return None
    if ended_by is not None and ended_by.cause == "timeout":
        limit_s = plan.overall.timeout_ms / 1000
        return ExecutionError(
            EXECUTION_TIMEOUT.code, f"it took longer than its timeout_seconds ({limit_s:g} s)"
        )
    if ended_by is not None and ended_by.cause == "origin_gone":
        return ExecutionError(ORIGIN_GONE.code, ended_by.reason or ORIGIN_GONE.meaning)
    output = _own_error(records(OUTPUTS_NODE)) if plan.stages.outputs else None
    if output is not None:
        said = output.message.replace("/config/value", "/outputs")
        return ExecutionError(OUTPUT_FAILED.code, f"the outputs cannot be computed: {said}")
    names = plan.names("main") if ended_by is None or ended_by.node is None else [ended_by.node]
    own = [(name, error) for name in names if (error := _own_error(records(name))) is not None]
    if not own:
        return None
    name, error = min(own, key=lambda found: found[1].code == UPSTREAM_FAILED.code)
    return ExecutionError(error.code, error.message, name)


def ended_by_of(control: Control) -> Stop | None:
    """The stop that the main nodes were ended by, or are: a stop of hooks is none."""
    if control.closing is None:
        return control.stop
    if is_hook(control.stage):
        return control.closing.ended_by
    return control.stop or control.closing.ended_by


def source_of_outputs(plan: Plan, control: Control) -> str | None:
    """The node whose primary value an ended execution gives as its outputs: an `end` that has some, or the
    one that computes the document's; None where there is none."""
    ended_by = ended_by_of(control)
    end = ended_by.node if ended_by is not None and ended_by.cause == "end" else None
    if end is not None and plan.policy(plan.index[end]).gives_outputs:
        return end
    return OUTPUTS_NODE if control.status == "completed" and plan.stages.outputs else None


def _computes_outputs(plan: Plan, stop: Stop | None) -> bool:
    """Whether the document's outputs are to be computed: not if an `end` has given some."""
    if not plan.stages.outputs:
        return False
    return stop is None or stop.node is None or not plan.policy(plan.index[stop.node]).gives_outputs


def _counters(plan: Plan, stage: Stage) -> dict[str, int]:
    nodes = [plan.nodes[position] for position in plan.positions(stage)]
    return {node.id: len(node.parents) for node in nodes if node.is_join}


def _outcome(plan: Plan, closing: Closing, records: Records) -> Outcome:
    main = {name: records(name) for name in plan.names("main")}
    counted = Counter(record.status for record in main.values())
    return Outcome(
        closing.verdict,
        error_of(plan, closing.verdict, closing.ended_by, records),
        tuple([name for name, record in main.items() if _own_error(record) is not None]),
        {"total": len(main), **{status: counted[status] for status in _FINAL}},
    )


def _own_error(record: NodeRecord) -> NodeError | None:
    return record.error if record.status == "failed" and not record.tolerated else None
