"""Answers to nodes that wait, over HTTP: what is taken, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flowengine.handlers.loading import load_registry
from tests.support.servers.served_api import ServedApi, served_api

DOCUMENT: dict[str, Any] = {
    "name": "Waits",
    "nodes": [
        {"id": "pay", "handler": "signal", "config": {"name": "paid"}},
    ],
}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api(registry=load_registry()) as served:
        yield served


@pytest.fixture
def running(api: ServedApi) -> str:
    """An execution that has been triggered."""
    answer = api.client.post("/workflow?trigger=true", json=DOCUMENT)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["execution_id"])


@pytest.mark.parametrize(
    ("body", "carried"), [({"order": 7}, b'{"order":7}'), ([1], b"[1]"), (None, b"null"), ("x", b'"x"')]
)
def test_a_signal_is_passed_on(api: ServedApi, running: str, body: object, carried: bytes) -> None:
    """202; any JSON value, or none."""
    given: dict[str, Any] = {} if body is None else {"json": body}
    answer = api.client.post(f"/workflows/{running}/signals/paid", **given)
    assert (answer.status_code, answer.headers["location"]) == (202, f"/workflows/{running}"), answer.text
    assert answer.json() == {"execution_id": running, "signal": "paid", "run": 1}
    assert api.store.stored[running].signals == [("paid", carried)]


def test_a_signal_that_is_too_large_or_that_nobody_waits_for_is_refused(api: ServedApi, running: str) -> None:
    """413, 404."""
    answer = api.client.post(f"/workflows/{running}/signals/paid", json="x" * 1_048_577)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    answer = api.client.post(f"/workflows/{running}/signals/refused", json=1)
    assert (answer.status_code, answer.json()["code"]) == (404, "signal_not_found")
