"""What is stored of a delivery: the sending of a run's results to the execution's `callback_url`. Pure data.

Times are milliseconds since the epoch on Redis's clock.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

DeliveryState: TypeAlias = Literal["pending", "delivered", "failed"]
"""`pending`: it is sent, or will be sent again. `delivered`: the receiver has answered 2xx. `failed`: it is
not sent any more."""

WhyFailed: TypeAlias = Literal["gone", "given_up", "overtaken"]
"""`gone`: the receiver has answered 410. `given_up`: a day has passed. `overtaken`: another run has begun."""

KEPT_ATTEMPTS: Final = 20
KEPT_DELIVERIES: Final = 20
"""So many attempts of a delivery and so many deliveries of an execution are kept, the newest."""


class DeliveryAttempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One POST. `status_code`: None where no answer came. `error`: None where the answer was 2xx."""

    at: int
    duration_ms: int
    status_code: int | None = None
    error: str | None = None


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """The delivery of one run: the field `run:N` of the execution's deliveries.

    `since`: when the run ended. `number`: the attempt that is on its way or waited for, or the last one.
    `until`: when it is sent again; None while it is on its way, and once it is over.
    """

    run: int
    since: int
    state: DeliveryState = "pending"
    number: int = 1
    until: int | None = None
    attempts: tuple[DeliveryAttempt, ...] = ()
    why: WhyFailed | None = None


def webhook_id(execution: str, run: int) -> str:
    """What all attempts to deliver a run's results have in common: by it a receiver tells a repetition."""
    return f"{execution}-{run}"
