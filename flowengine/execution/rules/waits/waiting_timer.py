"""The one timer that each waiting node has."""

from __future__ import annotations

from typing import TypeAlias

from flowengine.execution.messages import NextTry, WaitOver
from flowengine.execution.records import NodeRecord
from flowengine.execution.status import may

WaitingTimer: TypeAlias = NextTry | WaitOver


def waiting_timer(execution: str, node: str, record: NodeRecord) -> WaitingTimer:
    """The timer of a node that waits: for another try, or for what its record says."""
    run, dispatch = record.run, record.dispatch
    if record.waits is None:
        return NextTry(execution=execution, run=run, node=node, dispatch=dispatch)
    return WaitOver(execution=execution, run=run, node=node, dispatch=dispatch, waits=record.waits.kind)


def has_timer(record: NodeRecord) -> bool:
    """Whether a node waits for a time, and not for its turn."""
    return record.status == "waiting" and not record.in_line


def awaits_timer(record: NodeRecord, timer: WaitingTimer) -> bool:
    """Whether a node still waits for this timer."""
    if record.in_line or not may(record.status, "try_again"):
        return False
    return waiting_timer(timer.execution, timer.node, record) == timer
