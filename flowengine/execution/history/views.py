"""What the API shows of what happened in an execution, and of what its nodes have said. Pure data."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec import UNSET, UnsetType

from flowengine.execution.events import WAITS_FOR, Event, EventKind, Overruled
from flowengine.execution.history.places import Place
from flowengine.execution.history.spoken import Field, Line, Lines, Source
from flowengine.execution.views.executions import Moment, moment


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `id` is its place: events of one execution follow one another by it.

    `node` and `attempt` are there where it happened to a node. `run`: which begins. `mode`: of a rerun.
    `by`: the key of who has asked for it, where somebody has and keys are in use. `code`: of the error.
    `reason`: why a node is skipped, why the execution is being stopped, or why an operator ends a node, if it
    was told. `explanation`: of a cancel, why, if its caller told. `stage`: which begins. `status`: how it
    ended. `said`: what an operator said of the node: it is skipped, completed or failed. `waits_for`: what a
    node waits for that is no other try. `signal`: the name of one that was received. `iteration`: which has
    ended. `child`: the execution that it runs as.
    """

    id: str
    at: Moment
    kind: EventKind
    node: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    run: int | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    explanation: str | UnsetType = UNSET
    stage: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    said: str | UnsetType = UNSET
    waits_for: str | UnsetType = UNSET
    signal: str | UnsetType = UNSET
    iteration: int | UnsetType = UNSET
    child: str | UnsetType = UNSET


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events in their order. `next_cursor` leads to the next page, null where none is left by now. `cut`:
    earlier ones have been dropped, because there were too many."""

    items: tuple[EventView, ...]
    next_cursor: str | None
    cut: bool | UnsetType = UNSET


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """One line that a node has logged or printed. `id` is its place.

    `level` and `fields` are there where it was logged. `delivery`: where its task came again, because a
    worker was lost.
    """

    id: str
    at: Moment
    node: str
    attempt: int
    source: Source
    message: str
    level: str | UnsetType = UNSET
    fields: dict[str, Field] | UnsetType = UNSET
    delivery: int | UnsetType = UNSET


class LinePage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines in the order in which they were written down. `next_cursor` leads to the next page, null where
    none is left by now. `cut`: others have been dropped, because there were too many."""

    items: tuple[LineView, ...]
    next_cursor: str | None
    cut: bool | UnsetType = UNSET


_overruled = msgspec.json.Decoder(Overruled).decode


def line_view(place: Place, lines: Lines, line: Line) -> LineView:
    """A line as the API shows it."""
    return LineView(
        id=str(place),
        at=moment(line.at),
        node=lines.node,
        attempt=lines.attempt,
        source=line.source,
        message=line.message,
        level=UNSET if line.level is None else line.level,
        fields=line.fields or UNSET,
        delivery=lines.delivery if lines.delivery > 1 else UNSET,
    )


def event_view(place: Place, event: Event) -> EventView:
    """An event as the API shows it."""
    run: int | UnsetType = UNSET
    code: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    stage: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    said: str | UnsetType = UNSET
    waits_for: str | UnsetType = UNSET
    signal: str | UnsetType = UNSET
    iteration: int | UnsetType = UNSET
    child: str | UnsetType = UNSET
    by: str | UnsetType = event.by or UNSET
    detail = event.detail
    match event.kind:
        case "execution_started":
            run = int(detail or 1)
        case "execution_rerun":
            how, _, asked = (detail or "").partition(" ")
            mode, by = how or UNSET, asked or UNSET
        case "node_waiting" if detail is not None and detail.startswith(WAITS_FOR):
            waits_for = detail.removeprefix(WAITS_FOR)
        case "node_iterated":
            iteration = int(detail or 0)
        case "node_failed" | "node_waiting":
            code = detail or UNSET
        case "node_skipped" | "execution_stopping":
            reason = detail or UNSET
        case "node_opened":
            child = detail or UNSET
        case "stage_started":
            stage = detail or UNSET
        case "signal_received":
            signal = detail or UNSET
        case "execution_finished":
            status = detail or UNSET
        case "node_overruled":
            overruled = _overruled(detail or "")
            said, by = overruled.said, overruled.by or UNSET
            reason = overruled.reason or UNSET
        case (
            "execution_queued"
            | "execution_admitted"
            | "execution_paused"
            | "execution_resumed"
            | "node_reset"
            | "node_queued"
            | "node_in_line"
            | "node_started"
            | "node_returned"
            | "node_completed"
            | "node_cancelled"
            | "callback_received"
        ):
            pass
        case _ as never:
            assert_never(never)
    return EventView(
        id=str(place),
        at=moment(event.at),
        kind=event.kind,
        node=UNSET if event.node is None else event.node,
        attempt=UNSET if event.node is None else event.attempt,
        run=run,
        mode=mode,
        by=by,
        code=code,
        reason=reason,
        explanation=event.explanation or UNSET,
        stage=stage,
        status=status,
        said=said,
        waits_for=waits_for,
        signal=signal,
        iteration=iteration,
        child=child,
    )
