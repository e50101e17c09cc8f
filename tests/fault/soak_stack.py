"""The soak's processes: a server on its append-only file, services on it, a proxy before each service.

Decides what runs and starts again what has ended; refuses to know why it ended. Everything is ended
by the pid that was started, whatever happens.

The server's folder is in memory where there is such a folder. With `appendfsync everysec` (the
default, kept here) the server writes before it answers, except while the kernel is busy with the last
fsync: then a SIGKILL could lose the moment since, as a power cut always can. In memory an fsync takes
no time, so what is tested is the promise: nothing acknowledged is lost when the process is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx

from tests.fault.soak_turns import FILE
from tests.support.rigs.stack_processes import FLOWENGINE, Process, clean_environment
from tests.support.servers.tcp_proxy import TcpProxy
from tests.support.servers.valkey import Valkey, free_port
from tests.support.waiting import wait_until

SERVICES: Final[Mapping[str, int]] = {"api": 2, "orchestrator": 2, "worker": 2}
LEASE_S: Final = 2.0
START_S: Final = 60.0
ORPHANS_END_WITHIN_S: Final = 30.0
_IN_MEMORY: Final = Path("/dev/shm")

_SETTINGS: Final = {
    "FLOWENGINE_HANDLERS": "tests.fault.soak_handlers",
    "FLOWENGINE_EGRESS": "any",
    "FLOWENGINE_LOG_FORMAT": "json",
    "FLOWENGINE_LOG_LEVEL": "warning",
    "FLOWENGINE_MAX_DELIVERIES": "1000",
    "FLOWENGINE_LEASE_SECONDS": str(LEASE_S),
    "FLOWENGINE_SWEEP_SECONDS": "5",
    "FLOWENGINE_STOP_SECONDS": "5",
    "FLOWENGINE_GRACE_SECONDS": "3",
    "FLOWENGINE_RETRY_BASE_SECONDS": "0.05",
    "FLOWENGINE_API_TIMEOUT_SECONDS": "3",
}


class SoakStack:
    """What runs. Make one with `soaking`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.valkey = Valkey(
            persistent=True, folder=folder / "server", config={"maxmemory-policy": "noeviction"}
        )
        self.proxies: dict[str, TcpProxy] = {}
        self.ended: list[Process] = []
        self._running: dict[str, dict[int, Process]] = {name: {} for name in SERVICES}
        self._api_ports = tuple(free_port() for _ in range(SERVICES["api"]))
        self._orphans: set[int] = set()
        self.turns = folder / "turns"

    @property
    def api_urls(self) -> tuple[str, ...]:
        """Where the APIs listen, each time that they run."""
        return tuple(f"http://127.0.0.1:{port}" for port in self._api_ports)

    def start(self) -> None:
        """Start everything; returns once it serves."""
        (self.folder / "server").mkdir(exist_ok=True)
        self.valkey.start()
        for name in SERVICES:
            self.proxies[name] = TcpProxy(self.valkey.port)
        self.revive()
        self.wait_until_it_serves()

    def wait_until_it_serves(self) -> None:
        """Return once every API answers that all is well; AssertionError if that takes too long."""
        with httpx.Client(timeout=5, trust_env=False) as client:
            try:
                wait_until(
                    lambda: all(_serves(client, url) for url in self.api_urls),
                    within_s=2 * START_S,
                    what="a stack that serves",
                    every_s=0.1,
                )
            except AssertionError as error:
                told = {url: client.get(f"{url}/health").text for url in self.api_urls}
                raise AssertionError(f"{error}: {told}") from error

    def revive(self) -> None:
        """Start again whatever has ended: APIs, and supervisors of the others."""
        for name, wanted in SERVICES.items():
            running = self._running[name]
            for slot in range(wanted):
                process = running.get(slot)
                if process is None or process.exit_code is not None:
                    self.ended += [] if process is None else [process]
                    running[slot] = self._launch(name, slot)

    def processes(self) -> list[Process]:
        """Every process that was started and may still run."""
        return [process for running in self._running.values() for process in running.values()]

    def supervisors(self, name: str) -> list[Process]:
        """The processes of a service that were started here."""
        return [process for process in self._running[name].values() if process.exit_code is None]

    def pids(self, name: str) -> list[int]:
        """The pids of the processes that do a service's work."""
        started = self.supervisors(name)
        if name == "api":
            return [process.pid for process in started]
        return [pid for process in started for pid in process.children()]

    def orphan(self, supervisor: Process) -> None:
        """Kill a supervisor alone. Its children must end by themselves."""
        self._orphans.update(supervisor.children())
        os.kill(supervisor.pid, signal.SIGKILL)

    def orphans_left(self) -> list[int]:
        """The children of killed supervisors that still run."""
        self._orphans = {pid for pid in self._orphans if _is_service(pid)}
        return sorted(self._orphans)

    def records(self, event: str) -> list[Mapping[str, object]]:
        """The log lines of one event, of all processes there ever were."""
        return [record for process in [*self.ended, *self.processes()] for record in process.records(event)]

    def lines(self) -> list[str]:
        """Every line that any process has printed."""
        return [line for process in [*self.ended, *self.processes()] for line in list(process.lines)]

    def close(self) -> None:
        """End everything at once."""
        for process in [*self.processes(), *self.ended]:
            process.close()
        for pid in self.orphans_left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for proxy in self.proxies.values():
            proxy.stop()
        with contextlib.suppress(ProcessLookupError, AttributeError):
            self.valkey.thaw()
        self.valkey.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _launch(self, name: str, slot: int) -> Process:
        options = ["--port", str(self._api_ports[slot])] if name == "api" else []
        url = f"redis://127.0.0.1:{self.proxies[name].port}/0"
        environment = clean_environment(**_SETTINGS, **{FILE: str(self.turns)}, REDIS_URL=url)
        return Process(name, [FLOWENGINE, name, *options], environment, self.folder)


def _serves(client: httpx.Client, url: str) -> bool:
    try:
        checks = client.get(f"{url}/health").json()["checks"]
    except (httpx.HTTPError, ValueError, KeyError):
        return False
    return len(checks) > 2 and all(value == "ok" for value in checks.values())


def _is_service(pid: int) -> bool:
    """Whether the pid still is a process of ours: pids are given out again."""
    try:
        return b"flowengine.cli" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@contextlib.contextmanager
def soaking() -> Iterator[SoakStack]:
    """A stack that serves, for the length of a with block."""
    where = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    stack = SoakStack(Path(tempfile.mkdtemp(prefix="flowengine-soak-", dir=where)))
    try:
        stack.start()
        yield stack
    finally:
        stack.close()
