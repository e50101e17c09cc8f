"""The API's HTTP server: uvicorn, in this process, which finishes what runs before it stops.

uvicorn takes less memory than granian. It reads HTTP with httptools, which costs less than h11; the bound on
a request's head that h11 brings is ours (`edge/http_protocol.py`). The figures are in DESIGN.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Final

import structlog
import uvicorn

from flowengine.api.access.host_rules import check_binding
from flowengine.api.app import Application
from flowengine.api.edge.connections import Connections
from flowengine.errors import CannotRunError
from flowengine.settings import Settings

log = structlog.stdlib.get_logger()

_STOP_S: Final = 5
_TICK_S: Final = 1.0
_BACKLOG: Final = 1024
"""Connections that the system may hold until they are accepted."""
_ACCEPTED_AT_ONCE: Final = 16
"""Connections that asyncio accepts before it lets any of them be counted, or one too many be closed."""
_SEND_BUFFER_BYTES: Final = 256 * 1024
"""What the system may hold of a response: more would hide for minutes whether a slow caller reads."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def serve(
    app: Application,
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    has_keys: bool = False,
    listener: socket.socket | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what runs, for 5 seconds at most.

    `host` and `port` are the settings' by default. `has_keys`: there are keys in Redis. `listener`: what
    `listen` gave, in place of an address. Raises SettingsError when the address is open to others and nothing
    keeps them out, CannotRunError when it cannot be listened on.
    """
    Server(app, settings, host=host, port=port, has_keys=has_keys, listener=listener).run()


class Server:
    """A server that listens once it is made, and answers while `run` runs. Raises as `serve`."""

    def __init__(
        self,
        app: Application,
        settings: Settings,
        *,
        host: str | None = None,
        port: int | None = None,
        connections: Connections | None = None,
        has_keys: bool = False,
        listener: socket.socket | None = None,
    ) -> None:
        host = settings.api_host if host is None else host
        check_binding(settings, host, insecure=settings.insecure, has_keys=has_keys)
        self._listener = listener or listen(host, settings.api_port if port is None else port)
        self._uvicorn = _Uvicorn(app, Connections() if connections is None else connections)

    @property
    def address(self) -> tuple[str, int]:
        """The address and port that are bound."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def run(self) -> None:
        """Answer requests until `stop`, or, in the main thread, SIGTERM or SIGINT."""
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        host, port = self.address
        log.info("api.started", host=host, port=port)
        with self._listener:
            self._uvicorn.run(sockets=[self._listener])
        log.info("api.stopped")

    def stop(self) -> None:
        """Let `run` end soon; from any thread."""
        self._uvicorn.handle_exit(signal.SIGTERM, None)


def _config(app: Application, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connections.protocol,  # type: ignore[arg-type]  # uvicorn only calls it, so that a function will do
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_S,
        backlog=_ACCEPTED_AT_ONCE,
    )


def listen(host: str, port: int) -> socket.socket:
    """Listens there; 0 picks a free port. Raises CannotRunError."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda item: item[0] != socket.AF_INET)
        listener = socket.create_server((str(address[0]), int(address[1])), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "another program listens there; choose another --port" if taken else str(error)
        raise CannotRunError(f"cannot listen on {host}:{port}: {reason}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    # asyncio sets this only on sockets of its own. Without it the second request waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Uvicorn(uvicorn.Server):
    """uvicorn's server. It wakes once a second, not ten times, and can be stopped without a signal."""

    _wake: Callable[[], object] | None = None

    def __init__(self, app: Application, connections: Connections) -> None:
        super().__init__(_config(app, connections))
        self._connections = connections
        self._end_streams = app.live.close

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_BACKLOG)  # asyncio has set it to _ACCEPTED_AT_ONCE

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        self._connections.close_overdue(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def main_loop(self) -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(stopped.set)
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), _TICK_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._wake is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._wake()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
