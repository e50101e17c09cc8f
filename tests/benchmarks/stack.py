"""One system, running: its server, its services, its driver."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis

from tests.benchmarks import processes
from tests.benchmarks.drivers.lines import Samples
from tests.benchmarks.processes import Usage
from tests.benchmarks.systems import System
from tests.support.servers.valkey import Valkey, free_port

ANSWER_WITHIN_S = 300.0
SERVICE_AT = 3
"""Where a command of ours names its service: PYTHON -m flowengine SERVICE."""


class WorkloadFailedError(Exception):
    """A system could not do a workload; the message says why."""


class Stack:
    """Starts with `start`; always `close` it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.server = Valkey(persistent=True)
        self._folder = Path(tempfile.mkdtemp(prefix="flowengine-benchmark-"))
        self._log = self._folder / f"{system.name}.log"
        self._services: list[subprocess.Popen[str]] = []
        self._driver: subprocess.Popen[str] | None = None
        self._python: Path | None = None
        self._port = free_port()

    def start(self, *, services: bool = True) -> None:
        """Server, then driver, then services. Raises NotInstallableError."""
        self._python = self.system.python()
        self.server.start()
        self._driver = self._process([str(self._python), "-m", self.system.driver], pipes=True)
        if services:
            self.start_services()

    def start_services(self) -> None:
        """Start the services; they are up when they answer their first workload."""
        assert self._python is not None
        self._services = [
            self._process(command) for command in self.system.services(self._python, self._port)
        ]

    def _process(self, command: list[str], *, pipes: bool = False) -> subprocess.Popen[str]:
        given = {
            "REDIS_URL": self.server.url,
            "BENCH_REDIS_URL": self.server.url,
            "BENCH_PORT": str(self._port),
            "PREFECT_HOME": str(self._folder),
        }
        return processes.start(command, {**self.system.environment, **given}, pipes=pipes, log=self._log)

    def ask(self, workload: str, **arguments: float) -> Samples:
        """Have the driver do a workload. Raises WorkloadFailedError."""
        self.send(workload, **arguments)
        return self.answer()

    def send(self, workload: str, **arguments: float) -> None:
        """Have the driver begin a workload."""
        assert self._driver is not None
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps({"workload": workload, "arguments": arguments}) + "\n")
        self._driver.stdin.flush()

    def answer(self, meanwhile: Callable[[], None] = lambda: None) -> Samples:
        """What came of it; `meanwhile` is called twice a second until then. Raises WorkloadFailedError."""
        assert self._driver is not None
        assert self._driver.stdout is not None
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while not select.select([self._driver.stdout], [], [], 0.5)[0]:
            meanwhile()
            if time.monotonic() > deadline:
                raise WorkloadFailedError(f"no answer within {ANSWER_WITHIN_S:g} s; {self.last_words()}")
        line = self._driver.stdout.readline()
        if not line:
            raise WorkloadFailedError(f"its driver ended; {self.last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkloadFailedError(answer["error"])
        samples: Samples = answer["samples"]
        return samples

    def last_words(self) -> str:
        """The last line that its processes logged."""
        with suppress(OSError, IndexError):
            return "last logged: " + self._log.read_text().strip().splitlines()[-1][:300]
        return "nothing was logged"

    def pids(self) -> list[int]:
        """All processes of its services, supervisors included; neither server nor driver."""
        return [pid for process in self._services for pid in processes.tree(process.pid)]

    def kill_first_service(self) -> None:
        """End the first of its services, supervisor included, as a machine that is lost would."""
        for pid in processes.tree(self._services[0].pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def usage(self) -> Usage:
        """What the services take."""
        return processes.usage(self.pids())

    def worker_usage(self) -> Usage:
        """What those of the services take that run tasks: of ours the workers, of peers all."""
        found = []
        for process in self._services:
            command = list(process.args) if isinstance(process.args, list) else []
            if "flowengine" not in command or command[SERVICE_AT] == "worker":
                found += processes.tree(process.pid)
        return processes.usage(found)

    def resident(self) -> dict[str, int]:
        """Bytes of each process of its services, by service; a supervisor under a name of its own."""
        found = {}
        for process in self._services:
            pids = processes.tree(process.pid)
            for at, pid in enumerate(pids):
                service = list(process.args)[SERVICE_AT] if isinstance(process.args, list) else "service"
                name = f"{service}'s supervisor" if len(pids) > 1 and at == 0 else f"{service}"
                found[name] = processes.usage([pid]).rss
        return found

    def server_usage(self) -> Usage:
        """What its server takes."""
        with self.server.connect() as client:
            info: dict[str, int] = client.info("server")
            return processes.usage([info["process_id"]])

    def command_count(self) -> int:
        """Commands that its server has processed."""
        with self.server.connect() as client:
            info: dict[str, int] = client.info("stats")
            return info["total_commands_processed"]

    def close(self) -> None:
        """End everything, whatever state it is in."""
        everything = [*self._services, *([self._driver] if self._driver else [])]
        processes.stop(everything)
        with suppress(redis.RedisError, OSError):
            self.server.close()
        shutil.rmtree(self._folder, ignore_errors=True)
