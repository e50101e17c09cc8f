"""What happened in an execution: the entries of its event stream. Pure.

Events fold to the stored state: `fold` rebuilds every node's status and numbers from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import astuple

from flowengine.execution.status import StoredNodeStatus

EventKind: TypeAlias = Literal[
    "execution_started",
    "execution_rerun",
    "node_reset",
    "node_queued",
    "node_opened",
    "node_started",
    "node_returned",
    "node_completed",
    "node_failed",
    "node_skipped",
    "node_waiting",
    "node_iterated",
    "node_in_line",
    "node_cancelled",
    "node_overruled",
    "signal_received",
    "callback_received",
    "execution_queued",
    "execution_admitted",
    "execution_paused",
    "execution_resumed",
    "execution_stopping",
    "stage_started",
    "execution_finished",
]


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One thing that happened. `at` in milliseconds since the epoch.

    `detail`: the run of an `execution_started`, the mode of an `execution_rerun` and after a space who has
    asked for it, the child of a `node_opened` that has one, the error's code of a `node_failed`, that of a
    `node_waiting` or WAITS_FOR and what it waits for, the reason of a `node_skipped`, an `Overruled` as JSON
    of a `node_overruled`, the cause of an `execution_stopping`, the name of a stage or of a signal, the
    status of an `execution_finished`, the number of the iteration that has ended of a `node_iterated`.
    `by`: the id of the key of who has asked for it, where that is a caller of the API, of all kinds but
    `execution_rerun` and `node_overruled`, whose `detail` has it. `explanation`: why, as that caller says.
    `node_started` is written by the worker that begins, and `node_returned` by one that gives its task back,
    beside any transaction: they may come late, even after the node's end, and a redelivered task has several.
    """

    kind: EventKind
    at: int
    node: str | None = None
    attempt: int = 0
    dispatch: int = 0
    detail: str | None = None
    by: str | None = None
    explanation: str | None = None


DECIDED: Final = "e"
BEGUN: Final = "s"
"""The field of a stream entry: what a transaction decided, or what a worker began or gave back."""

WAITS_FOR: Final = "for:"
"""What the detail of a `node_waiting` begins with where the node waits for no other try."""
BY_REPEAT: Final = f"{WAITS_FOR}repeat"
"""That of a node which repeats and has not begun its first iteration, or of which an iteration has ended
while its execution is paused, so that nobody has said yet what follows."""

KEPT_ENTRIES: Final = 50_000
"""So many entries of an event stream are kept at most, the newest."""
_PLACES: Final = 6
"""So many fields does an event that nobody has asked for have as it is stored."""
KEPT_BYTES: Final = 8 * 1024 * 1024
_EVENTS_AN_ENTRY: Final = 2
_EVENT_BYTES: Final = 62
"""What an event takes besides the name of its node: its kind, its time, numbers, a short code."""
_ENTRY_BYTES: Final = 24
"""What Redis takes for an entry besides its events."""


class Overruled(msgspec.Struct, frozen=True, omit_defaults=True):
    """The detail of a `node_overruled`, as JSON: what was said, the id of the key that said so, and why."""

    said: Literal["skip", "complete", "fail"]
    by: str | None = None
    reason: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Event])

_STATUS: Final[Mapping[EventKind, StoredNodeStatus]] = MappingProxyType(
    {
        "node_reset": "pending",
        "node_queued": "queued",
        "node_opened": "open",
        "node_completed": "completed",
        "node_failed": "failed",
        "node_skipped": "skipped",
        "node_waiting": "waiting",
        "node_iterated": "waiting",
        "node_in_line": "waiting",
        "node_cancelled": "cancelled",
    }
)


class Folded(NamedTuple):
    """Where a node stands by the events."""

    status: StoredNodeStatus
    attempt: int
    dispatch: int


def encode_events(events: Iterable[Event]) -> bytes:
    """The bytes of one stream entry's field. Events that nobody has asked for, nearly all, are stored without
    the two fields that tell who has."""
    return _encoder.encode(
        [
            astuple(event)[:_PLACES] if event.by is None and event.explanation is None else event
            for event in events
        ]
    )


def kept_entries(events: Iterable[Event]) -> int:
    """So many entries of a stream are kept when one with these events is added: those that take 8 MiB where
    each has two events of nodes with names as long as the longest here, and no more than 50,000.

    It asks Redis nothing. Most entries hold a node's end and its follower's dispatch, or a start; one holds
    more where nodes begin or end together, and then the stream has fewer.
    """
    longest = 0
    for event in events:
        if event.node is not None and len(event.node) > longest:
            longest = len(event.node)
    return min(KEPT_ENTRIES, KEPT_BYTES // (_EVENTS_AN_ENTRY * (_EVENT_BYTES + longest) + _ENTRY_BYTES))


def decode_events(data: bytes) -> list[Event]:
    """The events of one stream entry. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


def fold(events: Iterable[Event]) -> dict[str, Folded]:
    """Where each node stands after the events, in their order; nodes never touched are absent.

    A start is left out: `running` is derived from what workers note, and never stored.
    """
    state: dict[str, Folded] = {}
    for event in events:
        status = _STATUS.get(event.kind)
        if event.node is not None and status is not None:
            state[event.node] = Folded(status, event.attempt, event.dispatch)
    return state
