"""What is stored of an execution and of its nodes. Pure data.

Times are milliseconds since the epoch on Redis's clock.
"""

from __future__ import annotations

import msgspec

from flowengine.execution.status import ExecutionStatus, StoredNodeStatus
from flowengine.plugin.errors import AttemptError, ModelCall


class NodeError(msgspec.Struct, frozen=True):
    """Why a node failed.

    `caused_by` names the upstream node whose failure this one inherits. `attempts` counts the tries
    at the work itself (an HTTP handler's calls); `errors` lists the ones that did not succeed. `calls`
    lists those of a language model, with what each of them took; other nodes have none.
    """

    code: str
    message: str
    caused_by: str | None = None
    attempts: int = 1
    errors: tuple[AttemptError, ...] = ()
    calls: tuple[ModelCall, ...] | msgspec.UnsetType = msgspec.UNSET


class NodeRecord(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={
        "status": "s",
        "attempt": "a",
        "dispatch": "n",
        "queued_at": "q",
        "started_at": "b",
        "finished_at": "f",
        "delivery": "d",
        "error": "e",
        "run": "r",
    },
):
    """One node: the field `state` of its key.

    `dispatch` goes up by one each time that the node's task is sent, and never down: messages, timers
    and starts name it, so that what belongs to an earlier one is recognised. `attempt` is what people
    see: it goes up once a try. `delivery` is the delivery whose outcome was accepted. `run` is the
    trigger that made the node pending: a dispatch, however late, is part of that run.
    """

    status: StoredNodeStatus = "pending"
    attempt: int = 0
    dispatch: int = 0
    queued_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    delivery: int = 0
    error: NodeError | None = None
    run: int = 1


UNTOUCHED = NodeRecord()


class Control(msgspec.Struct, frozen=True):
    """What may forbid a step. Nothing in it moves when a node ends, so every decision can WATCH it."""

    status: ExecutionStatus
    run: int


class Counts(msgspec.Struct, frozen=True):
    """An execution's numbers: nodes that have not ended, nodes that have failed, bytes of results.

    They move whenever a node ends. Nobody WATCHes them.
    """

    unfinished: int = 0
    failed: int = 0
    bytes: int = 0


class ExecutionRecord(msgspec.Struct, frozen=True):
    """All that is stored of an execution itself. Times are 0 where unknown.

    `token` names the trigger that was applied last, so that a caller whose connection failed can
    tell its own from another's.
    """

    status: ExecutionStatus
    run: int
    total: int
    created_at: int
    started_at: int
    finished_at: int
    correlation_id: str
    name: str
    token: str

    @property
    def control(self) -> Control:
        """The part that decisions go by."""
        return Control(self.status, self.run)
