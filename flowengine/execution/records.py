"""Executions and nodes: their statuses, records, and the callbacks that move them.

Pure data. Times are milliseconds since the epoch on Redis's clock.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flowengine.plugin.errors import AttemptError

ExecutionStatus: TypeAlias = Literal["pending", "running", "completed", "failed"]
StoredNodeStatus: TypeAlias = Literal["pending", "queued", "completed", "failed"]
NodeStatus: TypeAlias = Literal["pending", "queued", "running", "completed", "failed"]


class NodeError(msgspec.Struct, frozen=True):
    """Why a node failed.

    `caused_by` names the upstream node whose failure this one inherits. `attempts` counts the tries
    at the work itself (an HTTP handler's calls); `errors` lists the ones that did not succeed.
    """

    code: str
    message: str
    caused_by: str | None = None
    attempts: int = 1
    errors: tuple[AttemptError, ...] = ()


class NodeRecord(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={
        "status": "s",
        "attempt": "a",
        "queued_at": "q",
        "started_at": "b",
        "finished_at": "f",
        "delivery": "d",
        "error": "e",
        "run": "r",
    },
):
    """What `fe:x:ID:node:NODE` holds in its field `state`. `attempt` never decreases.

    `delivery` is the delivery whose outcome was accepted. `run` is the trigger that made the node
    pending, so that whoever dispatches it, however late, does so in the run it belongs to. `running`
    is never stored: it is derived from what workers write when they start.
    """

    status: StoredNodeStatus = "pending"
    attempt: int = 0
    queued_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    delivery: int = 0
    error: NodeError | None = None
    run: int = 1


UNTOUCHED = NodeRecord()


class Completed(msgspec.Struct, frozen=True, tag="completed", tag_field="outcome"):
    """The handler returned; `result` is its output as JSON."""

    result: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, tag="failed", tag_field="outcome"):
    """The node failed."""

    error: NodeError


Outcome: TypeAlias = Completed | Failed


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker reports of one delivery of one attempt (the payload of `node_finished`).

    Delivery 0 is a deadline timer's report: no worker's.
    """

    execution: str
    run: int
    node: str
    attempt: int
    delivery: int
    started_at: int | None
    finished_at: int
    outcome: Outcome
    correlation_id: str


class Read(msgspec.Struct, frozen=True, array_like=True):
    """An upstream node whose output a node reads, and the field that `X.result` means there."""

    node: str
    primary: str | None = None


class RunNode(msgspec.Struct, frozen=True, kw_only=True):
    """The task of running one node (the payload of `run_node`)."""

    execution: str
    run: int
    node: str
    attempt: int
    handler: str
    config: msgspec.Raw
    reads: tuple[Read, ...]
    timeout_ms: int
    correlation_id: str


class StartExecution(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of `start_execution`. `nodes` is how many it has, where that is known."""

    execution: str
    run: int
    correlation_id: str
    nodes: int | None = None


class TimerFired(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of `timer_fired`: a node's deadline has passed, by the timer's account."""

    execution: str
    run: int
    node: str
    attempt: int
