"""What happened in an execution: the entries of its event stream. Pure.

Events fold to the stored state: `fold` rebuilds every node's status and attempt from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from flowengine.execution.records import StoredNodeStatus

EventKind: TypeAlias = Literal[
    "execution_started", "node_reset", "node_queued", "node_completed", "node_failed", "execution_finished"
]


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One thing that happened. `at` in milliseconds since the epoch.

    `detail`: the run of an `execution_started`, the error's code of a `node_failed`, the status of an
    `execution_finished`.
    """

    kind: EventKind
    at: int
    node: str | None = None
    attempt: int = 0
    detail: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Event])

_STATUS: dict[EventKind, StoredNodeStatus] = {
    "node_reset": "pending",
    "node_queued": "queued",
    "node_completed": "completed",
    "node_failed": "failed",
}


def encode_events(events: Iterable[Event]) -> bytes:
    """The bytes of field `e` of one stream entry."""
    return _encoder.encode(list(events))


def decode_events(data: bytes) -> list[Event]:
    """The events of one stream entry. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


def fold(events: Iterable[Event]) -> dict[str, tuple[StoredNodeStatus, int]]:
    """Node -> (status, attempt) after the events, in their order; nodes never touched are absent."""
    state: dict[str, tuple[StoredNodeStatus, int]] = {}
    for event in events:
        if event.node is not None:
            state[event.node] = (_STATUS[event.kind], event.attempt)
    return state
