"""When a run's results are sent, when again, and when no more. Pure.

An attempt is named by its number: what an attempt of an earlier number brings is stale and changes nothing.
So a message that comes twice may send the results twice, and never makes a second series of attempts.
"""

from __future__ import annotations

import zlib
from typing import Final

from msgspec.structs import replace

from flowengine.execution.changes import ArmTimer, Change, Send, WriteDelivery
from flowengine.execution.delivery.records import KEPT_ATTEMPTS, Delivery
from flowengine.execution.messages import DeliverResults, DeliveryAttempted, DeliveryDue
from flowengine.execution.records import Control
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.status import is_over

FIRST_PAUSE_MS: Final = 5_000
LONGEST_PAUSE_MS: Final = 3_600_000
LONGEST_ASKED_MS: Final = 6 * 3_600_000
"""A receiver's `Retry-After` counts up to here."""
TRIED_FOR_MS: Final = 86_400_000
SHORTEST_SHARE: Final = 0.8
"""A pause is this share of its full length at least; the rest is jitter."""

_GONE: Final = 410


def deliver(run: Run, now: int) -> tuple[Change, ...]:
    """A run has ended whose results are wanted: send them."""
    return send(run, Delivery(run.run, now), now)


def send(run: Run, delivery: Delivery, now: int) -> tuple[Change, ...]:
    """Send the results, as the attempt whose turn it is."""
    message = DeliverResults(
        execution=run.execution,
        run=delivery.run,
        number=delivery.number,
        correlation_id=run.correlation_id,
    )
    return (WriteDelivery(replace(delivery, until=None), now), Send(message))


def is_awaited(delivery: Delivery | None, number: int) -> bool:
    """Whether a delivery still waits for this attempt, or for what becomes of it."""
    return delivery is not None and delivery.state == "pending" and delivery.number == number


def is_overtaken(control: Control, delivery: Delivery) -> bool:
    """Whether the results are no longer those of the run that was to be delivered."""
    return control.run != delivery.run or not is_over(control.status)


def overtake(delivery: Delivery, now: int) -> tuple[Change, ...]:
    """Another run has begun: its own results will be sent."""
    return (WriteDelivery(replace(delivery, state="failed", until=None, why="overtaken"), now),)


def after_attempt(
    execution: str, delivery: Delivery, report: DeliveryAttempted, now: int
) -> tuple[Change, ...]:
    """What follows from an attempt that is over.

    2xx is the end, and so is 410. After everything else it is sent again, until a day has passed.
    """
    attempt = report.attempt
    taken = replace(delivery, attempts=(*delivery.attempts, attempt)[-KEPT_ATTEMPTS:])
    if attempt.status_code is not None and 200 <= attempt.status_code < 300:
        return (WriteDelivery(replace(taken, state="delivered"), now),)
    if attempt.status_code == _GONE:
        return (WriteDelivery(replace(taken, state="failed", why="gone"), now),)
    until = now + _pause_ms(execution, delivery, report.retry_after_ms)
    if until > delivery.since + TRIED_FOR_MS:
        return (WriteDelivery(replace(taken, state="failed", why="given_up"), now),)
    waiting = replace(taken, number=delivery.number + 1, until=until)
    timer = DeliveryDue(execution=execution, run=delivery.run, number=waiting.number)
    return (WriteDelivery(waiting, now), ArmTimer(timer, until))


def _pause_ms(execution: str, delivery: Delivery, asked_ms: int | None) -> int:
    """Doubled each time, or what the receiver asks for if that is longer. The jitter comes from a checksum,
    so that a rule draws no number."""
    full = min(FIRST_PAUSE_MS << min(delivery.number - 1, 20), LONGEST_PAUSE_MS)
    seed = f"{execution}|{delivery.run}|{delivery.number}"
    spread = zlib.crc32(seed.encode()) / 0xFFFF_FFFF
    pause = round(full * (SHORTEST_SHARE + (1 - SHORTEST_SHARE) * spread))
    return max(pause, min(asked_ms or 0, LONGEST_ASKED_MS))
