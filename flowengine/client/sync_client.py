"""`Client`: a stack as a class whose methods return answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self, TypeVar

import httpx

from flowengine.client.address import address
from flowengine.client.call import Call
from flowengine.client.connection import is_to_be_repeated, options, time_limits, unreachable
from flowengine.client.errors import UnreachableError
from flowengine.client.methods import Answering, Methods
from flowengine.client.waiting import Patience
from flowengine.execution.status import is_over
from flowengine.execution.views.executions import ExecutionView

Answer = TypeVar("Answer")


class Client(Methods, Answering):
    """A stack, over HTTP. A context manager; threads may share one.

    `url` and `key` default to FLOWENGINE_URL and FLOWENGINE_KEY, the url then to the local stack.
    `timeout_s`: how long an answer may take. `transport` replaces the network, in tests.

    Raises SettingsError for what can be no address and no key.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.address = address(url, key)
        self._timeout_s = timeout_s
        self._http = httpx.Client(**options(self.address, timeout_s), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(self, call: Call[Answer]) -> Answer:
        """Send a call and return its answer. Raises RefusedError, UnreachableError, BadAnswerError."""
        try:
            answered = self._request(call)
        except (httpx.TransportError, httpx.DecodingError) as error:
            if not is_to_be_repeated(call, error):
                raise unreachable(self.address, call, error) from error
            try:
                answered = self._request(call)
            except (httpx.TransportError, httpx.DecodingError):
                raise unreachable(self.address, call, error) from error
        return call.read(answered.status_code, answered.headers.get("content-type", ""), answered.content)

    def _request(self, call: Call[Answer]) -> httpx.Response:
        return self._http.request(
            call.method,
            call.path,
            params=list(call.query),
            content=call.body,
            headers=call.headers,
            timeout=time_limits(self._timeout_s, call.waits_s),
        )

    def wait_until_ended(
        self,
        execution_id: str,
        *,
        timeout_s: float | None = None,
        seen: Callable[[ExecutionView], None] | None = None,
    ) -> ExecutionView:
        """An execution's status once it has ended. `seen` gets each status on the way there, and the last.

        A stack that does not answer is asked again for half a minute. Raises NotEndedError after `timeout_s`
        (None: it waits as long as it takes), and what `send` raises.
        """
        patience = Patience(execution_id, timeout_s=timeout_s, now=time.monotonic())
        while True:
            try:
                view = self.status(execution_id)
            except UnreachableError as error:
                pause = patience.after_outage(error, time.monotonic())
            else:
                if seen is not None:
                    seen(view)
                if is_over(view.status):
                    return view
                pause = patience.after_answer(time.monotonic())
            time.sleep(pause)
