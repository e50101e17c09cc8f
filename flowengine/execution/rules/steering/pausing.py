"""How an execution is held, and goes on: its status, and what is looked at when it does.

While it is paused nothing is put in flight. What ends is written down, and what follows without a task is
decided. So a pending node that is ready stays pending, and the timer of a waiting one fires in vain.
"""

from __future__ import annotations

from flowengine.execution.changes import ArmTimer, Change, ChangeStatus, Happened, Send
from flowengine.execution.events import Event
from flowengine.execution.messages import ResumeExecution, TendChildren
from flowengine.execution.records import Control
from flowengine.execution.rules.children.opening import tend_open
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.maps.children import runs_as_children, tend_items
from flowengine.execution.rules.readiness import Records
from flowengine.execution.rules.waits.waiting_timer import has_timer, waiting_timer
from flowengine.execution.status import execution_after
from flowengine.workflow.plan import Plan


def pause(
    control: Control, run: Run, now: int, by: str | None = None, *, nests: bool = False
) -> tuple[Change, ...]:
    """Hold an execution that runs and is not being stopped; nothing, if it is held already. `by`: the id of
    the key of who asks for it. `nests`: it may have children, which are held as well."""
    if control.status == "paused":
        return ()
    message = TendChildren(execution=run.execution, run=run.run, correlation_id=run.correlation_id)
    return (
        ChangeStatus(execution_after(control.status, "pause"), now, control.run),
        Happened(Event("execution_paused", now, by=by)),
        *((Send(message),) if nests else ()),
    )


def resume(control: Control, run: Run, now: int, by: str | None = None) -> tuple[Change, ...]:
    """Let it go on; nothing, if it does already. The message lets an orchestrator look at all that is
    ready. `by`: the id of the key of who asks for it."""
    if control.status != "paused":
        return ()
    return (
        ChangeStatus(execution_after(control.status, "resume"), now, control.run),
        Happened(Event("execution_resumed", now, by=by)),
        Send(ResumeExecution(execution=run.execution, run=run.run, correlation_id=run.correlation_id)),
    )


def may_be_held(control: Control) -> bool:
    """Whether it runs or is held, and is neither being stopped nor to be deleted."""
    return control.status in ("running", "paused") and control.stop is None and not control.doomed


def children_again(run: Run, records: Records, names: list[str]) -> list[Change]:
    """What lets the children go on that the nodes stand for."""
    sends = [
        send for name in names for send in tend_open(run.execution, name, records(name), run.correlation_id)
    ]
    of_items = any(runs_as_children(records(name)) for name in names)
    return [*sends, tend_items(run)] if of_items else list(sends)


def timers_again(plan: Plan, execution: str, records: Records, names: list[str]) -> list[Change]:
    """The timers of the nodes that wait: those that were due meanwhile have fired in vain."""
    found = [(name, records(name)) for name in names]
    waiting = [(name, record) for name, record in found if has_timer(record)]
    return [ArmTimer(waiting_timer(execution, name, record), record.until or 0) for name, record in waiting]
