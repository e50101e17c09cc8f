"""Dead letters over HTTP: pages, what is refused, and what a retry and a deletion answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowengine.api.routes.operations.dead_letters import LETTER
from flowengine.errors import WrongStateError
from tests.support.servers.served_api import ServedApi, served_api


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def test_a_page_has_its_letters_and_where_the_next_begins(api: ServedApi) -> None:
    """`limit` and `cursor` are read."""
    first = api.client.get("/dead-letters", params={"limit": 1}).json()
    assert [letter["id"] for letter in first["items"]] == [LETTER]
    assert first["items"][0]["node"] == "analyze_with_llm"
    whole = api.client.get("/dead-letters", params={"cursor": first["next_cursor"]}).json()
    assert (len(whole["items"]), whole["next_cursor"]) == (2, None)


@pytest.mark.parametrize("limit", ["0", "501", "-1", "1.5", "", "many", "٣", "9" * 30])
def test_a_wrong_limit_is_refused(api: ServedApi, limit: str) -> None:
    """422 with what is allowed."""
    answer = api.client.get("/dead-letters", params={"limit": limit})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    assert "'limit' must be a whole number from 1 to 500" in answer.json()["detail"]


def test_a_cursor_that_no_page_gave_is_refused(api: ServedApi) -> None:
    """422 as well."""
    answer = api.client.get("/dead-letters", params={"cursor": "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")


def test_an_unknown_parameter_is_refused(api: ServedApi) -> None:
    """A filter that is silently dropped would show what was not asked for."""
    answer = api.client.get("/dead-letters", params={"queue": "worker"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert "Known are: limit, cursor" in answer.json()["detail"]


def test_a_letter_is_retried(api: ServedApi) -> None:
    """202 with what was done."""
    answer = api.client.post(f"/dead-letters/{LETTER}/retry")
    assert (answer.status_code, answer.json()["done"]) == (202, "sent")


def test_a_letter_is_deleted(api: ServedApi) -> None:
    """200 with its id."""
    answer = api.client.delete(f"/dead-letters/{LETTER}")
    assert (answer.status_code, answer.json()) == (200, {"id": LETTER})


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_letter_that_nobody_has_is_not_found(api: ServedApi, method: str) -> None:
    """404 with a code of its own."""
    path = "/dead-letters/worker:1-1" + ("/retry" if method == "POST" else "")
    answer = api.client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "dead_letter_not_found")


def test_an_execution_that_cannot_be_triggered_is_a_conflict(api: ServedApi) -> None:
    """409, with the reason."""
    api.store.broken = WrongStateError("it is running")
    try:
        answer = api.client.post(f"/dead-letters/{LETTER}/retry")
    finally:
        api.store.broken = None
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


def test_neither_takes_a_body(api: ServedApi) -> None:
    """It would be dropped."""
    answer = api.client.post(f"/dead-letters/{LETTER}/retry", json={"inputs": {}})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_supported")
