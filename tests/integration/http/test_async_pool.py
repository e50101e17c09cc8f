"""The connections of async handlers: used again, given up when dead, cheap however many."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest

from flowengine.handlers.http.clients import make_async_client
from flowengine.handlers.http.network.name_lookups import NameLookups

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Service:
    """Answers each request, and counts connections. `ends`: it closes a connection after each answer."""

    def __init__(self, *, delay_s: float = 0.0, ends: bool = False) -> None:
        self.connections = 0
        self.url = ""
        self._delay_s = delay_s
        self._ends = ends

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(self._delay_s)
                writer.write(ANSWER)
                await writer.drain()
                if self._ends:
                    break


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """The service, and a client as handlers have it."""
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, backlog=2000)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with make_async_client("any") as client:
        yield client
    server.close()


def run(service: Service, call: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Call it while it serves."""

    async def main() -> None:
        async with serving(service) as client:
            await call(client)

    asyncio.run(main())


def test_a_connection_is_used_again() -> None:
    """One after the other, calls of a service need one connection."""
    service = Service()

    async def call(client: httpx.AsyncClient) -> None:
        for _ in range(3):
            assert (await client.get(service.url)).text == "ok"

    run(service, call)
    assert service.connections == 1


def test_a_connection_that_was_closed_is_not_used() -> None:
    """The service closes each after its answer, without a word."""
    service = Service(ends=True)

    async def call(client: httpx.AsyncClient) -> None:
        for _ in range(3):
            assert (await client.get(service.url)).text == "ok"
            await asyncio.sleep(0.01)

    run(service, call)
    assert service.connections == 3


def test_no_more_connections_are_kept_than_may_be() -> None:
    """Of many at once, the next ones find 32; a call that is cancelled leaves none behind."""
    service = Service(delay_s=0.2)

    async def call(client: httpx.AsyncClient) -> None:
        async def get() -> None:
            assert (await client.get(service.url)).text == "ok"

        await asyncio.gather(*(get() for _ in range(40)))
        assert service.connections == 40
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await get()
        await asyncio.gather(*(get() for _ in range(40)))

    run(service, call)
    assert service.connections == 40 + 9, "31 were left of the 32"


def test_a_thousand_calls_at_once_cost_a_thousand_times_one() -> None:
    """httpcore's own pool takes ten times as much CPU for each of 1000 calls as for each of 100."""
    found = []
    for _ in range(3):
        found.append(cpu_of_each(1000) / cpu_of_each(100))
        if found[-1] < 3:
            break
    assert min(found) < 3, found


def cpu_of_each(number: int) -> float:
    """The seconds of CPU of a call, of so many at once."""
    service, spent = Service(delay_s=0.5), []

    async def call(client: httpx.AsyncClient) -> None:
        before = time.process_time()
        await asyncio.gather(*(client.get(service.url) for _ in range(number)))
        spent.append(time.process_time() - before)

    run(service, call)
    return spent[0] / number


def test_who_asks_for_a_name_at_once_asks_once() -> None:
    """Nothing is kept: the next one asks again."""
    asked: list[str] = []
    going = threading.Event()

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        going.wait(10)
        if host == "bad":
            raise OSError("no such name")
        return [f"10.0.0.{len(asked)}"]

    async def main() -> None:
        names = NameLookups(resolve)
        looks = [asyncio.ensure_future(names.addresses_of("a", 80)) for _ in range(5)]
        bad = asyncio.ensure_future(names.addresses_of("bad", 80))
        await asyncio.sleep(0.05)
        looks[0].cancel()
        going.set()
        found = await asyncio.gather(*looks[1:])
        assert found == [["10.0.0.1"]] * 4 or found == [["10.0.0.2"]] * 4
        with pytest.raises(OSError, match="no such name"):
            await bad
        await names.addresses_of("a", 80)

    asyncio.run(main())
    assert sorted(asked) == ["a", "a", "bad"]


def test_a_look_that_cannot_begin_or_breaks_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who ask for the name later would wait until their deadlines, for as long as the process lives."""
    answers: list[Sequence[str] | Exception] = [ValueError("embedded null byte"), ["192.0.2.1"]]

    def resolve(host: str, port: int) -> Sequence[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def has_none(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def look() -> Sequence[str]:
        names = NameLookups(resolve)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", has_none)
            with pytest.raises(RuntimeError):
                await names.addresses_of("service", 80)
        with pytest.raises(ValueError, match="null"):
            await asyncio.wait_for(names.addresses_of("service", 80), 5)
        return await asyncio.wait_for(names.addresses_of("service", 80), 5)

    assert asyncio.run(look()) == ["192.0.2.1"]
