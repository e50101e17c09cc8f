"""A whole HTTP call: at most three tries, the waits between them, and the record of each.

A try is repeated after an answer with a passing error (`retry_waits`), a timeout or a connection failure. The
waits are 1 s and 2 s (FLOWENGINE_RETRY_BASE_SECONDS, and twice that), or what the service asks for, however
long that is. If a wait would pass the node's deadline, the call fails at once and says so. Query strings,
bodies and header values never reach a log.
"""

from __future__ import annotations

import time
from collections.abc import Container
from typing import Final

import stamina

from flowengine.execution.error_codes import HTTP_CLIENT_ERROR, HTTP_SERVER_ERROR, REQUEST_TIMEOUT
from flowengine.handlers.http.answer import Answer, excerpt_of
from flowengine.handlers.http.exchange import TryFailedError, exchange
from flowengine.handlers.http.outgoing_request import OutgoingRequest
from flowengine.handlers.http.retry_waits import advice_of
from flowengine.plugin.context import Context
from flowengine.plugin.errors import AttemptError, HandlerError, HandlerTimeoutError

MAX_TRIES: Final = 3
MAX_WAIT_SECONDS: Final = 60.0

CLOCK_MARGIN_S: Final = 0.01
"""With less than this left, a node's time is over: a timeout may end a little early."""


class RefusedAnswerError(TryFailedError):
    """The service answered with an error status. `wait_s`: what it asks to wait before another try."""

    def __init__(self, answer: Answer) -> None:
        advice = advice_of(answer)
        message = f"answered {answer.status_line}"
        if advice.why_not:
            message += f"; {advice.why_not}"
        code = HTTP_CLIENT_ERROR if answer.status_code < 500 else HTTP_SERVER_ERROR
        super().__init__(code, message, retryable=advice.retry)
        self.answer = answer
        self.wait_s = advice.wait_s


async def call(
    request: OutgoingRequest, context: Context, *, retry_base_s: float, accept: Container[int] = ()
) -> Answer:
    """The answer of a service that did not refuse: its status is below 400, or in `accept`.

    `retry_base_s` is the wait before the second try; it is doubled before each later one. X-Correlation-ID
    and Idempotency-Key are sent unless the request sets them or leaves them out.

    Raises HandlerError: `http_client_error`, `http_server_error`, `connection_failed`, `request_timeout`,
    `invalid_request`, `invalid_response`, `response_too_large`, `egress_refused`, `redirect_refused`,
    `too_many_redirects`. Its cause is the RefusedAnswerError or other TryFailedError of the last try. Raises
    HandlerTimeoutError when the node's time is over. `errors` lists each try.
    """
    most = 1 if context.tries_once else MAX_TRIES
    tries = _Tries(request.sent_by(context), context, retry_base_s, accept, most)
    try:
        answer = await tries.once()
    except TryFailedError as error:
        answer = await _tried_again(tries, error)
    if tries.errors:
        context.logger.info("http.retried", request=request.label, attempts=len(tries.errors) + 1)
    return answer


async def _tried_again(tries: _Tries, first: TryFailedError) -> Answer:
    """The answer of a later try. Only a call that has failed pays for what waits and tries again."""
    failure: TryFailedError | None = first
    try:
        async for attempt in stamina.retry_context(
            on=tries.wait_before_next, attempts=tries.most, timeout=None
        ):
            with attempt:
                if failure is not None:
                    error, failure = failure, None
                    raise error
                answer = await tries.once()
    except TryFailedError as error:
        raise tries.verdict(error) from error
    return answer


class _Tries:
    """The tries of one call, and what became of each."""

    def __init__(
        self, request: OutgoingRequest, context: Context, base_s: float, accept: Container[int], most: int
    ) -> None:
        self.most = most
        self.errors: list[AttemptError] = []
        self._request = request
        self._context = context
        self._base_s = base_s
        self._accept = accept
        self._started = time.monotonic()
        self._refused_wait_s: float | None = None

    async def once(self) -> Answer:
        """One try. Raises TryFailedError, after noting it in `errors`."""
        try:
            answer = await exchange(self._request, self._context, accept=self._accept)
            if answer.status_code >= 400 and answer.status_code not in self._accept:
                raise RefusedAnswerError(answer)
        except TryFailedError as error:
            self._remember(error)
            raise
        return answer

    def wait_before_next(self, error: Exception) -> bool | float:
        """Stamina's back-off hook: seconds until the next try, or False for no further try."""
        if not (isinstance(error, TryFailedError) and error.retryable) or len(self.errors) >= self.most:
            return False
        wait_s = min(self._base_s * 2.0 ** (len(self.errors) - 1), MAX_WAIT_SECONDS)
        if isinstance(error, RefusedAnswerError) and error.wait_s is not None:
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
        if error.code == REQUEST_TIMEOUT and left_s <= CLOCK_MARGIN_S:
            return HandlerTimeoutError(
                f"{message}; the node's timeout_seconds are over", errors=tuple(self.errors)
            )
        if self._refused_wait_s is not None:
            message += (
                f"; the next attempt would have to wait {_seconds(self._refused_wait_s)}, but only "
                f"{_seconds(left_s)} of the node's timeout_seconds are left"
            )
        refused = error if isinstance(error, RefusedAnswerError) else None
        return HandlerError(
            error.code.code,
            message,
            errors=tuple(self.errors),
            status_code=None if refused is None else refused.answer.status_code,
            permanent=not error.retryable,
            retry_after_s=None if refused is None else refused.wait_s,
        )

    def _remember(self, error: TryFailedError) -> None:
        excerpt = _shown_body(error.answer) if isinstance(error, RefusedAnswerError) else ""
        self.errors.append(
            AttemptError(
                code=error.code.code,
                message=f"{error.message}: {excerpt}" if excerpt else error.message,
                after_s=round(time.monotonic() - self._started, 3),
            )
        )


def _shown_body(answer: Answer) -> str:
    """The beginning of an error's body, or why it cannot be shown."""
    excerpt = excerpt_of(answer)
    return excerpt or (f"({answer.body_problem})" if answer.body_problem else "")


def _seconds(seconds: float) -> str:
    return f"{round(seconds, 1):g} s" if seconds < 1e6 else f"{seconds / 86400:.0f} days"
