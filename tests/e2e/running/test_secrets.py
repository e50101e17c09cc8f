"""A canary secret goes into nodes and must not come out: not in Redis, in a log line, or in an answer."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import redis

from tests.e2e.conftest import ODD_HANDLERS
from tests.e2e.documents import node, same, workflow
from tests.support.rigs.stack_processes import Ended, Process, Stack, running_stack
from tests.support.servers.http_server import HttpServer, Reply, serving
from tests.support.waiting import wait_until

CANARY = 'canary-8f14e45f"ceea167a'
SECRET = "{{ secrets.CANARY }}"
FILED = "filed-8f14e45f+ceea167a"
"""A secret that is kept in a file."""
# A token that services repeat in their own spellings, and an address that is a secret as a whole.
TOKEN = "canary+8f14e45f/&<ceea167a>'"
HOOK = "http://hook-8f14e45f:pw-ceea167a@127.0.0.1:1/services/8f14e45f?key=ceea167a"


@pytest.fixture(scope="module")
def own_service() -> Iterator[HttpServer]:
    """A service that echoes what it is sent, the secret included."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def secret_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Only the worker knows the secrets. The services log at debug, and the server keeps all writes."""
    file = tmp_path_factory.mktemp("secrets") / "filed"
    file.write_text(f"{FILED}\n")
    settings = {"FLOWENGINE_HANDLERS": ODD_HANDLERS, "FLOWENGINE_LOG_LEVEL": "debug"}
    settings["FLOWENGINE_RETRY_BASE_SECONDS"] = "0"
    with running_stack(workers=0, persistent=True, settings=settings) as stack:
        stack.start_service(
            "worker",
            FLOWENGINE_SECRET_CANARY=CANARY,
            FLOWENGINE_SECRET_FILED_FILE=str(file),
            FLOWENGINE_SECRET_TOKEN=TOKEN,
            FLOWENGINE_SECRET_HOOK=HOOK,
        )
        wait_until(stack.serves, within_s=60, what="a stack that serves")
        yield stack


def leaking(service: HttpServer) -> dict[str, Any]:
    """Nodes that leak the secret in every way that a node can."""
    service.answers("/refuses", Reply(status=403, body=f"bad token {CANARY}".encode()))
    service.answers("/fails", Reply(status=500, body=f"cannot parse {CANARY}".encode()))
    echo, headers = service.url("/echo"), {"Authorization": f"Bearer {SECRET}"}
    token = {"X-Token": "{{ secrets.TOKEN }}"}
    return workflow(
        node("raised", "test_leak_error", secret=SECRET),
        node("crash", "test_leak_crash", secret=SECRET),
        node("prints", "test_leak_print", secret=SECRET),
        node("result", "test_leak_result", secret=SECRET),
        same("read", "{{ result.text }}", after=["result"]),
        node("echoed", "http_request", url=echo, headers=headers, params={"t": SECRET}, body={"t": SECRET}),
        node("filed", "http_request", url=service.url("/filed"), headers={"X-Key": "{{ secrets.FILED }}"}),
        node("filed_crash", "test_leak_crash", secret="{{ secrets.FILED }}"),
        node("refused", "http_request", url=service.url("/refuses"), headers=headers),
        node("retried", "http_request", url=service.url("/fails"), headers=headers),
        node("long_error", "test_leak_long_error", secret=SECRET),
        node("bad_url", "http_request", url=SECRET),
        node("no_host", "http_request", url=f"http://{SECRET}.invalid/"),
        node("no_method", "http_request", url=echo, method=f"{SECRET}{SECRET}"),
        node("hook", "http_request", url="{{ secrets.HOOK }}"),
        node("spliced", "test_return", given=f"a {SECRET} b {{{{ 1 // 0 }}}}"),
        node("given", "test_return", given=SECRET),
        node("wrapped", "test_return", given="{{ {'key': secrets.CANARY|tojson ~ '!'} }}"),
        node("unknown", "test_return", given="{{ secrets.NOT_THERE }}"),
        *(
            node(f"echo_{place}", "http_request", url=service.url(path), headers=token)
            for place, path in enumerate(echoes(service))
        ),
    )


def echoes(service: HttpServer) -> list[str]:
    """Paths that respond with the token as frameworks write it, with success and with error statuses."""
    spelled = [
        json.dumps({"error": TOKEN}).replace("/", r"\/"),
        json.dumps({"error": TOKEN}).replace("+", r"\u002B").replace("&", r"\u0026").replace("<", r"\u003c"),
        html.escape(f"<p>{TOKEN}</p>"),
        json.dumps(json.dumps(json.dumps({"error": TOKEN}))),
        quote(TOKEN),
        quote_plus(TOKEN).lower(),
        TOKEN.upper(),
        base64.b64encode(f"user:{TOKEN}".encode()).decode(),
        " " * 1180 + TOKEN,
        "x" * 285 + TOKEN,
    ]
    paths = []
    for place, text in enumerate(spelled):
        for status in (200, 401):
            paths.append(f"/spelled/{place}/{status}")
            service.answers(paths[-1], Reply(status=status, body=text.encode()))
    return paths


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
    spelled = (b"8f14e45f", b"ceea167a", base64.b64encode(b"8f14e45f")[:9], b"pw-cee")
    return any(part.lower() in written.lower() for part in spelled)


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
    assert own_service.called("/spelled/0/401")[0].headers["x-token"] == TOKEN
    accepted = {f"echo_{place}" for place in range(0, 20, 2)}
    plain = {"result", "read", "echoed", "filed", "given", "wrapped", "prints"}
    assert set(ended.results) == plain | accepted


@pytest.mark.proves("secret-in-output")
def test_secret_is_replaced_in_results_and_errors(secret_stack: Stack, ended: Ended) -> None:
    """What a handler returns, raises or is answered shows `***` in its place."""
    execution = ended.status["execution_id"]
    for path in (f"/workflows/{execution}", f"/workflows/{execution}/results", "/health", "/openapi.json"):
        assert not tells(secret_stack.client.get(path).content), path
    assert ended.results["result"]["result"] == "***"
    assert ended.results["result"]["text"] == "Bearer ***"
    assert ended.results["read"]["result"] == ["Bearer ***"]
    assert ended.results["wrapped"]["result"] == [{"key": '"***"!'}]
    assert ended.errors["raised"]["message"] == "login with *** was refused"
    for name in ("crash", "filed_crash"):
        assert "***" in ended.errors[name]["message"]
    assert ended.results["filed"]["data"]["headers"]["x-key"] == "***"
    assert ended.errors["long_error"]["code"] == "leaked_***"
    assert "GET ***" in ended.errors["hook"]["message"]
    assert "NOT_THERE" in ended.errors["unknown"]["message"]


@pytest.mark.proves("secret-in-output")
def test_secret_is_in_no_key(secret_stack: Stack, ended: Ended) -> None:
    """Every key and value of the server, queues and dead letters included."""
    with secret_stack.valkey.connect() as server:
        stored = everything_in(server)
    assert ended.status["execution_id"].encode() in stored
    assert [line for line in stored.splitlines() if tells(line)] == []


@pytest.mark.proves("secret-in-output")
def test_secret_was_never_sent_to_the_server(secret_stack: Stack, ended: Ended) -> None:
    """The append-only file holds every write, including messages that are gone by now."""
    files = [path for path in Path(secret_stack.valkey.folder).rglob("*") if path.is_file()]
    written = b"".join(path.read_bytes() for path in files)
    assert ended.status["execution_id"].encode() in written
    assert not tells(written)


@pytest.mark.proves("secret-in-output")
def test_secret_is_in_no_log_line(secret_stack: Stack, ended: Ended) -> None:
    """The log level is debug, and tracebacks are logged."""
    worker: Process = secret_stack.only("worker")
    assert worker.records("secret.leaked"), "the handler's own line is there"
    assert any(ended.status["execution_id"] in line for line in worker.lines)
    assert [line for line in secret_stack.lines() if tells(line)] == []


@pytest.mark.proves("secret-printed")
def test_secret_is_in_nothing_that_a_handler_prints(secret_stack: Stack, ended: Ended) -> None:
    """To its standard output and error, in pieces, and as a traceback."""
    worker = secret_stack.only("worker")
    assert "prints" in ended.results
    wait_until(lambda: "ValueError: ***" in worker.lines, what="the handler's last line")
    assert {"print.said ***", "*** print.written"} <= set(worker.lines)
    assert [line for line in worker.lines if tells(line)] == []


@pytest.mark.proves("secret-of-another-process")
def test_a_process_hides_what_another_has_handed_out(own_service: HttpServer, tmp_path: Path) -> None:
    """One process sends the secrets to a service, others get them back; after a restart as well.

    The worker's own credentials are hidden too: the language model's key and the password in its address.
    """
    file = tmp_path / "filed"
    file.write_text(f"{FILED}\n")
    given = {
        "FLOWENGINE_SECRET_CANARY": CANARY,
        "FLOWENGINE_SECRET_FILED_FILE": str(file),
        "LLM_API_KEY": "key-8f14e45f",
        "LLM_BASE_URL": "http://user:pw%2Fceea167a@127.0.0.1:1/v1",
    }
    kept = f"{CANARY} {FILED} key-8f14e45f pw%2Fceea167a pw/ceea167a"
    own_service.answers("/kept", Reply(body=kept.encode(), delay_s=0.2))
    keep = node("keep", "http_request", url=own_service.url("/keep"), method="POST", body=[SECRET])
    fetch = [node(f"get{at}", "http_request", url=own_service.url("/kept")) for at in range(8)]
    two = ("--processes", "2", "--threads", "2")
    with running_stack(workers=0) as stack:
        worker = stack.start_service("worker", *two, **given)
        wait_until(lambda: stack.serves() and len(worker.children()) == 2, within_s=60, what="two processes")
        first = stack.run(workflow(keep, *fetch))
        worker.terminate()
        worker.wait()
        stack.start_service("worker", *two, **given)
        second = stack.run(workflow(*fetch))
        lines = stack.lines()
    assert own_service.called("/keep")[0].json() == [CANARY]
    for ended in (first, second):
        texts = [ended.results[item["id"]]["data"] for item in fetch]
        assert texts == ["*** *** *** *** ***"] * len(fetch)
    assert [line for line in lines if tells(line)] == []


def test_secret_is_refused_nowhere_but_in_the_worker(secret_stack: Stack, own_service: HttpServer) -> None:
    """The API accepts a workflow that names a secret it does not know."""
    assert secret_stack.create(leaking(own_service))


ALTERED = [
    node("a", "test_return", given="{{ secrets.CANARY|upper }}"),
    node("a", "test_return", given="{{ secrets.CANARY[:20] }}"),
    node("a", "test_return", given="{{ secrets.CANARY|replace('4', '-4') }}"),
    node("a", "test_return", given="{{ secrets.CANARY.missing }}"),
    node("a", "transform", transform_type="reverse", input=SECRET),
    node("a", "compute", operation="add", a=SECRET, b=1),
    node("a", "aggregate", aggregate_type="sum", inputs=SECRET),
    node("a", "test_pure", given=SECRET),
]


@pytest.mark.proves("secret-altered")
@pytest.mark.parametrize("altering", ALTERED, ids=lambda item: f"{item['handler']} {item['config']}"[:60])
def test_workflow_that_would_alter_a_secret_is_refused(secret_stack: Stack, altering: dict[str, Any]) -> None:
    """An altered secret could not be found in the results, so nothing is stored."""
    answer = secret_stack.client.post("/workflow", json=workflow(altering))
    assert answer.status_code == 422
    assert [problem["code"] for problem in answer.json()["problems"]] == ["secret_not_allowed"]
