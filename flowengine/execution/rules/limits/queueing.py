"""How an execution waits for its turn to run, begins when it has come, and leaves its line.

A queued one has begun its run in all but its status: what is to run is pending, and nothing decides about it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from flowengine.execution.changes import (
    Admit,
    ArmTimer,
    Begin,
    Change,
    EnterLine,
    Happened,
    LeaveLine,
    MarkStop,
    Send,
    Stand,
    Withdraw,
)
from flowengine.execution.events import Event
from flowengine.execution.limits.lines import InLine, Member
from flowengine.execution.messages import LineMoved, RunTimeout, StopExecution
from flowengine.execution.records import Control
from flowengine.execution.rules.children.keeping import keep_children
from flowengine.execution.rules.children.opening import tend_parent
from flowengine.execution.rules.dispatching import Run, start_of
from flowengine.execution.status import execution_after, is_over
from flowengine.workflow.plan import Plan


def line_up(run: Run, changes: Sequence[Change], place: InLine) -> list[Change]:
    """The beginning of a run that stands in line first, made of that of one that runs at once."""
    found: list[Change] = []
    for change in changes:
        match change:
            case Begin():
                found.append(replace(change, status=execution_after(change.was, "queue")))
            case MarkStop():
                # It begins as stopped, once its turn has come.
                found.append(replace(change, status="pending"))
            case ArmTimer() | Send():
                continue
            case _:
                found.append(change)
    if any(isinstance(change, Happened) for change in found):
        # The events of a first run begin with its first dispatch.
        found.append(Happened(Event("execution_queued", place.at)))
    entered = EnterLine(place.line, place.limit, str(Member(run.execution, run.run)))
    return [*found, Stand(place), entered, _moved(run, place)]


def waits_for_turn(control: Control, run: int, line: str) -> bool:
    """Whether an execution waits in this line for its turn to begin this run."""
    return control.status == "pending" and stands_in(control, run, line)


def stands_in(control: Control, run: int, line: str) -> bool:
    """Whether this run of an execution stands in the line, and runs or waits there."""
    if control.run != run or not run or is_over(control.status):
        return False
    return control.line is not None and control.line.line == line


def admit(plan: Plan, run: Run, control: Control, nodes: int, now: int) -> tuple[Change, ...]:
    """Its turn has come: the run begins. `nodes`: how many the execution has."""
    changes: list[Change] = [Admit(execution_after(control.status, "admit"), now, run.run)]
    if run.run > 1:
        changes.append(Happened(Event("execution_admitted", now)))
    if plan.overall.timeout_ms:
        timer = RunTimeout(execution=run.execution, run=run.run)
        changes.append(ArmTimer(timer, now + plan.overall.timeout_ms))
    changes.append(Send(start_of(run, plan, nodes)))
    if plan.lineage is not None:
        # What holds it may have been held while it waited: the node that it stands for is looked at.
        changes.append(tend_parent(plan.lineage, run.execution, run.run, run.correlation_id))
    # The beginning was made without what it sends: line_up.
    changes += keep_children(plan, run) if run.run > 1 else ()
    if control.stop is not None:
        stop = StopExecution(execution=run.execution, run=run.run, correlation_id=run.correlation_id)
        changes.append(Send(stop))
    return tuple(changes)


def leave_line(run: Run, control: Control) -> tuple[Change, ...]:
    """It ends, or is gone: its place is free, and the next one's turn may have come.

    Where it stood stays in its control: its next run stands there as well.
    """
    place = control.line
    if place is None or not stands_in(control, control.run, place.line):
        return ()
    member = str(Member(run.execution, control.run))
    return (LeaveLine(place.line, member), _moved(run, place))


def withdraw(plan: Plan, run: Run, control: Control, created_at: int) -> tuple[Change, ...]:
    """It says that it does not wait, and its turn has not come: it is as it was before its first trigger.

    Its first trigger has written what the conditions of nodes give and the keys of their limits, and nothing
    else of nodes.
    """
    decided = [at for at, policy in plan.policies.items() if policy.when is not None]
    written = tuple([plan.nodes[at].id for at in dict.fromkeys((*decided, *plan.keyed))])
    return (
        Withdraw(execution_after(control.status, "withdraw"), created_at, written),
        Stand(None),
        *leave_line(run, control),
    )


def note_cancelled(place: InLine) -> Change:
    """It has had another one cancelled, and has no other cancelled."""
    return Stand(replace(place, has_cancelled=True))


def _moved(run: Run, place: InLine) -> Send:
    return Send(
        LineMoved(line=place.line, execution=run.execution, run=run.run, correlation_id=run.correlation_id)
    )
