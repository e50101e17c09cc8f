"""Answers to nodes that wait, over HTTP: what is taken, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flowengine.execution.rules.waits.deciding import Answer
from flowengine.handlers.loading import load_registry
from tests.support.servers.served_api import ServedApi, served_api

DOCUMENT: dict[str, Any] = {
    "name": "Waits",
    "nodes": [
        {"id": "pay", "handler": "signal", "config": {"name": "paid"}},
        {"id": "release", "handler": "approval", "config": {"prompt": "May it go out?"}},
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


def test_an_item_and_an_iteration_are_picked_in_the_query(api: ServedApi, running: str) -> None:
    """What is no number, or no parameter, is refused."""
    path = f"/workflows/{running}/signals/paid"
    assert api.client.post(f"{path}?item=a-1&iteration=2", json=1).status_code == 202
    assert api.store.stored[running].picked == ("a-1", 2)
    for query, code in (("iteration=0", "invalid_parameter"), ("itme=a", "unknown_parameter")):
        answer = api.client.post(f"{path}?{query}", json=1)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_decision_picks_in_its_body(api: ServedApi, running: str) -> None:
    """Beside what is decided; the node may be one in a group."""
    body = {"approved": True, "item": "a-1", "iteration": 2}
    answer = api.client.post(f"/workflows/{running}/nodes/g.release/decision", json=body)
    assert answer.status_code == 202, answer.text
    decided = Answer(approved=True, item="a-1", iteration=2)
    assert api.store.stored[running].answers == [("g.release", decided)]


def test_a_signal_that_is_too_large_or_that_nobody_waits_for_is_refused(api: ServedApi, running: str) -> None:
    """413, 404."""
    answer = api.client.post(f"/workflows/{running}/signals/paid", json="x" * 1_048_577)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    answer = api.client.post(f"/workflows/{running}/signals/refused", json=1)
    assert (answer.status_code, answer.json()["code"]) == (404, "signal_not_found")


def test_a_decision_is_passed_on_and_a_second_one_is_answered_with_the_first(
    api: ServedApi, running: str
) -> None:
    """202, then 409 with what counts."""
    path = f"/workflows/{running}/nodes/release/decision"
    body = {"approved": False, "comment": "no", "data": {"n": 1}, "run": 1, "attempt": 1}
    answer = api.client.post(path, json=body)
    assert (answer.status_code, answer.headers["location"]) == (202, f"/workflows/{running}"), answer.text
    assert api.store.stored[running].answers == [("release", Answer(False, "no", b'{"n":1}', 1, 1))]
    made = answer.json()["decision"]
    again = api.client.post(path, json={"approved": True})
    assert (again.status_code, again.json()["code"]) == (409, "already_decided")
    assert again.json()["decision"] == made


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "missing_field", ""),
        (None, "missing_field", ""),
        ({"approved": "yes"}, "wrong_type", "/approved"),
        ({"approved": True, "why": "x"}, "unknown_field", "/why"),
        ({"approved": True, "item": 3}, "wrong_type", "/item"),
        ({"approved": True, "iteration": 0}, "out_of_range", "/iteration"),
        ({"approved": True, "comment": 5}, "wrong_type", "/comment"),
        ({"approved": True, "comment": "x" * 1001}, "out_of_range", "/comment"),
        ({"approved": True, "run": 0}, "out_of_range", "/run"),
        ({"approved": True, "data": "x" * 1_048_577}, "out_of_range", "/data"),
        ([True], "wrong_type", ""),
    ],
)
def test_a_wrong_decision_is_refused(
    api: ServedApi, running: str, body: object, code: str, pointer: str
) -> None:
    """422 with each problem and its place."""
    given: dict[str, Any] = {} if body is None else {"json": body}
    answer = api.client.post(f"/workflows/{running}/nodes/release/decision", **given)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    assert [(each["code"], each["pointer"]) for each in answer.json()["problems"]] == [(code, pointer)]
    assert not api.store.stored[running].answers


def test_what_waits_for_a_person_is_asked_for_by_kind(api: ServedApi) -> None:
    """Both kinds, unless one is named."""
    assert api.client.get("/waiting").json() == {"items": [], "next_cursor": None}
    assert api.client.get("/waiting?kind=approval&limit=7&cursor=x").status_code == 200
    assert api.store.asked_waiting == [(("approval", "signal"), 50, ""), (("approval",), 7, "x")]
    answer = api.client.get("/waiting?kind=wait")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
