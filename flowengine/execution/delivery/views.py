"""What callers see of an execution's deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from flowengine.execution.delivery.records import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    WhyFailed,
    webhook_id,
)
from flowengine.execution.views.executions import moment, moment_or_none

MASK: Final = "***"


class DeliveryAttemptView(msgspec.Struct, frozen=True):
    """One POST, and what became of it."""

    at: str
    status_code: int | None
    error: str | None
    duration_ms: int


class DeliveryView(msgspec.Struct, frozen=True):
    """The delivery of one run's results. `attempts`: the newest 20, oldest first. `next_at`: when it is sent
    again. `why`: why it is not sent any more."""

    run: int
    webhook_id: str
    url: str
    state: DeliveryState
    why: WhyFailed | None
    attempt_count: int
    attempts: tuple[DeliveryAttemptView, ...]
    next_at: str | None


class DeliveriesView(msgspec.Struct, frozen=True):
    """The newest 20 deliveries of an execution, newest first."""

    items: tuple[DeliveryView, ...]
    next_cursor: None = None


def deliveries_view(execution: str, url: str, deliveries: Iterable[Delivery]) -> DeliveriesView:
    """How deliveries are shown."""
    newest_first = sorted(deliveries, key=lambda each: each.run, reverse=True)
    return DeliveriesView(tuple([_view(execution, shown_url(url), each) for each in newest_first]))


def _view(execution: str, shown: str, delivery: Delivery) -> DeliveryView:
    is_open = delivery.state == "pending" or delivery.why == "overtaken"
    return DeliveryView(
        run=delivery.run,
        webhook_id=webhook_id(execution, delivery.run),
        url=shown,
        state=delivery.state,
        why=delivery.why,
        attempt_count=delivery.number - 1 if is_open else delivery.number,
        attempts=tuple(map(_attempt_view, delivery.attempts)),
        next_at=moment_or_none(delivery.until),
    )


def _attempt_view(attempt: DeliveryAttempt) -> DeliveryAttemptView:
    return DeliveryAttemptView(
        at=moment(attempt.at),
        status_code=attempt.status_code,
        error=attempt.error,
        duration_ms=attempt.duration_ms,
    )


def shown_url(url: str) -> str:
    """A callback URL as it may be shown: what may be a secret in it is `***`, user, password and values of
    the query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    host = parts.netloc.rpartition("@")[2]
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    query = "&".join([f"{name}={MASK}" if equals else MASK for name, equals, _ in pairs])
    return urlunsplit((parts.scheme, host, parts.path, query, ""))
