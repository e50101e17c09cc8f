"""What a schedule is told of the end of an execution that it has started."""

from __future__ import annotations

from flowengine.execution.changes import Send
from flowengine.execution.messages import ScheduleDue
from flowengine.execution.records import Control


def tell_schedule(name: str, control: Control) -> tuple[Send, ...]:
    """Let the schedule of this definition look whether something waits for this end."""
    if control.schedule is None:
        return ()
    return (Send(ScheduleDue(name=name, schedule=control.schedule)),)
