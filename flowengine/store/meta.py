"""The execution's own record: the fields of `fe:x:ID:meta`, read and written in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from flowengine.execution.records import ExecutionStatus

FIELDS: Final = (
    "status",
    "run",
    "total",
    "unfinished",
    "failed",
    "bytes",
    "created_at",
    "started_at",
    "finished_at",
    "correlation_id",
    "name",
    "token",
)


class Meta(msgspec.Struct, frozen=True):
    """An execution. Times are milliseconds since the epoch, 0 where unknown.

    `token` names the trigger that was applied last, so that a caller whose connection failed can
    tell its own from another's.
    """

    status: ExecutionStatus
    run: int
    total: int
    unfinished: int
    failed: int
    bytes: int
    created_at: int
    started_at: int
    finished_at: int
    correlation_id: str
    name: str
    token: str


def parse(values: Sequence[bytes | None]) -> Meta | None:
    """The record of an HMGET of FIELDS, or None when there is no such execution."""
    if values[0] is None:
        return None
    status = cast(ExecutionStatus, values[0].decode())
    run, total, unfinished, failed, size, created, started, finished = (int(v or 0) for v in values[1:9])
    correlation, name, token = ((value or b"").decode() for value in values[9:])
    return Meta(
        status, run, total, unfinished, failed, size, created, started, finished, correlation, name, token
    )
