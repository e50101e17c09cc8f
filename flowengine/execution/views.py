"""What the API and the tool show of an execution: the shapes of SPEC's answers.

Pure data; times are RFC 3339 in UTC, or null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import msgspec

from flowengine.execution.records import ExecutionStatus, NodeError, NodeStatus

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware time; `date-time` in schemas."""


def timestamp(milliseconds: int | None) -> datetime | None:
    """Milliseconds since the epoch as an aware UTC datetime; None stays None."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


class CreatedView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a workflow that was accepted."""

    execution_id: str
    name: str
    status: ExecutionStatus
    created_at: Moment
    correlation_id: str


class TriggeredView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a trigger. `run` counts triggers: 1, 2, ..."""

    execution_id: str
    status: ExecutionStatus
    run: int


class CountsView(msgspec.Struct, frozen=True, kw_only=True):
    """How many nodes are in each status."""

    total: int
    pending: int
    queued: int
    running: int
    completed: int
    failed: int


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One node's state."""

    id: str
    handler: str
    status: NodeStatus
    attempt: int
    dependencies: tuple[str, ...]
    queued_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    error: NodeError | None


class ExecutionView(msgspec.Struct, frozen=True, kw_only=True):
    """An execution and all of its nodes, in the document's order."""

    execution_id: str
    name: str
    status: ExecutionStatus
    run: int
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    correlation_id: str
    counts: CountsView
    nodes: tuple[NodeView, ...]


class ResultsView(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs of the completed nodes (JSON as stored) and errors of the failed, by node id."""

    execution_id: str
    status: ExecutionStatus
    results: dict[str, msgspec.Raw]
    errors: dict[str, NodeError]


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is "ok", "degraded" (it works, but `checks` names what is missing) or "down".

    `checks` says, for each part, "ok" or what is wrong.

    `queues`: queue -> messages waiting and age in seconds of the oldest, where known.
    """

    status: Literal["ok", "degraded", "down"]
    checks: dict[str, str]
    queues: dict[str, QueueView] = {}


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """One queue. `oldest_age_s` is None when the queue is empty."""

    length: int
    oldest_age_s: float | None
    consumers: int
