"""An unsafe request is done as it was sent, or refused. Who cannot know whether it was done is told how."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from flowengine.errors import StoreFullError, StoreUnavailableError, UnfitServerError
from flowengine.settings import Settings
from tests.support.servers.served_api import ServedApi, served_api
from tests.support.waiting import wait_until

ONE_NODE = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture
def pending(api: ServedApi) -> Iterator[str]:
    """The path that triggers an execution, which is still pending at the end."""
    execution_id = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
    yield f"/workflow/trigger/{execution_id}"
    assert api.store.stored[execution_id].status == "pending"


def test_trigger_with_an_empty_body_has_none(api: ServedApi) -> None:
    """Clients announce a length of 0, or send chunks without content."""
    for content in (b"", iter([b""])):
        execution_id = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
        answer = api.client.post(
            f"/workflow/trigger/{execution_id}", content=content, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 202


@pytest.mark.parametrize("key", ["8e03978e-40d5-43dd-bc93-6894a57f9324", ""])
def test_idempotency_key_is_refused_where_it_does_not_protect(api: ServedApi, pending: str, key: str) -> None:
    """Its sender would repeat the request and believe that it counts once."""
    execution = pending.rpartition("/")[2]
    answer = api.client.post(f"/workflows/{execution}/cancel", headers={"idempotency-KEY": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_supported")
    assert "Idempotency-Key" in answer.json()["detail"]


@pytest.mark.parametrize("query", ["triger=true", "wiat=30", "wiat", "a=1&b=2", "%00=1"])
def test_unknown_query_parameter_is_refused(api: ServedApi, pending: str, query: str) -> None:
    """It must not look as if it had been done."""
    stored = len(api.store.stored)
    for answer in (
        api.client.post(f"{pending}?{query}"),
        api.client.post(f"/workflow?{query}", json=ONE_NODE),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert len(api.store.stored) == stored


def test_reading_ignores_what_it_does_not_know(api: ServedApi) -> None:
    """A monitor may add what it likes; nothing is changed by it."""
    assert api.client.get("/health?t=1", headers={"Idempotency-Key": "x"}).status_code == 200


@pytest.mark.proves("trigger-outcome-unknown")
def test_trigger_that_may_have_been_applied_says_so_and_how_to_find_out() -> None:
    """503 in time; the trigger takes effect later, which the status shows, as the text says."""
    freed = threading.Event()
    with served_api(Settings(api_timeout_s=0.3)) as api:
        execution_id = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
        api.store.before = lambda: freed.wait(10)
        try:
            answer = api.client.post(f"/workflow/trigger/{execution_id}")
        finally:
            freed.set()
        document = answer.json()
        assert (answer.status_code, document["code"]) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "5"
        assert "may have been applied" in document["detail"]
        path = f"/workflows/{execution_id}"
        assert f"GET {path} " in document["detail"]
        wait_until(lambda: api.client.get(path).json()["run"] == 1)
        assert api.client.post(f"/workflow/trigger/{execution_id}").status_code == 409


def test_what_was_refused_for_certain_is_not_called_uncertain(api: ServedApi, pending: str) -> None:
    """A full store has changed nothing, nor has one that is not fit; a lost answer may have."""
    try:
        api.store.broken = StoreFullError("92 % of maxmemory")
        assert api.client.post(pending).json()["detail"] == "92 % of maxmemory"
        api.store.broken = UnfitServerError("this Redis is a cluster")
        assert api.client.post(pending).json()["detail"] == "this Redis is a cluster"
        api.store.broken = StoreUnavailableError("Redis went away.")
        assert "Redis went away. The trigger may have been applied" in api.client.post(pending).text
        created = api.client.post("/workflow", json=ONE_NODE).json()["detail"]
        assert created.startswith("Redis went away. The workflow may have been stored.")
        assert api.client.get("/workflows/x1").json()["detail"] == "Redis went away."
    finally:
        api.store.broken = None
