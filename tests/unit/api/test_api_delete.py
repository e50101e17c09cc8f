"""Deleting over HTTP: what is answered, and what is refused before anything is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.servers.served_api import ServedApi, served_api

DOCUMENT: dict[str, Any] = {
    "name": "One",
    "nodes": [{"id": "a", "handler": "echo", "config": {"text": "x"}}],
}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture
def created(api: ServedApi) -> str:
    """An execution that was not triggered."""
    return str(api.client.post("/workflow", json=DOCUMENT).json()["execution_id"])


def test_what_was_never_triggered_is_deleted(api: ServedApi, created: str) -> None:
    """200, and it is not found from then on."""
    answer = api.client.delete(f"/workflows/{created}")
    assert (answer.status_code, answer.json()) == (200, {"execution_id": created, "deleted": True})
    for again in (api.client.get(f"/workflows/{created}"), api.client.delete(f"/workflows/{created}")):
        assert (again.status_code, again.json()["code"]) == (404, "execution_not_found")


def test_what_runs_is_deleted_by_force(api: ServedApi, created: str) -> None:
    """409 without; with it 202, and where to look until it is gone."""
    api.client.post(f"/workflow/trigger/{created}")
    answer = api.client.delete(f"/workflows/{created}")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    answer = api.client.delete(f"/workflows/{created}?force=true")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/workflows/{created}")
    assert answer.json() == {"execution_id": created, "deleted": False}


@pytest.mark.parametrize(
    ("query", "code"), [("force=yes", "invalid_parameter"), ("forced=true", "unknown_parameter")]
)
def test_a_wrong_parameter_deletes_nothing(api: ServedApi, created: str, query: str, code: str) -> None:
    """422 says what is known."""
    answer = api.client.delete(f"/workflows/{created}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert api.client.get(f"/workflows/{created}").status_code == 200
