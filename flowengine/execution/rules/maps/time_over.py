"""The time of an open map (`max_seconds`): its timer, and what becomes of its items when that fires.

Items that are tasks are cut by their workers, and no worker begins one after it. So of those whose start
nobody has noted a while later, none runs any more, nor ever will. Items that run as children are stopped: a
mark in the map's record tells those who make and begin children, who all WATCH it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec.structs import replace

from flowengine.execution.changes import ArmTimer, Change, DropTimer, Send, Write
from flowengine.execution.messages import MapOver, TendChildren
from flowengine.execution.records import Control, NodeRecord
from flowengine.execution.status import is_final, is_open

NOTED_MS: Final = 1000
"""So long after the time is over, the reports of those that it has cut have been sent."""
ENDED_MS: Final = 2000
"""So long after it, the start is noted of whatever still runs."""
SEEN_AGAIN_MS: Final = 5000
"""While items still run, or reports may wait, it is looked at again after this time."""

Over: TypeAlias = Literal["nothing", "ended", "early", "stop", "end"]
"""`ended`: the map has, perhaps by this. `early`: its time is not over. `stop`: its children are. `end`: it
ends, if none of its items runs."""


def time_due(record: NodeRecord) -> int:
    """When the timer of an open map fires; 0: it has no time."""
    said = record.map
    if said is None or not said.until:
        return 0
    return said.until if said.children is not None else said.until + ENDED_MS


def time_of_map(execution: str, node: str, record: NodeRecord) -> MapOver:
    """The timer of a map."""
    return MapOver(execution=execution, run=record.run, node=node, dispatch=record.dispatch)


def arm_time(execution: str, node: str, opened: NodeRecord) -> tuple[Change, ...]:
    """Arm the timer of a map that is open from now on, if it has a time."""
    due = time_due(opened)
    return (ArmTimer(time_of_map(execution, node, opened), due),) if due else ()


def drop_time(execution: str, node: str, before: NodeRecord) -> tuple[Change, ...]:
    """It goes with the end of the map that was open in `before`."""
    if not is_open(before.status) or not time_due(before):
        return ()
    return (DropTimer(time_of_map(execution, node, before)),)


def over(record: NodeRecord, control: Control | None, timer: MapOver, now: int) -> Over:
    """What is to be done when the timer of a map fires."""
    if control is None or record.dispatch != timer.dispatch or record.map is None:
        return "nothing"
    if is_final(record.status):
        return "ended"
    due = time_due(record)
    if not is_open(record.status) or not due or control.stop is not None:
        return "nothing"
    if now < due:
        return "early"
    return "end" if record.map.children is None else "stop"


def stop_children(
    execution: str, node: str, record: NodeRecord, correlation_id: str, run: int
) -> tuple[Change, ...]:
    """Mark an open map whose time is over, and have its children looked after."""
    said = record.map
    assert said is not None, "it is open"
    message = TendChildren(execution=execution, run=run, correlation_id=correlation_id)
    marked = () if said.over else (Write(node, replace(record, map=replace(said, over=True))),)
    return (*marked, Send(message))
