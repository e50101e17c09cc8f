"""What is kept of the runs of an execution: how each has ended, and why it began. Pure.

The summary of a run is written when the next one begins: all records are read then. That of the last run is
what the execution says of itself.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.execution.records import ExecutionError
from flowengine.execution.status import ExecutionStatus
from flowengine.execution.views.executions import CountsView, ExecutionView, Moment, moment, moment_or_none

KEPT_RUNS: Final = 50
"""So many runs are told of, the newest."""
MAX_MESSAGE_CHARS: Final = 500

BeganBy: TypeAlias = Literal["trigger", "rerun"]


class Why(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a run began: a trigger, or a rerun in this mode. `by`: the key of who asked for it."""

    kind: BeganBy = "trigger"
    mode: str | None = None
    by: str | None = None


BY_TRIGGER: Final = Why()


class EndedRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run has ended. Times in milliseconds since the epoch."""

    run: int
    status: ExecutionStatus
    started_at: int
    finished_at: int
    counts: CountsView
    error: ExecutionError | None = None


class WhyView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run began. `mode`: of a rerun. `by`: the key of who asked for it, where keys are in use."""

    kind: BeganBy
    mode: str | None
    by: str | None


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an execution. `counts`: of its main nodes, in each status. `error`: why it has failed, or
    was cancelled."""

    run: int
    status: ExecutionStatus
    started_at: Moment | None
    finished_at: Moment | None
    counts: CountsView
    error: ExecutionError | None
    why: WhyView


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, the newest first. `next_cursor` leads to the next page; null: there are no more."""

    items: tuple[RunView, ...]
    next_cursor: str | None


def view_of_ended(ended: EndedRun, why: Why) -> RunView:
    """What is shown of a run that others have followed."""
    return RunView(
        run=ended.run,
        status=ended.status,
        started_at=moment(ended.started_at),
        finished_at=moment_or_none(ended.finished_at),
        counts=ended.counts,
        error=ended.error,
        why=_why(why),
    )


def view_of_last(execution: ExecutionView, why: Why) -> RunView:
    """What is shown of the last run."""
    return RunView(
        run=execution.run,
        status=execution.status,
        started_at=execution.started_at,
        finished_at=execution.finished_at,
        counts=execution.counts,
        error=None if isinstance(execution.error, msgspec.UnsetType) else execution.error,
        why=_why(why),
    )


def _why(why: Why) -> WhyView:
    return WhyView(kind=why.kind, mode=why.mode, by=why.by)


_ended_decoder: Final = msgspec.json.Decoder(EndedRun)
_why_decoder: Final = msgspec.json.Decoder(Why)


def decode_ended(data: bytes) -> EndedRun:
    """What is stored of a run that has ended."""
    return _ended_decoder.decode(data)


def decode_why(data: bytes) -> Why:
    """What is stored of why a run began."""
    return _why_decoder.decode(data)
