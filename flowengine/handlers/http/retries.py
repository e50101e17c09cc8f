"""A whole HTTP call: at most three tries, the waits between them, and the record of each.

A try is repeated after a 5xx or 429 answer, a timeout or a connection failure. The waits are 1, 2, 4 s, or
what `Retry-After` asks for, and 60 s at most. If a wait would pass the node's deadline, the call fails at
once and says so. Query strings, bodies and header values never reach a log.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import stamina

from flowengine.execution.error_codes import HTTP_CLIENT_ERROR, HTTP_SERVER_ERROR, REQUEST_TIMEOUT
from flowengine.handlers.http.answer import Answer, excerpt_of
from flowengine.handlers.http.exchange import TryFailedError, exchange
from flowengine.handlers.http.outgoing_request import OutgoingRequest
from flowengine.plugin.context import Context
from flowengine.plugin.errors import AttemptError, HandlerError, HandlerTimeoutError

MAX_TRIES: Final = 3
MAX_WAIT_SECONDS: Final = 60.0

_CLOCK_MARGIN_S: Final = 0.01
_SECONDS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?\Z")


class _RefusedAnswerError(TryFailedError):
    """The service answered with an error status."""

    def __init__(self, answer: Answer) -> None:
        status = answer.status_code
        code = HTTP_CLIENT_ERROR if status < 500 else HTTP_SERVER_ERROR
        super().__init__(code, f"answered {answer.status_line}", retryable=status == 429 or status >= 500)
        self.excerpt = excerpt_of(answer)
        now = http_date(answer.headers.get("date")) or datetime.now(UTC)
        self.wait_s = retry_after_seconds(answer.headers.get("retry-after"), now=now)


def call(request: OutgoingRequest, context: Context, *, retry_base_s: float) -> Answer:
    """The answer of a service that did not refuse: its status is below 400.

    `retry_base_s` is the wait before the second try; it is doubled before each later one. X-Correlation-ID
    and Idempotency-Key are sent unless the request sets them.

    Raises HandlerError: `http_client_error`, `http_server_error`, `connection_failed`, `request_timeout`,
    `invalid_request`, `invalid_response`, `response_too_large`, `egress_refused`, `redirect_refused`,
    `too_many_redirects`. Raises HandlerTimeoutError when the node's time is over. `errors` lists each try.
    """
    prepared = request.with_defaults(
        {"X-Correlation-ID": context.correlation_id, "Idempotency-Key": context.idempotency_key}
    )
    tries = _Tries(prepared, context, retry_base_s)
    try:
        for attempt in stamina.retry_context(on=tries.wait_before_next, attempts=MAX_TRIES, timeout=None):
            with attempt:
                answer = tries.once()
    except TryFailedError as error:
        raise tries.verdict(error) from error
    if tries.errors:
        context.logger.info("http.retried", request=request.label, attempts=len(tries.errors) + 1)
    return answer


class _Tries:
    """The tries of one call, and what became of each."""

    def __init__(self, request: OutgoingRequest, context: Context, base_s: float) -> None:
        self.errors: list[AttemptError] = []
        self._request = request
        self._context = context
        self._base_s = base_s
        self._started = time.monotonic()
        self._refused_wait_s: float | None = None

    def once(self) -> Answer:
        """One try. Raises TryFailedError, after noting it in `errors`."""
        try:
            answer = exchange(self._request, self._context)
            if answer.status_code >= 400:
                raise _RefusedAnswerError(answer)
        except TryFailedError as error:
            self._remember(error)
            raise
        return answer

    def wait_before_next(self, error: Exception) -> bool | float:
        """Stamina's back-off hook: seconds until the next try, or False for no further try."""
        if not (isinstance(error, TryFailedError) and error.retryable) or len(self.errors) >= MAX_TRIES:
            return False
        wait_s = min(self._base_s * 2.0 ** (len(self.errors) - 1), MAX_WAIT_SECONDS)
        if isinstance(error, _RefusedAnswerError) and error.wait_s is not None:
            wait_s = error.wait_s
        if wait_s >= self._context.remaining_seconds():
            self._refused_wait_s = wait_s
            return False
        return wait_s

    def verdict(self, error: TryFailedError) -> HandlerError:
        """What the node fails with."""
        tried = f" ({len(self.errors)} attempts)" if len(self.errors) > 1 else ""
        message = f"{self._request.label}: {error.message}{tried}"
        left_s = self._context.remaining_seconds()
        if error.code == REQUEST_TIMEOUT and left_s <= _CLOCK_MARGIN_S:
            return HandlerTimeoutError(
                f"{message}; the node's timeout_seconds are over", errors=tuple(self.errors)
            )
        if self._refused_wait_s is not None:
            message += (
                f"; the next attempt would have to wait {self._refused_wait_s:.3g} s, but only "
                f"{left_s:.3g} s of the node's timeout_seconds are left"
            )
        return HandlerError(error.code.code, message, errors=tuple(self.errors))

    def _remember(self, error: TryFailedError) -> None:
        excerpt = error.excerpt if isinstance(error, _RefusedAnswerError) else ""
        self.errors.append(
            AttemptError(
                code=error.code.code,
                message=f"{error.message}: {excerpt}" if excerpt else error.message,
                after_s=round(time.monotonic() - self._started, 3),
            )
        )


def retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks to wait, 0 to 60 (RFC 9110, section 10.2.3).

    The header gives seconds or an HTTP date. None if there is no header, or one that cannot be read. `now`
    is the server's own time (its `Date` header) where it is known, because clocks differ.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.match(text):
        return min(float(text), MAX_WAIT_SECONDS)
    when = http_date(text)
    return None if when is None else min(max(0.0, (when - now).total_seconds()), MAX_WAIT_SECONDS)


def http_date(value: str | None) -> datetime | None:
    """An HTTP date as an aware datetime, or None when it cannot be read."""
    if value is None:
        return None
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
