"""The query parameter `wait`: what is answered, when, and what ends a wait."""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from flowengine.api import app
from flowengine.api.access import current_keys
from flowengine.api.access.api_keys import key_of_entry, new_key
from flowengine.api.edge.large_body_memory import MemoryBudget
from flowengine.api.routes.starting import waiting_for_the_end
from flowengine.errors import StoreUnavailableError
from flowengine.execution.events import Event
from flowengine.execution.history.places import Place
from flowengine.execution.history.views import event_view
from tests.support.servers.served_api import ServedApi, served_api
from tests.support.waiting import wait_until

ONE_NODE = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}
START = "/workflow?trigger=true&wait=60"
LARGE = 4_000_000


@pytest.fixture
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def waiting(
    api: ServedApi,
    callers: ThreadPoolExecutor,
    path: str = START,
    headers: Mapping[str, str] | None = None,
    count: int = 1,
) -> Future[httpx.Response]:
    """A start whose answer is held."""
    asked = callers.submit(lambda: api.client.post(path, json=ONE_NODE, headers=headers))
    wait_until(lambda: asked.done() or api.live.count == count)
    return asked


def finish(api: ServedApi, execution: str = "x1", result: bytes = b'{"result":1}') -> None:
    """It completes, and its events tell of it."""
    api.store.finish(execution, {"a": msgspec.Raw(result)})
    finished = event_view(Place(3000, 0, 0), Event("execution_finished", 3000, detail="completed"))
    api.store.stored[execution].events.append(finished)


def test_end_is_answered_with_the_results(api: ServedApi, callers: ThreadPoolExecutor) -> None:
    """In the shape of /results, and where the status is."""
    asked = waiting(api, callers)
    assert not asked.done()
    finish(api)
    answer = asked.result()
    assert (answer.status_code, answer.headers["location"]) == (200, "/workflows/x1")
    assert answer.json() == api.client.get("/workflows/x1/results").json()
    assert api.live.count == 0


def test_trigger_waits_as_well(api: ServedApi, callers: ThreadPoolExecutor) -> None:
    """For the end of the run that it begins."""
    execution = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
    asked = callers.submit(lambda: api.client.post(f"/workflow/trigger/{execution}?wait=60"))
    wait_until(lambda: api.live.count == 1)
    finish(api, execution)
    assert (asked.result().status_code, asked.result().json()["status"]) == (200, "completed")


def test_a_definition_is_waited_for_as_well(api: ServedApi, callers: ThreadPoolExecutor) -> None:
    """For the end of the execution that is started of it."""
    api.client.put("/definitions/One", json=ONE_NODE)
    asked = callers.submit(lambda: api.client.post("/definitions/One/trigger?wait=60"))
    wait_until(lambda: api.live.count == 1)
    finish(api)
    answer = asked.result()
    assert (answer.status_code, answer.headers["location"]) == (200, "/workflows/x1")
    assert answer.json()["status"] == "completed"


def test_time_that_runs_out_is_answered_as_ever(api: ServedApi) -> None:
    """With what a start without a wait is answered; the execution goes on."""
    answer = api.client.post("/workflow?trigger=true&wait=1", json=ONE_NODE)
    assert (answer.status_code, answer.json()["status"], answer.json()["run"]) == (202, "running", 1)
    assert api.live.count == 0


def test_repetition_waits_too(api: ServedApi, callers: ThreadPoolExecutor) -> None:
    """It gets the results, and is told to be one."""
    key = {"Idempotency-Key": "order-1"}
    asked = waiting(api, callers, headers=key)
    finish(api)
    again = api.client.post(START, json=ONE_NODE, headers=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.content == asked.result().content
    assert len(api.store.stored) == 1


@pytest.mark.proves("wait-holds-no-body")
@pytest.mark.parametrize("path", [START, "/workflow/trigger/x1?wait=60"], ids=["posted", "triggered"])
def test_who_waits_holds_nothing_of_what_was_sent(
    api: ServedApi, callers: ThreadPoolExecutor, path: str
) -> None:
    """Neither the first nor the repetition: what was sent does not count as a large body any more."""
    api.client.post("/workflow", json=ONE_NODE)
    body = (msgspec.json.encode(ONE_NODE) if path == START else b"{}") + b" " * LARGE
    headers = {"Content-Type": "application/json", "Idempotency-Key": "order-1"}
    tracemalloc.start()
    try:
        asked = []
        for _ in range(2):
            asked.append(callers.submit(lambda: api.client.post(path, content=body, headers=headers)))
            wait_until(lambda: api.live.count == len(asked))
        wait_until(lambda: tracemalloc.get_traced_memory()[0] < LARGE)
    finally:
        tracemalloc.stop()
    finish(api, "x2" if path == START else "x1")
    assert [each.result().status_code for each in asked] == [200, 200]


@pytest.mark.parametrize("path", ["/workflow?wait=5", "/workflow?trigger=false&wait=5"])
def test_what_does_not_start_is_not_waited_for(api: ServedApi, path: str) -> None:
    """Refused, with what to do, and nothing is stored."""
    answer = api.client.post(path, json=ONE_NODE)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    assert "send 'trigger=true' as well" in answer.json()["detail"]
    assert not api.store.stored


def test_start_of_the_envelope_is_waited_for(api: ServedApi) -> None:
    """It says so there."""
    envelope = {"workflow": ONE_NODE, "trigger": True}
    assert api.client.post("/workflow?wait=1", json=envelope).status_code == 202


@pytest.mark.parametrize("wait", ["0", "61", "-1", "1.5", "", "long", "1&wait=2"])
def test_time_that_cannot_be_is_refused(api: ServedApi, wait: str) -> None:
    """On both routes."""
    for path in ("/workflow?trigger=true&", "/workflow/trigger/x1?"):
        answer = api.client.post(f"{path}wait={wait}", json=ONE_NODE)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    assert not api.store.stored


@pytest.mark.proves("waiter-leaves")
def test_caller_who_leaves_ends_its_wait(api: ServedApi, callers: ThreadPoolExecutor) -> None:
    """Nothing is left of it, and others wait on."""
    other = waiting(api, callers)
    body = msgspec.json.encode(ONE_NODE)
    head = f"POST {START} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: api.live.count == 2)
    wait_until(lambda: api.live.count == 1)
    assert not other.done()
    finish(api)
    assert other.result().status_code == 200


@pytest.mark.proves("wait-hindered")
def test_who_cannot_be_told_is_answered_at_once(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The execution has started: where too many wait, or Redis is gone, the usual answer says so."""
    with monkeypatch.context() as patched:
        patched.setattr("flowengine.api.watching.live_reader.LiveReader.is_full", True)
        assert api.client.post(START, json=ONE_NODE).status_code == 202
    # The first call makes it, and triggers it within; the look is the one after these.
    calls = iter(range(3))

    def break_later() -> None:
        if next(calls, None) is None:
            raise StoreUnavailableError("Redis went away.")

    api.store.before = break_later
    assert api.client.post(START, json=ONE_NODE).status_code == 202
    assert [stored.status for stored in api.store.stored.values()] == ["running"] * 2


@pytest.mark.proves("wait-hindered")
def test_results_that_are_not_sent_are_no_refusal_of_the_start(
    callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many large answers are being sent: the usual one says that it has started, and which it is."""
    monkeypatch.setattr(app, "response_budget", lambda limits: MemoryBudget(100_000, "Full."))
    with served_api() as api:
        asked = waiting(api, callers)
        finish(api, result=b'{"result":"%b"}' % (b"x" * 100_000))
        assert (asked.result().status_code, asked.result().json()["execution_id"]) == (202, "x1")
        assert api.client.get("/workflows/x1/results").json()["code"] == "too_busy"


@pytest.mark.proves("wait-hindered")
def test_waits_end_with_their_server(callers: ThreadPoolExecutor) -> None:
    """In order: each is answered."""
    with served_api() as api:
        asked = waiting(api, callers)
        api.stop()
        assert asked.result().status_code == 202


@pytest.mark.proves("key-revoked")
def test_revoked_key_ends_its_wait(callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told nothing of the results."""
    monkeypatch.setattr(waiting_for_the_end, "CHECKED_EACH_S", 0.05)
    monkeypatch.setattr(current_keys, "REFRESHED_AFTER_S", 0.05)
    with served_api() as api:
        secret, entry = new_key("gone", "author")
        api.access.add(replace(key_of_entry(entry), kept_in="redis"))
        asked = waiting(api, callers, headers={"Authorization": f"Bearer {secret}"})
        assert not asked.done()
        del api.access.stored["gone"]
        assert asked.result().status_code == 202
