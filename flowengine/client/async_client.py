"""`AsyncClient`: a stack as a class whose methods are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Self, TypeVar

import httpx

from flowengine.client.address import address
from flowengine.client.call import Call
from flowengine.client.connection import is_to_be_repeated, options, time_limits, unreachable
from flowengine.client.errors import UnreachableError
from flowengine.client.methods import Awaited, Methods
from flowengine.client.waiting import Patience
from flowengine.execution.status import is_over
from flowengine.execution.views.executions import ExecutionView

Answer = TypeVar("Answer")


class AsyncClient(Methods, Awaited):
    """A stack, over HTTP, for asyncio. An asynchronous context manager, with the arguments of `Client`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = address(url, key)
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(**options(self.address, timeout_s), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def send(self, call: Call[Answer]) -> Answer:
        """Send a call and return its answer. Raises RefusedError, UnreachableError, BadAnswerError."""
        try:
            answered = await self._request(call)
        except (httpx.TransportError, httpx.DecodingError) as error:
            if not is_to_be_repeated(call, error):
                raise unreachable(self.address, call, error) from error
            try:
                answered = await self._request(call)
            except (httpx.TransportError, httpx.DecodingError):
                raise unreachable(self.address, call, error) from error
        return call.read(answered.status_code, answered.headers.get("content-type", ""), answered.content)

    async def _request(self, call: Call[Answer]) -> httpx.Response:
        return await self._http.request(
            call.method,
            call.path,
            params=list(call.query),
            content=call.body,
            headers=call.headers,
            timeout=time_limits(self._timeout_s, call.waits_s),
        )

    async def wait_until_ended(
        self,
        execution_id: str,
        *,
        timeout_s: float | None = None,
        seen: Callable[[ExecutionView], None] | None = None,
    ) -> ExecutionView:
        """An execution's status once it has ended, as `Client.wait_until_ended`."""
        patience = Patience(execution_id, timeout_s=timeout_s, now=time.monotonic())
        while True:
            try:
                view = await self.status(execution_id)
            except UnreachableError as error:
                pause = patience.after_outage(error, time.monotonic())
            else:
                if seen is not None:
                    seen(view)
                if is_over(view.status):
                    return view
                pause = patience.after_answer(time.monotonic())
            await asyncio.sleep(pause)
