"""What must happen to an execution: the vocabulary that the rules answer in. Pure data.

A list of changes belongs to one execution and is carried out in one transaction, in any order.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from flowengine.execution.events import Event
from flowengine.execution.records import ExecutionStatus, NodeRecord, RunNode


class Write(msgspec.Struct, frozen=True):
    """Store a node's record, and its result with it where there is one."""

    node: str
    record: NodeRecord
    result: msgspec.Raw | None = None


class Dispatch(msgspec.Struct, frozen=True):
    """Store a node's record (`queued`) and send its task to a worker queue."""

    record: NodeRecord
    task: RunNode
    queue: str


class CountDown(msgspec.Struct, frozen=True):
    """Take one off a node's counter of parents that have not completed."""

    node: str


class SetCounter(msgspec.Struct, frozen=True):
    """Overwrite a node's counter of parents that have not completed (only the sweep does so)."""

    node: str
    value: int


class Tally(msgspec.Struct, frozen=True):
    """Add to the execution's numbers: nodes unfinished, nodes failed, bytes of results."""

    unfinished: int = 0
    failed: int = 0
    bytes: int = 0


class ForgetStart(msgspec.Struct, frozen=True):
    """Remove what a worker wrote when it began this attempt, and its deadline timer."""

    node: str
    run: int
    attempt: int


class ArmTimer(msgspec.Struct, frozen=True):
    """Fire the attempt's deadline at `due`, milliseconds since the epoch."""

    node: str
    run: int
    attempt: int
    due: int


class Happened(msgspec.Struct, frozen=True):
    """Append to the event stream."""

    event: Event


class Finish(msgspec.Struct, frozen=True):
    """The execution has ended: write its status, move it in the indexes, let every key expire."""

    status: ExecutionStatus
    at: int


Change: TypeAlias = (
    Write | Dispatch | CountDown | SetCounter | Tally | ForgetStart | ArmTimer | Happened | Finish
)
