"""One action on many executions: what was asked, how far it is, and why executions are left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, assert_never

import msgspec

from flowengine.execution.records import ExecutionRecord
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.rules.steering.deleting import may_be_deleted
from flowengine.execution.rules.steering.pausing import may_be_held
from flowengine.execution.status import execution_may, is_over
from flowengine.execution.views.executions import Moment, moment, moment_or_none

BulkAction: TypeAlias = Literal["cancel", "pause", "resume", "rerun", "delete"]
BulkMode: TypeAlias = Literal["failed", "all"]
"""What a rerun begins again: what has failed or was stopped, or everything."""
BulkStopped: TypeAlias = Literal["key_not_valid"]
"""Why one finished before its end: the key of who asked was revoked, or has expired."""
MAX_IDS: Final = 1000

NOT_FOUND: Final = "not_found"
STOPPING: Final = "stopping"
FAILED: Final = "error"
"""Why an execution is left out, where its status does not say it: there is none, it is being stopped, it
could not be dealt with."""


class Bulk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked: of the executions of these ids, or of those that are wanted.

    `dry_run`: nothing is done, and counted what would be. `reason`: of a cancel. `mode`: of a rerun. `force`:
    a delete cancels first. `by`: the id of the key of who asked; `key_made_at`: when that was made, if Redis
    holds it: then the bulk ends with it. `allowed`: the patterns of the definitions that this key is for,
    none: all. `created_at` and `key_made_at` in milliseconds since the epoch.
    """

    action: BulkAction
    created_at: int
    correlation_id: str
    ids: tuple[str, ...] = ()
    wanted: Wanted | None = None
    dry_run: bool = False
    reason: str | None = None
    force: bool = False
    mode: BulkMode = "failed"
    by: str | None = None
    key_made_at: int | None = None
    allowed: tuple[str, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """How far it is. `step`: the number of the message that goes on with it. `reached`: the last execution
    that was looked at, or of ids how many were. `reset`, `reused`: of reruns, how many nodes begin again, and
    how many results stay. `stopped`: why it finished before its end."""

    step: int
    reached: str
    seen: int = 0
    done: int = 0
    refused: Mapping[str, int] = {}
    finished_at: int = 0
    reset: int = 0
    reused: int = 0
    stopped: BulkStopped | None = None


class BulkView(msgspec.Struct, frozen=True, kw_only=True):
    """One action on many executions. `seen`: how many were looked at that it is about. `done`: to how many it
    was done; of a dry run, to how many it would be. `refused`: to how many not, by the status that they have,
    or `not_found`, `stopping`, `too_many_executions`, `concurrency_limit`, `store_full`, `error`.
    `nodes_reset`, `results_reused`: of reruns only, how many nodes begin again, and how many results stay.
    `stopped`: it has finished before its end, because the key of who asked was revoked or has expired."""

    bulk_id: str
    action: BulkAction
    dry_run: bool
    status: Literal["running", "finished"]
    seen: int
    done: int
    refused: dict[str, int]
    created_at: Moment
    finished_at: Moment | None
    nodes_reset: int | msgspec.UnsetType = msgspec.UNSET
    results_reused: int | msgspec.UnsetType = msgspec.UNSET
    stopped: BulkStopped | msgspec.UnsetType = msgspec.UNSET


def bulk_view(bulk_id: str, bulk: Bulk, progress: Progress) -> BulkView:
    """What callers see of it."""
    return BulkView(
        bulk_id=bulk_id,
        action=bulk.action,
        dry_run=bulk.dry_run,
        status="finished" if progress.finished_at else "running",
        seen=progress.seen,
        done=progress.done,
        refused=dict(progress.refused),
        created_at=moment(bulk.created_at),
        finished_at=moment_or_none(progress.finished_at),
        nodes_reset=progress.reset if bulk.action == "rerun" else msgspec.UNSET,
        results_reused=progress.reused if bulk.action == "rerun" else msgspec.UNSET,
        stopped=progress.stopped or msgspec.UNSET,
    )


def refusal(bulk: Bulk, record: ExecutionRecord | None) -> str | None:
    """Why nothing would be done to an execution; None: it would be."""
    if record is None:
        return NOT_FOUND
    return None if _may_be_done(bulk, record) else state_of(record)


def _may_be_done(bulk: Bulk, record: ExecutionRecord) -> bool:
    match bulk.action:
        case "cancel":
            return not is_over(record.status)
        case "pause" | "resume":
            return may_be_held(record.control)
        case "rerun":
            return execution_may(record.status, "rerun") and record.run > 0 and not record.doomed
        case "delete":
            return may_be_deleted(record.status) or bulk.force or record.doomed
        case _ as never:
            assert_never(never)


def state_of(record: ExecutionRecord | None) -> str:
    """The word for why something was not done."""
    if record is None:
        return NOT_FOUND
    return STOPPING if record.stop is not None and record.status in ("running", "paused") else record.status
