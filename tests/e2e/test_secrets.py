"""A canary secret goes into nodes and must not come out: not in Redis, in a log line, or in an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.conftest import ODD_HANDLERS
from tests.e2e.documents import node, same, workflow
from tests.support.http_server import HttpServer, Reply, serving
from tests.support.stack_processes import Ended, Process, Stack, running_stack
from tests.support.waiting import wait_until

CANARY = 'canary-8f14e45f"ceea167a'
SECRET = "{{ secrets.CANARY }}"
FILED = "filed-8f14e45f+ceea167a"
"""Kept in a file."""


@pytest.fixture(scope="module")
def own_service() -> Iterator[HttpServer]:
    """A service that echoes what it is sent, the secret included."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def secret_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose worker alone knows the secrets, which logs all it can, on a server that keeps all."""
    file = tmp_path_factory.mktemp("secrets") / "filed"
    file.write_text(f"{FILED}\n")
    settings = {"FLOWENGINE_HANDLERS": ODD_HANDLERS, "FLOWENGINE_LOG_LEVEL": "debug"}
    settings["FLOWENGINE_RETRY_BASE_SECONDS"] = "0"
    with running_stack(workers=0, persistent=True, settings=settings) as stack:
        secrets = {"FLOWENGINE_SECRET_CANARY": CANARY, "FLOWENGINE_SECRET_FILED_FILE": str(file)}
        stack.start_service("worker", **secrets)
        wait_until(stack.serves, within_s=60, what="a stack that serves")
        yield stack


def leaking(service: HttpServer) -> dict[str, Any]:
    """Every way in which a node could tell what it was given."""
    service.answers("/refuses", Reply(status=403, body=f"bad token {CANARY}".encode()))
    service.answers("/fails", Reply(status=500, body=f"cannot parse {CANARY}".encode()))
    echo, headers = service.url("/echo"), {"Authorization": f"Bearer {SECRET}"}
    return workflow(
        node("error", "test_leak_error", secret=SECRET),
        node("crash", "test_leak_crash", secret=SECRET),
        node("result", "test_leak_result", secret=SECRET),
        same("read", "{{ result.text }}", after=["result"]),
        node("echoed", "http_request", url=echo, headers=headers, params={"t": SECRET}, body={"t": SECRET}),
        node("filed", "http_request", url=service.url("/filed"), headers={"X-Key": "{{ secrets.FILED }}"}),
        node("filed_crash", "test_leak_crash", secret="{{ secrets.FILED }}"),
        node("refused", "http_request", url=service.url("/refuses"), headers=headers),
        node("retried", "http_request", url=service.url("/fails"), headers=headers),
        node("not_json", "transform", transform_type="json_parse", input=SECRET),
        node("no_number", "compute", operation="add", a=SECRET, b=1),
        node("no_list", "aggregate", aggregate_type="sum", inputs=SECRET),
        node("bad_url", "http_request", url=SECRET),
        node("no_host", "http_request", url=f"http://{SECRET}.invalid/"),
        same("rendered", "{{ secrets.CANARY.missing }}"),
        same("spliced", f"a {SECRET} b {{{{ 1 // 0 }}}}"),
        same("shouted", SECRET),
        same("unknown", "{{ secrets.NOT_THERE }}"),
    )


def everything_in(server: redis.Redis) -> bytes:
    """Names and values of all keys of all types, in one piece."""
    readers: dict[bytes, tuple[object, ...]] = {
        b"string": ("GET",),
        b"hash": ("HGETALL",),
        b"zset": ("ZRANGE", 0, -1),
        b"set": ("SMEMBERS",),
        b"list": ("LRANGE", 0, -1),
        b"stream": ("XRANGE", "-", "+"),
    }
    parts: list[bytes] = []
    for key in server.scan_iter(count=1000):
        command, *arguments = readers[bytes(server.execute_command("TYPE", key))]
        parts.append(key + repr(server.execute_command(str(command), key, *arguments)).encode())
    return b"\n".join(parts)


def tells(text: str | bytes) -> bool:
    """Whether the canary, or a good part of it in any spelling, is in the text."""
    written = text if isinstance(text, bytes) else text.encode()
    return b"8f14e45f" in written or b"ceea167a" in written


@pytest.fixture(scope="module")
def ended(secret_stack: Stack, own_service: HttpServer) -> Ended:
    """The execution, ended, and triggered again so that failures are stored twice."""
    first = secret_stack.run(leaking(own_service), within_s=60)
    secret_stack.trigger(first.status["execution_id"])
    return secret_stack.ended(first.status["execution_id"], within_s=60)


def test_secret_reaches_the_services_that_need_it(ended: Ended, own_service: HttpServer) -> None:
    """It is really used: otherwise its absence elsewhere would prove nothing."""
    call = own_service.called("/echo")[0]
    assert call.headers["authorization"] == f"Bearer {CANARY}"
    assert call.query == {"t": CANARY}
    assert call.json() == {"t": CANARY}
    assert own_service.called("/filed")[0].headers["x-key"] == FILED
    assert set(ended.results) == {"result", "read", "echoed", "filed", "shouted"}


def test_secret_is_replaced_in_results_and_errors(secret_stack: Stack, ended: Ended) -> None:
    """What a handler returns, raises or is answered shows `***` in its place."""
    execution = ended.status["execution_id"]
    for path in (f"/workflows/{execution}", f"/workflows/{execution}/results", "/health", "/openapi.json"):
        assert not tells(secret_stack.client.get(path).content), path
    assert ended.results["result"]["result"] == "***"
    assert ended.results["result"]["text"] == "Bearer ***"
    assert ended.results["read"]["result"] == ["Bearer ***"]
    assert ended.errors["error"]["message"] == "login with *** was refused"
    for name in ("crash", "filed_crash"):
        assert ended.errors[name]["message"].count("***") == 1
    assert ended.results["filed"]["data"]["headers"]["x-key"] == "***"
    assert "NOT_THERE" in ended.errors["unknown"]["message"]


def test_secret_is_in_no_key(secret_stack: Stack, ended: Ended) -> None:
    """Every key and value of the server, queues and dead letters included."""
    with secret_stack.valkey.connect() as server:
        stored = everything_in(server)
    assert ended.status["execution_id"].encode() in stored
    assert [line for line in stored.splitlines() if tells(line)] == []


def test_secret_was_never_sent_to_the_server(secret_stack: Stack, ended: Ended) -> None:
    """The append-only file holds every write that there ever was, messages long gone included."""
    files = [path for path in Path(secret_stack.valkey.folder).rglob("*") if path.is_file()]
    written = b"".join(path.read_bytes() for path in files)
    assert ended.status["execution_id"].encode() in written
    assert not tells(written)


def test_secret_is_in_no_log_line(secret_stack: Stack, ended: Ended) -> None:
    """At the level that tells most, tracebacks included."""
    worker: Process = secret_stack.only("worker")
    assert worker.records("secret.leaked"), "the handler's own line is there"
    assert any(ended.status["execution_id"] in line for line in worker.lines)
    assert [line for line in secret_stack.lines() if tells(line)] == []


def test_secret_is_refused_nowhere_but_in_the_worker(secret_stack: Stack, own_service: HttpServer) -> None:
    """The API accepts a workflow that names a secret it does not know."""
    assert secret_stack.create(leaking(own_service))
