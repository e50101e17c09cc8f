"""The event stream: its entries survive the way to bytes, and fold to what is stored."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.events import Event, decode_events, encode_events, fold


def test_events_survive_the_way_to_bytes() -> None:
    """Every field, and their order."""
    events = [Event("node_failed", 5, "a", 2, "boom"), Event("execution_finished", 6, detail="failed")]
    assert decode_events(encode_events(events)) == events


def test_what_is_no_event_is_refused() -> None:
    """A kind that nobody knows is an error, not a guess."""
    with pytest.raises(msgspec.DecodeError):
        decode_events(b'[["node_vanished",1]]')


def test_events_fold_to_each_nodes_last_state() -> None:
    """The last event of a node tells its status and attempt; the execution's own events tell nothing."""
    events = [
        Event("execution_started", 1, detail="1"),
        Event("node_queued", 1, "a", 1),
        Event("node_queued", 1, "b", 1),
        Event("node_failed", 2, "a", 1, "boom"),
        Event("node_failed", 2, "c", 0, "upstream_failed"),
        Event("node_completed", 3, "b", 1),
        Event("execution_finished", 3, detail="failed"),
        Event("execution_started", 4, detail="2"),
        Event("node_reset", 4, "a", 1),
        Event("node_reset", 4, "c", 0),
        Event("node_queued", 5, "a", 2),
    ]
    assert fold(events) == {"a": ("queued", 2), "b": ("completed", 1), "c": ("pending", 0)}


def test_nothing_folds_to_nothing() -> None:
    """A node without events is absent: pending, never attempted."""
    assert fold([]) == {}
