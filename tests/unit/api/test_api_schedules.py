"""`/schedules` over HTTP: what is answered, with which status, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.answers import assert_problem
from tests.support.servers.served_api import ServedApi, served_api

PATH = "/schedules/nightly/default"


def document(name: str = "nightly", **schedule: Any) -> dict[str, Any]:
    """A document with a schedule."""
    node = {"id": "a", "handler": "echo", "config": {"text": "x"}}
    return {"name": name, "schedules": [{"cron": "0 2 * * *", **schedule}], "nodes": [node]}


@pytest.fixture
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        served.client.put("/definitions/nightly", json=document())
        yield served


def test_schedules_of_applied_documents_are_listed(api: ServedApi) -> None:
    """By name and id, with all that the document says; those of one definition where they are asked for."""
    other = {
        **document("a"),
        "schedules": [{"id": "b", "every_seconds": 5, "paused": True, "inputs": {"x": 1}}],
    }
    api.client.put("/definitions/a", json=other)
    first, second = api.client.get("/schedules").json()["items"]
    assert (first["name"], first["id"], first["every_seconds"], first["cron"]) == ("a", "b", 5, None)
    assert (first["status"], first["paused"]["by"], first["next_times"]) == ("paused", "document", [])
    assert first["inputs"] == {"x": 1}
    assert (second["name"], second["id"], second["version"], second["cron"]) == (
        "nightly",
        "default",
        1,
        "0 2 * * *",
    )
    assert (second["catch_up"], second["overlap"], second["timezone"]) == ("latest", "skip", "UTC")
    assert len(second["next_times"]) == 5
    assert (second["waiting"], second["running"], second["held_by"], second["last"]) == (None, [], [], [])
    (named,) = api.client.get("/schedules", params={"name": "a"}).json()["items"]
    assert named == first
    page = api.client.get("/schedules", params={"limit": 1}).json()
    assert [item["name"] for item in page["items"]] == ["a"]
    rest = api.client.get("/schedules", params={"cursor": page["next_cursor"]}).json()
    assert ([item["name"] for item in rest["items"]], rest["next_cursor"]) == (["nightly"], None)


def test_a_schedule_is_paused_and_resumed(api: ServedApi) -> None:
    """Each as often as one likes; another apply keeps the pause."""
    for _ in range(2):
        paused = api.client.post(f"{PATH}/pause")
        assert (paused.status_code, paused.json()["status"]) == (200, "paused")
        assert paused.json()["paused"]["by"] == "operator"
    api.client.put("/definitions/nightly", json=document(cron="0 3 * * *"))
    (shown,) = api.client.get("/schedules").json()["items"]
    assert (shown["version"], shown["cron"], shown["status"]) == (2, "0 3 * * *", "paused")
    resumed = api.client.post(f"{PATH}/resume").json()
    assert (resumed["status"], resumed["paused"], len(resumed["next_times"])) == ("active", None, 5)


def test_a_schedule_is_triggered(api: ServedApi) -> None:
    """202, as the start of a definition."""
    answer = api.client.post(f"{PATH}/trigger")
    started = answer.json()
    assert (answer.status_code, started["name"], started["version"]) == (202, "nightly", 1)
    assert answer.headers["location"] == f"/workflows/{started['execution_id']}"


def test_a_history_is_empty_before_the_first_time(api: ServedApi) -> None:
    """And has no next page."""
    assert api.client.get(f"{PATH}/history").json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("path", ["/schedules/nightly/other", "/schedules/nobody/default"])
def test_an_unknown_schedule_is_not_found(api: ServedApi, path: str) -> None:
    """Whatever is asked of it."""
    for what in ("pause", "resume", "trigger"):
        assert_problem(api.client.post(f"{path}/{what}"), 404, "schedule_not_found")
    assert_problem(api.client.get(f"{path}/history"), 404, "schedule_not_found")


@pytest.mark.parametrize("path", ["/schedules", f"{PATH}/history"])
def test_a_wrong_parameter_is_refused(api: ServedApi, path: str) -> None:
    """With what would be right."""
    assert_problem(api.client.get(path, params={"cursor": "_"}), 422, "invalid_parameter")
    assert_problem(api.client.get(path, params={"limits": 5}), 422, "unknown_parameter")


def test_a_schedule_goes_with_its_document(api: ServedApi) -> None:
    """By an apply without it, or with the definition."""
    api.client.put("/definitions/nightly", json={**document(), "schedules": []})
    assert api.client.get("/schedules").json()["items"] == []


def test_a_posted_document_is_warned(api: ServedApi) -> None:
    """Its schedules start nothing."""
    answer = api.client.post("/workflow", json=document())
    assert answer.status_code == 201
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["not_armed"]
