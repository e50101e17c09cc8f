"""How long the broker waits for what. Pure data; leases are a setting of their own."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.heuristics import FETCHED_AHEAD_S, FETCHER_BUSY_S, HANDOVER_S, JOINED_WORK_S, STUCK_S


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The broker's times in seconds, as its parts are given them."""

    start_within_s: float = 1.0
    """A message that has not started so long after it was fetched is handed back."""

    ahead_s: float = FETCHED_AHEAD_S
    """Messages that take less, on average, are fetched ahead: so much work for each thread."""

    stuck_s: float = STUCK_S
    """A thread that works on one message for longer is not counted on."""

    join_horizon_s: float = JOINED_WORK_S
    """A joining queue fetches no more than this much work at once."""

    block_at_most_s: float = 1.0
    """A consumer blocks in reading no longer than this."""

    handover_s: float = HANDOVER_S
    """A consumer keeps out of the way of the thread that it has just given a message for so long."""

    back_off_from_s: float = 0.05
    """A consumer that has lost its connection waits so long first, then twice as long each time."""

    back_off_to_s: float = 2.0
    """A consumer never waits longer than this between two tries to connect."""

    stopping_rest_s: float = 0.05
    """The consumer of a process that stops rests so long each time that it is asked for a message."""

    retry_after_s: float = 1.0
    """A message whose actor has raised comes back no sooner, or it would come back in a tight loop."""

    scan_every_s: float = 1.0
    """A consumer looks for lapsed messages so often."""

    sign_every_s: float = 1.0
    """A consumer lets the server note so often that it lives."""

    standstill_s: float = 1.0
    """A reply that is later than this, and than a third of a lease, means that something stood still."""

    renewal_retry_s: float = 0.5
    """Leases that could not be renewed are renewed again after so long."""

    removal_check_s: float = 30.0
    """Consumers that are gone are looked for so often, by one process."""

    remove_silent_s: float = 120.0
    """A consumer that has given no sign of life for so long, and holds nothing, is removed."""

    fetcher_busy_s: float = FETCHER_BUSY_S
    """A thread that processes what it fetched keeps others from being fetched no longer than this."""

    standby_rest_s: float = 1.0
    """A standby thread rests so long after an error that nobody foresaw."""

    stop_margin_s: float = 0.5
    """A stop that has run out of time still waits so long for a goodbye of its own."""

    part_within_s: float = 1.2
    """Then it hands back whatever is left, and waits no longer than this for the server.

    The process ends within two seconds after `grace`. A supervisor waits three.
    """

    leave_within_s: float = 2.0
    """A stop waits so long for the groups to be left; a group forgets a consumer that is gone in time."""


TIMING: Final = Timing()
"""What the services use."""
