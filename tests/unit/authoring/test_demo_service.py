"""The small service that `--demo` starts, and what it plays for the examples."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from flowengine.cli.authoring import demo_service
from flowengine.cli.authoring.demo_service import DEMO_PORT, HOST, MAX_BODY, DemoService, demo_environment
from flowengine.cli.workflow_files import is_case_file
from flowengine.errors import CannotRunError
from tests.support.servers.http_server import json_reply, serving
from tests.support.waiting import wait_until

WORKFLOWS = Path(__file__).parents[3] / "workflows"


@pytest.fixture
def demo() -> Iterator[httpx.Client]:
    """The service on a free port, and a client of it."""
    with DemoService(0) as service, httpx.Client(base_url=service.url, trust_env=False) as client:
        yield client


def test_job_is_running_at_first_and_then_done(demo: httpx.Client) -> None:
    """Each by itself; one that there is not is answered 404."""
    first, second = (demo.post("/jobs", json={}).json()["id"] for _ in range(2))
    assert [demo.get(f"/jobs/{first}").json()["state"] for _ in range(4)] == [
        "running",
        "running",
        "done",
        "done",
    ]
    assert demo.get(f"/jobs/{second}").json()["state"] == "running"
    assert demo.get("/jobs/99").status_code == 404


def test_job_that_names_an_address_is_answered_there(
    demo: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment later, on this machine only."""
    monkeypatch.setattr(demo_service, "REPLY_AFTER_S", 0.01)
    with serving() as caller:
        caller.answers("/called", json_reply({}))
        demo.post("/jobs", json={"reply_to": "http://192.0.2.1:1/called"})
        demo.post("/jobs", json={"reply_to": caller.url("/called")})
        wait_until(lambda: caller.called("/called"), what="the reply")
        assert [call.json() for call in caller.called("/called")] == [{"pages": 12}]


def test_orders_come_in_pages(demo: httpx.Client) -> None:
    """Each page names the next, and the last one none."""
    token, pages = None, []
    while True:
        pages.append(demo.get("/orders", params={} if token is None else {"token": token}).json())
        token = pages[-1]["next"]
        if token is None:
            break
    assert sum(order["total"] for page in pages for order in page["orders"]) == 180
    assert demo.get("/orders", params={"token": "x"}).status_code == 404


def test_echo_shows_what_was_sent(demo: httpx.Client) -> None:
    """JSON as JSON, anything else as text."""
    assert demo.put("/echo?a=1", json={"b": 2}).json() == {
        "method": "PUT",
        "query": {"a": "1"},
        "body": {"b": 2},
    }
    assert demo.post("/echo", content=b"\xff").json()["body"] == "\ufffd"


def test_model_answers_at_once_or_in_a_stream(demo: httpx.Client) -> None:
    """The text is the same."""
    question = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}
    whole = demo.post("/v1/chat/completions", json=question).json()
    assert (whole["model"], whole["usage"]["prompt_tokens"]) == ("m", 3)
    stream = demo.post("/v1/chat/completions", json={**question, "stream": True})
    assert stream.headers["content-type"] == "text/event-stream"
    *chunks, end = [line.removeprefix("data: ") for line in stream.text.split("\n\n") if line]
    assert end == "[DONE]"
    said = "".join(
        choice["delta"].get("content", "") for chunk in chunks for choice in json.loads(chunk)["choices"]
    )
    assert said == whole["choices"][0]["message"]["content"]
    assert demo.post("/v1/chat/completions", json=[]).status_code == 400


def test_body_that_is_too_large_is_refused() -> None:
    """By what its head says: it is not read."""
    with DemoService(0) as service:
        port = int(service.url.rpartition(":")[2])
        with socket.create_connection((HOST, port), timeout=20) as connection:
            head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_port_that_is_taken_is_one_clear_line() -> None:
    """With the address."""
    with DemoService(0) as service, pytest.raises(CannotRunError, match="cannot listen on 127"):
        DemoService(int(service.url.rpartition(":")[2]))


def test_examples_that_call_a_service_call_this_one() -> None:
    """By the defaults of their inputs; what asks a model asks it too."""
    address = f"http://{HOST}:{DEMO_PORT}"
    found = {}
    for path in (each for each in WORKFLOWS.glob("*.yaml") if not is_case_file(each)):
        inputs = (yaml.safe_load(path.read_text()) or {}).get("inputs") or {}
        if "service" in inputs:
            found[path.stem] = inputs["service"]["default"]
    assert found == dict.fromkeys(("http_and_llm", "polling", "paging", "callback"), address)
    assert demo_environment(address)["LLM_BASE_URL"] == f"{address}/v1"
