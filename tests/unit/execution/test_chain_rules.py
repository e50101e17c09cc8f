"""Whom an end starts: the rules, without a store."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from flowengine.execution.chains.records import Follower, encode_followers
from flowengine.execution.chains.rules import (
    SENT_AGAIN_MS,
    fitting,
    is_decided,
    is_ended,
    noted,
    tell_followers,
)
from flowengine.execution.changes import ArmTimer, Send
from flowengine.execution.messages import StartFollowers
from flowengine.execution.records import Control, ExecutionRecord
from flowengine.execution.rules.dispatching import Run
from flowengine.workflow.chains.declared import After

ENDED = ExecutionRecord("failed", 2, 1, 0, 0, 9, "c", "extract", "", version=1)
STARTED = Follower("load", ("completed", "failed"), 1, 0, "x1")
REFUSED = Follower("load", ("completed", "failed"), 1, 0, code="inputs_invalid")


def test_an_end_of_a_definition_is_told_and_seen_to_by_a_timer() -> None:
    """That of a posted document is not."""
    told = tell_followers(Run("x", 2, "c"), Control("completed", 2, version=1), 5)
    message = StartFollowers(execution="x", run=2, correlation_id="c")
    assert told == (Send(message), ArmTimer(message, 5 + SENT_AGAIN_MS))
    assert tell_followers(Run("x", 2, "c"), Control("completed", 2), 5) == ()
    assert tell_followers(Run("x", 2, "c"), Control("cancelled", 2, version=1, doomed=True), 5) == ()


def test_only_the_last_run_has_ended() -> None:
    """The end of an earlier one was overtaken, and so was one that runs again."""
    assert is_ended(ENDED, 2)
    assert not is_ended(ENDED, 1)
    assert not is_ended(replace(ENDED, status="running"), 2)


def test_the_first_entry_of_the_workflow_that_fits_the_end_counts() -> None:
    """By name and by status."""
    after = (After("other", ("failed",)), After("extract"), After("extract", ("failed", "cancelled")))
    assert fitting(after, "extract", "failed") is after[2]
    assert fitting(after, "extract", "completed") is after[1]
    assert fitting(after, "nobody", "completed") is None


@pytest.mark.parametrize(
    ("kept", "decided"),
    [
        ((), False),
        ((STARTED,), True),
        ((replace(STARTED, statuses=("completed",)),), False),
        ((replace(STARTED, name="other"),), False),
        ((REFUSED,), False),
        ((replace(REFUSED, run=2),), True),
    ],
)
def test_what_is_kept_says_whether_this_end_is_decided(kept: tuple[Follower, ...], decided: bool) -> None:
    """Started by an end that counts like it, over all runs; refused in this one."""
    assert is_decided(replace(ENDED, noted=encode_followers(kept)), "load") is decided


def test_a_refusal_makes_room_for_what_comes_later() -> None:
    """What was started stays."""
    new = replace(STARTED, run=2)
    assert noted((REFUSED, replace(REFUSED, name="other")), new) == (replace(REFUSED, name="other"), new)
    tells = replace(STARTED, statuses=("cancelled",))
    assert noted((tells,), new) == (tells, new)
