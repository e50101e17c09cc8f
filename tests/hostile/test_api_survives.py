"""The whole hostile corpus against one real API process: each case refused, and the process lives on.

Documents and templates are those that the other tests of this folder try in process; requests that
are broken below the document come as raw bytes. Prints every case with its outcome.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, ParamSpec

import httpx
import msgspec
import pytest

from tests.hostile import test_documents as documents
from tests.hostile.broken_requests import REQUESTS
from tests.hostile.measured import second
from tests.hostile.test_templates import ESCAPES
from tests.support.documents import reading, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.valkey import Valkey

P = ParamSpec("P")

MEDIA_TYPES: Final = {"json": "application/json", "yaml": "application/yaml"}
EXPRESSIONS: Final = Path(__file__).parents[2] / "workflows" / "expressions.yaml"
GROWTH_BYTES: Final = 64 * 1024 * 1024
PEAK_BYTES: Final = 50 * 1024 * 1024
CPU_SECONDS: Final = 2.0
"""The promise is one second; `measured.py` holds the validator alone to it. This bound is for the whole
process, on a machine with shared cores: the most expensive cases took 0.9 s, and 1.7 s with six programs to
a core. What takes more is compared by the second that the machine has just then, as there."""
TRIES: Final = 4
ANSWER_S: Final = 20.0
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Outcome(msgspec.Struct, frozen=True):
    """One case: the answer, and what it took of the API process (CPU seconds, bytes at the peak)."""

    case: str
    status: int
    code: str
    cpu_s: float
    peak: int
    injected: bool = False

    @property
    def refused(self) -> bool:
        """A client error that cost little, with nothing of the attacker's in its head."""
        return (
            400 <= self.status < 500
            and self.cpu_s < CPU_SECONDS
            and self.peak < PEAK_BYTES
            and not self.injected
        )

    def line(self) -> str:
        """For people."""
        return f"  {self.status} {self.code:24}{self.cpu_s:5.2f} s {self.peak / 1e6:5.1f} MB  {self.case}"


class Watched:
    """What one process takes."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._cpu = 0.0
        self._before = 0

    def begin(self) -> None:
        """Forget the peak (proc(5), clear_refs) and note where it stands."""
        (self._folder / "clear_refs").write_text("5")
        self._before = self.resident()
        self._cpu = self._cpu_s()

    def taken(self) -> tuple[float, int]:
        """CPU seconds since `begin`, and bytes at the peak above where it stood."""
        return self._cpu_s() - self._cpu, max(0, self._kilobytes("VmHWM") * 1024 - self._before)

    def resident(self) -> int:
        """Bytes of memory now."""
        return self._kilobytes("VmRSS") * 1024

    def _kilobytes(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", (self._folder / "status").read_text())
        assert found is not None
        return int(found[1])

    def _cpu_s(self) -> float:
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / self._ticks


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A server and an API on it, without worker and orchestrator."""
    valkey = Valkey()
    with Stack(valkey, {}) as started:
        valkey.start()
        started.start_api()
        yield started


@pytest.mark.proves("hostile-corpus")
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures through Linux's /proc")
def test_the_api_outlives_the_hostile_corpus(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Every case is answered 4xx; one process answers all; its memory does not grow; nothing is stored."""
    api = stack.only("api")
    watched = Watched(api.pid)
    _load_libraries(stack.client)
    settled = watched.resident()
    outcomes = [*_documents(stack.client, watched), *_templates(stack.client, watched)]
    outcomes += _requests(stack.client.base_url.port or 0, watched)
    grown = watched.resident() - settled
    with capsys.disabled():
        sys.stdout.write(f"\n{_table(outcomes, grown)}\n")
    assert [outcome.line() for outcome in outcomes if not outcome.refused] == []
    assert api.exit_code is None
    assert stack.client.get("/health").status_code == 200
    assert len(api.records("api.started")) == 1
    assert not [line for line in api.lines if "Traceback" in line]
    assert grown < GROWTH_BYTES
    with stack.valkey.connect() as redis:
        assert list(redis.scan_iter("fe:x:*")) == []


def _load_libraries(client: httpx.Client) -> None:
    """Have the process load what it loads with the first document that needs it: that is no growth."""
    text = EXPRESSIONS.read_text(encoding="utf-8").replace("handler: ", "handler: no_such_", 1)
    answer = client.post("/workflow", content=text, headers={"Content-Type": MEDIA_TYPES["yaml"]})
    assert answer.status_code == 422


def _documents(client: httpx.Client, watched: Watched) -> Iterator[Outcome]:
    for form, name, make, _ in documents.CASES:
        yield _cheapest(_posted, client, watched, f"{form}: {name}", make(), MEDIA_TYPES[form])


def _templates(client: httpx.Client, watched: Watched) -> Iterator[Outcome]:
    for template in ESCAPES:
        body = json.dumps(workflow(reading("a", template))).encode()
        yield _cheapest(_posted, client, watched, f"template: {template}", body, MEDIA_TYPES["json"])


def _cheapest(ask: Callable[P, Outcome], *args: P.args, **options: P.kwargs) -> Outcome:
    """The first outcome within the bounds, or the last of a few.

    Other programs share the machine's cores and caches, which makes the same work more expensive.
    """
    outcome = ask(*args, **options)
    for _ in range(TRIES - 1):
        if outcome.refused:
            break
        outcome = ask(*args, **options)
    return outcome


def _posted(client: httpx.Client, watched: Watched, case: str, body: bytes, media_type: str) -> Outcome:
    watched.begin()
    response = client.post("/workflow", content=body, headers={"Content-Type": media_type})
    cpu_s, peak = watched.taken()
    if cpu_s >= CPU_SECONDS:
        cpu_s /= second()
    is_problem = response.headers.get("Content-Type") == "application/problem+json"
    code = response.json()["code"] if is_problem else "not a problem document"
    return Outcome(case, response.status_code, code, cpu_s, peak)


def _requests(port: int, watched: Watched) -> Iterator[Outcome]:
    for name, data in REQUESTS.items():
        yield _cheapest(_requested, port, watched, f"request: {name}", data)


def _requested(port: int, watched: Watched, case: str, data: bytes) -> Outcome:
    watched.begin()
    head, _, body = _sent(port, data).partition(b"\r\n\r\n")
    cpu_s, peak = watched.taken()
    status = _STATUS.match(head)
    code = re.search(rb'"code": ?"(\w+)"', body)
    return Outcome(
        case,
        int(status[1]) if status else 0,
        code[1].decode() if code else "refused by the server",
        cpu_s,
        peak,
        injected=b"\ninjected:" in head.lower() or b"Traceback" in body,
    )


def _sent(port: int, data: bytes) -> bytes:
    """The first answer to these bytes; what is sent after it may be cut off."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as connection:
        # The API may refuse before all is sent, or leave the connection open after its response.
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(data)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while chunk := connection.recv(65536):
                received += chunk
    return bytes(received)


def _table(outcomes: list[Outcome], grown: int) -> str:
    refused = sum(outcome.refused for outcome in outcomes)
    lines = [
        f"hostile cases sent to one API process: {len(outcomes)}, refused {refused}; "
        f"its memory grew by {grown / 1e6:.1f} MB",
        *(outcome.line() for outcome in outcomes),
    ]
    return "\n".join(lines)
