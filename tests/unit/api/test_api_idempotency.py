"""The header Idempotency-Key over HTTP: what is repeated, what is refused, and who meets whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest
from msgspec.structs import replace

from flowengine.api.access.api_keys import key_of_entry, new_key
from flowengine.errors import StoreUnavailableError
from tests.support.servers.served_api import ServedApi, served_api

ONE_NODE = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def post(api: ServedApi, path: str = "/workflow", key: str = "order-1", **more: object) -> httpx.Response:
    """A start with a key."""
    headers = more.pop("headers", {})
    assert isinstance(headers, Mapping)
    body = {} if "content" in more else {"json": ONE_NODE}
    return api.client.post(path, headers={"Idempotency-Key": key, **headers}, **{**body, **more})  # type: ignore[arg-type]  # what httpx takes


@pytest.mark.parametrize(("path", "status"), [("/workflow", 201), ("/workflow?trigger=true", 202)])
def test_a_repetition_is_answered_as_before(api: ServedApi, path: str, status: int) -> None:
    """Status, body and path; a header tells that it is one, and nothing else is created."""
    first, again = post(api, path), post(api, path)
    assert first.status_code == again.status_code == status
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"]
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert len(api.store.stored) == 1


def test_a_trigger_is_repeated_as_well(api: ServedApi) -> None:
    """Though the execution runs by then: without the key it would be refused."""
    execution = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
    path = f"/workflow/trigger/{execution}"
    first, again = post(api, path, content=b""), post(api, path, content=b"")
    assert (first.status_code, first.content) == (202, again.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert api.client.post(path).json()["code"] == "wrong_state"


@pytest.mark.parametrize(
    "other",
    [
        {"json": {**ONE_NODE, "name": "Two"}},
        {"path": "/workflow?trigger=true"},
        {"path": "/workflow?trigger=false"},
        {"headers": {"Content-Type": "application/yaml"}},
    ],
    ids=["body", "query", "text of the query", "media type"],
)
def test_another_request_with_the_key_is_refused(api: ServedApi, other: dict[str, object]) -> None:
    """Nothing is created."""
    post(api)
    answer = post(api, **other)  # type: ignore[arg-type]  # a path, or what httpx takes
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert len(api.store.stored) == 1


def test_what_was_accepted_is_repeated_before_it_is_looked_at(api: ServedApi) -> None:
    """Though it would be refused by now: the handler may be gone, or the store full."""
    assert post(api, content=b"{", headers=JSON).json()["code"] == "malformed_document"
    assert post(api).status_code == 201, "what was refused is not kept"
    other = post(api, content=b"{", headers=JSON)
    assert other.json()["code"] == "idempotency_conflict"


@pytest.mark.parametrize("key", ["", "a" * 256, "two words", "caf\xe9", "one\ttwo"])
def test_key_that_cannot_be_is_refused(api: ServedApi, key: str) -> None:
    """On both routes, with what it may be."""
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    for path in ("/workflow", "/workflow/trigger/x1"):
        answer = api.client.post(path, headers=headers, json=ONE_NODE)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
        assert "1 to 255 visible ASCII characters" in answer.json()["detail"]
    twice = api.client.post("/workflow", json=ONE_NODE, headers=[("Idempotency-Key", "a")] * 2)
    assert twice.json()["code"] == "invalid_parameter"
    assert not api.store.stored


def test_longest_key_is_taken(api: ServedApi) -> None:
    """Every visible character of ASCII may stand in it."""
    key = "".join(map(chr, range(33, 127)))
    assert post(api, key=key).content == post(api, key=key).content
    assert post(api, key="a" * 255).status_code == 201
    assert len(api.store.stored) == 2


def test_callers_do_not_meet(api: ServedApi) -> None:
    """Each has its own keys, by the id of the API key."""
    callers = []
    for name in ("ci", "ops"):
        secret, entry = new_key(name, "author")
        api.access.add(replace(key_of_entry(entry), kept_in="redis"))
        callers.append({"Authorization": f"Bearer {secret}"})
    ids = [[post(api, headers=caller).json()["execution_id"] for _ in range(2)] for caller in callers]
    assert [len(set(of_one)) for of_one in ids] == [1, 1]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("path", ["/workflow", "/workflow?trigger=true"])
def test_who_cannot_know_whether_it_was_done_may_send_it_again(api: ServedApi, path: str) -> None:
    """With the same key: the text says so."""
    asked = iter([None, StoreUnavailableError("Redis went away.")])

    def break_the_second() -> None:
        error = next(asked, None)
        if error is not None:
            raise error

    api.store.before = break_the_second
    answer = post(api, path)
    assert answer.status_code == 503
    assert answer.json()["detail"].endswith("Send it again with the same Idempotency-Key: it is done once.")
