"""A TCP proxy that breaks connections on demand, between services and their server.

Decides how a network fails: cut, stalled, a reply lost after the request was served, a request cut in
the middle. Knows nothing of what passes through. Runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from typing import Final

HOST: Final = "127.0.0.1"
START_S: Final = 5.0


class _Link:
    """One connection through the proxy: a client's side and a server's side."""

    def __init__(self) -> None:
        self.client: asyncio.Transport | None = None
        self.server: asyncio.Transport | None = None
        self.before: list[bytes] = []
        self.drop_reply: Callable[[], None] | None = None
        self.halve_request = False

    def abort(self) -> None:
        """Cut both sides; what is buffered is lost."""
        for side in (self.client, self.server):
            if side is not None:
                side.abort()

    def requested(self, data: bytes) -> None:
        """Pass on what the client sent; the part before the server's side is there waits for it."""
        if self.halve_request and len(data) > 1:
            if self.server is not None:
                self.server.write(data[: len(data) // 2])
                self.server.close()
            if self.client is not None:
                self.client.abort()
        elif self.server is None:
            self.before.append(data)
        else:
            self.server.write(data)

    def replied(self, data: bytes) -> None:
        """Pass on what the server answered, or lose it."""
        if self.drop_reply is not None:
            self.drop_reply()
        elif self.client is not None and not self.client.is_closing():
            self.client.write(data)


class _Side(asyncio.Protocol):
    """One side of a link. `opposite` is asked to stop reading while this side cannot write."""

    def __init__(self, proxy: TcpProxy, link: _Link, *, is_client: bool) -> None:
        self._proxy = proxy
        self._link = link
        self._is_client = is_client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._link not in self._proxy.links:
            transport.abort()  # the client went away before the server's side was there
        elif self._is_client:
            self._link.client = transport
        else:
            self._link.server = transport
            transport.writelines(self._link.before)
            self._link.before.clear()
        self._proxy.opened(transport)

    def data_received(self, data: bytes) -> None:
        self._link.requested(data) if self._is_client else self._link.replied(data)

    def pause_writing(self) -> None:
        opposite = self._link.server if self._is_client else self._link.client
        if opposite is not None:
            opposite.pause_reading()

    def resume_writing(self) -> None:
        opposite = self._link.server if self._is_client else self._link.client
        if opposite is not None and not self._proxy.stalled:
            opposite.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        opposite = self._link.server if self._is_client else self._link.client
        if opposite is not None:
            opposite.close()
        self._proxy.links.discard(self._link)


class TcpProxy:
    """A proxy on a free loopback port. Make one with `proxying`; methods may be called from any thread."""

    def __init__(self, server_port: int) -> None:
        self.links: set[_Link] = set()
        self.stalled = False
        self.port = 0
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)
        self._thread.start()
        assert self._ready.wait(START_S), "the proxy did not start"

    # -- faults

    def cut(self, share: float, rng: random.Random) -> int:
        """Cut that share of the connections, at least one; returns how many."""
        return self._in_loop(lambda: self._each(share, rng, _Link.abort))

    def halve_requests(self, share: float, rng: random.Random) -> int:
        """The next request on that share of the connections arrives in part, and the connection ends."""

        def mark(link: _Link) -> None:
            link.halve_request = True

        return self._in_loop(lambda: self._each(share, rng, mark))

    def drop_replies(self, share: float, rng: random.Random, *, silent: bool) -> int:
        """The next reply on that share of the connections is lost, and the connection cut.

        `silent`: it is not cut, and nobody ever answers on it again.
        """

        def mark(link: _Link) -> None:
            link.drop_reply = _nothing if silent else link.abort

        return self._in_loop(lambda: self._each(share, rng, mark))

    def stall(self) -> int:
        """Pass nothing on, in either direction, until `go_on`; returns how many connections wait."""
        return self._in_loop(lambda: self._set_stalled(True))

    def go_on(self) -> None:
        """Pass on again what has been held up; connections that were to lose something lose it no more."""
        self._in_loop(lambda: self._set_stalled(False))

    def lead_to(self, server_port: int) -> None:
        """Connections made from now on go to another server; those that there are stay where they are."""
        self._server_port = server_port

    def heal(self) -> None:
        """End every fault: what is marked or silent is cut, so that its client makes a new connection."""

        def cure(link: _Link) -> None:
            if link.drop_reply is not None or link.halve_request:
                link.abort()

        self.go_on()
        self._in_loop(lambda: self._each(1.0, random.Random(0), cure))

    # -- life

    def stop(self) -> None:
        """Cut everything and free the port."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)

    def opened(self, transport: asyncio.Transport) -> None:
        """For the proxy's own connections: one side is there."""
        if self.stalled:
            transport.pause_reading()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._loop.create_server(self._accept, HOST, 0, backlog=256))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for link in list(self.links):
            link.abort()
        for task in list(self._tasks):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    def _accept(self) -> asyncio.Protocol:
        link = _Link()
        self.links.add(link)
        task = self._loop.create_task(self._connect(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _Side(self, link, is_client=True)

    async def _connect(self, link: _Link) -> None:
        try:
            await self._loop.create_connection(
                lambda: _Side(self, link, is_client=False), HOST, self._server_port
            )
        except OSError:
            link.abort()

    def _each(self, share: float, rng: random.Random, act: Callable[[_Link], None]) -> int:
        links = list(self.links)
        chosen = rng.sample(links, max(1, round(share * len(links)))) if links else []
        for link in chosen:
            act(link)
        return len(chosen)

    def _set_stalled(self, stalled: bool) -> int:
        self.stalled = stalled
        for link in self.links:
            for side in (link.client, link.server):
                if side is not None and not side.is_closing():
                    side.pause_reading() if stalled else side.resume_reading()
        return len(self.links)

    def _in_loop(self, act: Callable[[], int]) -> int:
        done: list[int] = []
        ready = threading.Event()

        def call() -> None:
            done.append(act())
            ready.set()

        self._loop.call_soon_threadsafe(call)
        assert ready.wait(START_S), "the proxy does not answer"
        return done[0]


def _nothing() -> None:
    """Lose a reply, and do no more about it."""


@contextlib.contextmanager
def proxying(server_port: int) -> Iterator[TcpProxy]:
    """A proxy before a server on loopback, for the length of a with block."""
    proxy = TcpProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.stop()
