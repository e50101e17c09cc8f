"""The event stream: its entries survive the way to bytes, and fold to what is stored."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from flowengine.execution.events import Event, EventKind, decode_events, encode_events, fold


def test_events_survive_the_way_to_bytes() -> None:
    """Every field, and their order."""
    events = [Event("node_failed", 5, "a", 2, 3, "boom"), Event("execution_finished", 6, detail="failed")]
    assert decode_events(encode_events(events)) == events


def test_events_that_somebody_has_asked_for_take_bytes_for_that_alone() -> None:
    """The version before reads both: it takes the first six places of an event, and stores no more."""
    asked = Event("execution_stopping", 5, detail="cancel", by="ops", explanation="stuck")
    told = [Event("node_queued", 4, "a", 1, 1), asked]
    stored = encode_events(told)
    assert msgspec.json.decode(stored) == [
        ["node_queued", 4, "a", 1, 1, None],
        ["execution_stopping", 5, None, 0, 0, "cancel", "ops", "stuck"],
    ]
    assert decode_events(stored) == told


def test_what_is_no_event_is_refused() -> None:
    """A kind that nobody knows is an error, not a guess."""
    with pytest.raises(msgspec.DecodeError):
        decode_events(b'[["node_vanished",1]]')


def test_events_fold_to_each_nodes_last_state() -> None:
    """The last event of a node tells its status and numbers; the execution's own events tell nothing."""
    events = [
        Event("execution_started", 1, detail="1"),
        Event("node_queued", 1, "a", 1, 1),
        Event("node_queued", 1, "b", 1, 1),
        Event("node_failed", 2, "a", 1, 1, "boom"),
        Event("node_failed", 2, "c", 0, 0, "upstream_failed"),
        Event("node_completed", 3, "b", 1, 1),
        Event("execution_finished", 3, detail="failed"),
        Event("execution_started", 4, detail="2"),
        Event("node_reset", 4, "a", 1, 1),
        Event("node_reset", 4, "c", 0, 0),
        Event("node_queued", 5, "a", 2, 2),
        Event("node_queued", 6, "a", 2, 3),
    ]
    assert fold(events) == {"a": ("queued", 2, 3), "b": ("completed", 1, 1), "c": ("pending", 0, 0)}


def test_a_node_that_is_skipped_or_waits_for_a_try_folds_to_that() -> None:
    """What was skipped has no dispatch; one that waits goes on with its next."""
    events = [
        Event("node_queued", 1, "a", 1, 1),
        Event("node_waiting", 2, "a", 1, 1, "timeout"),
        Event("node_skipped", 2, "b", 0, 0, "upstream_skipped"),
    ]
    assert fold(events) == {"a": ("waiting", 1, 1), "b": ("skipped", 0, 0)}
    again = [*events, Event("node_queued", 3, "a", 2, 2), Event("node_skipped", 4, "a", 2, 2, "when")]
    assert fold(again) == {"a": ("skipped", 2, 2), "b": ("skipped", 0, 0)}


@pytest.mark.parametrize("kind", ["node_started", "node_returned"])
def test_what_workers_tell_changes_no_state(kind: EventKind) -> None:
    """It may come late, even after the node's end, or of a dispatch before."""
    events = [Event("node_queued", 1, "a", 1, 2), Event("node_completed", 2, "a", 1, 2)]
    late = Event(kind, 3, "a", 1, 1)
    assert fold([*events, late]) == fold(events)
    assert fold([late]) == {}


def test_every_event_of_a_node_that_is_stored_folds() -> None:
    """Each kind is either one that changes a node's record, or one of those that do not."""
    telling = {kind for kind in get_args(EventKind) if fold([Event(kind, 1, "a", 1, 1)])}
    assert telling == {
        "node_reset",
        "node_queued",
        "node_opened",
        "node_waiting",
        "node_iterated",
        "node_in_line",
        "node_completed",
        "node_failed",
        "node_skipped",
        "node_cancelled",
    }


def test_nothing_folds_to_nothing() -> None:
    """A node without events is absent: pending, never dispatched."""
    assert fold([]) == {}
