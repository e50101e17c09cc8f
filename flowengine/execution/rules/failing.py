"""What becomes of a node's own failure: whether it is tolerated, whether it is tried again, and when."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.execution.error_codes import (
    CONNECTION_FAILED,
    REQUEST_TIMEOUT,
    TABLE,
    TIMEOUT,
    WORKER_LOST,
    WORTH_ANOTHER_TRY,
)
from flowengine.execution.messages import Callback
from flowengine.execution.records import NodeError, NodeRecord
from flowengine.execution.reports import ByChild, Failed
from flowengine.workflow.policy import ANY_CODE, Policy, Retry

_STATUS_CLASS: Final = re.compile(r"http_([45])xx")
_STATUS: Final = re.compile(r"http_(\d{3})")


_OUTCOME_UNKNOWN: Final = frozenset(
    {row.code for row in (TIMEOUT, REQUEST_TIMEOUT, CONNECTION_FAILED, WORKER_LOST)}
)
_STATUS_UNKNOWN: Final = frozenset({408, 425, 429, 502, 503, 504})


class Pause(msgspec.Struct, frozen=True):
    """The node waits, and is tried again at `until`, milliseconds since the epoch."""

    until: int


def next_try(
    policy: Policy, record: NodeRecord, callback: Callback, failed: Failed, now: int
) -> Pause | NodeError | None:
    """When a failed node in flight is tried again; None: not at all.

    An error is what it fails with then: its own, which says that `max_seconds` leaves too little time for the
    pause, or that `retry.when` gives no answer. A failure that no worker reported has not been asked about.
    """
    retry = policy.retry
    if retry is None or record.tried >= retry.max_attempts or not _is_retried(retry, failed):
        return None
    if isinstance(failed.again, NodeError):
        return failed.again
    if failed.again is False:
        return None
    pause_ms = _pause_ms(retry, record.tried, f"{callback.execution}|{callback.node}|{callback.dispatch}")
    if failed.retry_after_ms is not None:
        pause_ms = max(pause_ms, failed.retry_after_ms)
    if now + pause_ms > record.since + retry.max_ms:
        left_s, pause_s = max(0, record.since + retry.max_ms - now) / 1000, pause_ms / 1000
        why = f"that takes a pause of {pause_s:g} s, and retry.max_seconds leaves {left_s:g} s"
        return replace(failed.error, message=f"{failed.error.message}; not tried again: {why}")
    return Pause(now + pause_ms)


def is_to_be_asked(policy: Policy, callback: Callback, failed: Failed) -> bool:
    """Whether a worker is to say by `retry.when` whether a node is tried again: its child has failed."""
    asks = policy.retry is not None and policy.retry.when is not None
    return asks and isinstance(callback.by, ByChild) and failed.again is None


def is_answered(error: NodeError) -> bool:
    """Whether it is certain what became of what the try asked for: a new try asks for something else then.

    After a timeout, a lost connection or worker, and some answers, the service may have done it:
    the next try has the same idempotency key, so that the service can tell.
    """
    return error.code not in _OUTCOME_UNKNOWN and error.status_code not in _STATUS_UNKNOWN


def is_permanent(failed: Failed) -> bool:
    """Whether another try would fail the same way.

    What the handler says comes first, then the status of an answer, then the code.
    """
    status = failed.error.status_code
    if failed.permanent:
        return True
    if isinstance(status, int) and 400 <= status < 500:
        return status not in WORTH_ANOTHER_TRY
    row = TABLE.get(failed.error.code)
    return row is not None and row.permanent


def _is_retried(retry: Retry, failed: Failed) -> bool:
    if is_among(failed.error, retry.exclude):
        return False
    if retry.only:
        return ANY_CODE in retry.only or is_among(failed.error, retry.only)
    return not is_permanent(failed)


def _pause_ms(retry: Retry, tried: int, seed: str) -> int:
    """The pause after try number `tried`. The jitter comes from `seed`, so that a rule draws no number."""
    pause = float(retry.delay_ms)
    for _ in range(tried - 1):
        if pause >= retry.max_delay_ms:
            break
        pause *= retry.multiplier
    pause = min(pause, retry.max_delay_ms)
    spread = zlib.crc32(seed.encode()) / 0xFFFF_FFFF * 2 - 1
    return max(0, round(pause * (1 + retry.jitter * spread)))


def tolerates(policy: Policy, error: NodeError) -> bool:
    """Whether the execution goes on as if nothing had happened: `on_error` covers this failure."""
    if isinstance(policy.tolerates, bool):
        return policy.tolerates
    return is_among(error, policy.tolerates)


def is_among(error: NodeError, codes: Collection[str]) -> bool:
    """Whether one of these codes and patterns means the error.

    `http_404` and `http_5xx` go by the status of the answer. `timeout` also means a request's.
    """
    return any(_means(code, error) for code in codes)


def _means(code: str, error: NodeError) -> bool:
    if code == error.code or (code == TIMEOUT.code and error.code == REQUEST_TIMEOUT.code):
        return True
    status = error.status_code
    if not isinstance(status, int):
        return False
    if found := _STATUS_CLASS.fullmatch(code):
        return status // 100 == int(found[1])
    found = _STATUS.fullmatch(code)
    return found is not None and status == int(found[1])
