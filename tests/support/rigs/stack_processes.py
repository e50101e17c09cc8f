"""The whole stack as a user runs it: a server, the API, orchestrators and workers, each a real process.

Decides how the processes start, where their lines go and how they end (by pid, never by name);
refuses to know what a workflow means. Every process gets an environment of its own: nothing of the
developer's settings, nor a `.env` file, reaches it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import httpx
import msgspec

from tests.support.checks.invariants import check_drained, check_everything, is_quiet
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

ROOT: Final = Path(__file__).parents[3]
FLOWENGINE: Final = str(Path(sys.executable).with_name("flowengine"))
START_S: Final = 90.0
STOP_S: Final = 20.0
QUIET_WITHIN_S: Final = 30.0

_OURS: Final = ("FLOWENGINE_", "LLM_", "REDIS_URL", "NO_COLOR", "DRAMATIQ_", "PYTEST_")
_UNREADABLE: Final[Mapping[str, Any]] = {}


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without any setting of the engine, and with these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings}


class Process:
    """A running program and every line that it has printed."""

    def __init__(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self.name = name
        self.lines: list[str] = []
        self._popen = subprocess.Popen(
            argv,
            env=environment,
            cwd=folder or ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name=f"lines-of-{name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        """The pid of the program that was started: a supervisor's, or the API's own."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._popen.poll()

    def records(self, event: str | None = None) -> list[Mapping[str, Any]]:
        """Its JSON log lines, or those of one event, in order."""
        parsed = [_record(line) for line in list(self.lines)]
        return [record for record in parsed if record and (event is None or record.get("event") == event)]

    def children(self) -> list[int]:
        """The pids of the processes that it has started and that still run; none once it has ended."""
        if self.exit_code is not None:
            return []
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []

    def wait(self, within_s: float = STOP_S) -> int:
        """The exit code, once it has ended and all of its lines are here."""
        code = self._popen.wait(within_s)
        self._reader.join(5)
        return code

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._popen.terminate()

    def interrupt(self) -> None:
        """Ask it to end as Ctrl-C does (SIGINT)."""
        self._popen.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End it, whatever it does; its own children end with it."""
        children = self.children()
        self._popen.kill()
        self._popen.wait()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reader.join(5)
        if self._popen.stdout is not None and not self._reader.is_alive():
            self._popen.stdout.close()


def _record(line: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return _UNREADABLE


class Ended(msgspec.Struct, frozen=True):
    """An execution that has ended: its status document and its results document."""

    status: dict[str, Any]
    outcome: dict[str, Any]

    @property
    def results(self) -> dict[str, Any]:
        """Outputs by node."""
        found: dict[str, Any] = self.outcome["results"]
        return found

    @property
    def errors(self) -> dict[str, Any]:
        """Errors by node."""
        found: dict[str, Any] = self.outcome["errors"]
        return found

    def node(self, name: str) -> dict[str, Any]:
        """One node of the status document."""
        return node_of(self.status, name)

    def seconds_of(self, name: str) -> float:
        """How long a node ran."""
        began, ended = (
            datetime.fromisoformat(self.node(name)[moment]) for moment in ("started_at", "finished_at")
        )
        return (ended - began).total_seconds()


def node_of(status: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One node of a status document."""
    found: dict[str, Any] = next(item for item in status["nodes"] if item["id"] == name)
    return found


class Stack:
    """A server and the services on it. Make one with `running_stack`."""

    def __init__(self, valkey: Valkey, settings: Mapping[str, str]) -> None:
        self.valkey = valkey
        self.folder = Path(tempfile.mkdtemp(prefix="flowengine-stack-"))
        self.processes: list[Process] = []
        self.client = httpx.Client(timeout=30, trust_env=False)
        self._settings = dict(settings)

    def environment(self, **settings: str) -> dict[str, str]:
        """What a process of this stack is given."""
        fixed = {"REDIS_URL": self.valkey.url, "FLOWENGINE_EGRESS": "any", "FLOWENGINE_LOG_FORMAT": "json"}
        return clean_environment(**{**fixed, **self._settings, **settings})

    def launch(self, name: str, argv: Sequence[str], **settings: str) -> Process:
        """Start a program with this stack's settings; it ends with the stack."""
        process = Process(name, argv, self.environment(**settings), self.folder)
        self.processes.append(process)
        return process

    def start_api(self, **settings: str) -> Process:
        """Start an API on a free port; requests go to it from now on."""
        process = self.launch("api", [FLOWENGINE, "api", "--port", "0"], **settings)
        wait_until(lambda: process.records("api.started"), within_s=START_S, what="the API's start")
        self.client.base_url = httpx.URL(f"http://127.0.0.1:{process.records('api.started')[0]['port']}")
        return process

    def start_service(self, service: str, *options: str, **settings: str) -> Process:
        """Start an orchestrator or a worker, under its supervisor."""
        return self.launch(service, [FLOWENGINE, service, *options], **settings)

    def named(self, name: str) -> list[Process]:
        """The processes of one service, oldest first."""
        return [process for process in self.processes if process.name == name]

    def only(self, name: str) -> Process:
        """The one process of a service."""
        (process,) = self.named(name)
        return process

    def lines(self) -> list[str]:
        """Every line of every process."""
        return [line for process in self.processes for line in list(process.lines)]

    @property
    def url(self) -> str:
        """Where the API is, without a slash at the end."""
        return str(self.client.base_url).rstrip("/")

    def serves(self) -> bool:
        """Whether the API answers, and an orchestrator and a worker are there."""
        return all(value == "ok" for value in self.checks().values())

    def checks(self) -> dict[str, str]:
        """What /health says of each part."""
        found: dict[str, str] = self.client.get("/health").json()["checks"]
        return found

    def create(self, document: object, *, correlation_id: str | None = None) -> str:
        """The id of an execution of a workflow that is accepted."""
        headers = {} if correlation_id is None else {"X-Correlation-ID": correlation_id}
        response = self.client.post("/workflow", json=document, headers=headers)
        assert response.status_code == 201, response.text
        created: str = response.json()["execution_id"]
        return created

    def trigger(self, execution: str) -> None:
        """Start it; it must be in a state that allows it."""
        response = self.client.post(f"/workflow/trigger/{execution}")
        assert response.status_code == 202, response.text

    def cancel(self, execution: str) -> dict[str, Any]:
        """Cancel it; it must not have ended."""
        return self.steer(execution, "cancel")

    def steer(self, execution: str, how: str) -> dict[str, Any]:
        """Cancel, pause or resume it, which must be possible."""
        response = self.client.post(f"/workflows/{execution}/{how}")
        assert response.status_code == 202, response.text
        return dict(response.json())

    def start(self, document: object, *, correlation_id: str | None = None) -> str:
        """The id of an execution that is accepted and started."""
        execution = self.create(document, correlation_id=correlation_id)
        self.trigger(execution)
        return execution

    def status(self, execution: str) -> dict[str, Any]:
        """The status document."""
        response = self.client.get(f"/workflows/{execution}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    def ended(self, execution: str, *, within_s: float = 40.0) -> Ended:
        """Status and results, once the execution has ended."""
        deadline = time.monotonic() + within_s
        pause = 0.01
        while (status := self.status(execution))["status"] not in ("completed", "failed", "cancelled"):
            if time.monotonic() > deadline:
                raise AssertionError(f"{execution} has not ended within {within_s} s: {status}")
            time.sleep(pause)
            pause = min(0.2, pause * 1.3)
        response = self.client.get(f"/workflows/{execution}/results")
        assert response.status_code == 200, response.text
        return Ended(status, response.json())

    def run(self, document: object, *, within_s: float = 40.0, correlation_id: str | None = None) -> Ended:
        """Accept, start and wait for the end."""
        return self.ended(self.start(document, correlation_id=correlation_id), within_s=within_s)

    def events(self, execution: str) -> list[dict[str, Any]]:
        """All that its events tell, in their order."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            response = self.client.get(f"/workflows/{execution}/events", params={"limit": "500", **after})
            assert response.status_code == 200, response.text
            page = response.json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            after = {"cursor": page["next_cursor"]}

    def node_is(self, execution: str, name: str, status: str) -> Callable[[], bool]:
        """A condition to wait for: the node is in that status."""
        return lambda: node_of(self.status(execution), name)["status"] == status

    def check(self, *, dead_letters: int = 0) -> None:
        """Assert every invariant, once everything that was started has ended and nothing is left of it."""
        with self.valkey.connect(socket_timeout=30) as client:
            try:
                wait_until(
                    lambda: is_quiet(client),
                    within_s=QUIET_WITHIN_S,
                    what="an end of everything",
                    every_s=0.05,
                )
            except AssertionError:
                # Tells what is left.
                check_drained(client)
                raise
            check_everything(client, dead_letters=dead_letters)

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.close()
        self.client.close()
        self.valkey.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@contextlib.contextmanager
def running_stack(
    *,
    workers: int = 1,
    worker_options: Sequence[str] = (),
    persistent: bool = False,
    settings: Mapping[str, str] | None = None,
    dead_letters: int = 0,
    settles: bool = True,
) -> Iterator[Stack]:
    """A stack that serves, for the length of a with block. `workers` may be 0.

    When the block has passed, everything that was started must come to its end, and every invariant
    hold: with so many `dead_letters`. Not with `settles=False`, where something is rightly left.
    """
    valkey = Valkey(persistent=persistent, config={"maxmemory-policy": "noeviction"})
    with Stack(valkey, settings or {}) as stack:
        valkey.start()
        stack.start_service("orchestrator")
        for _ in range(workers):
            stack.start_service("worker", *worker_options)
        stack.start_api()
        if workers:
            wait_until(stack.serves, within_s=START_S, what="a stack that serves")
        yield stack
        if settles:
            stack.check(dead_letters=dead_letters)
