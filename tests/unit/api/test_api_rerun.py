"""Reruns over HTTP: what is asked of the engine, what is answered, and which bodies are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.rules.steering.rerunning import Wanted
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
def ended(api: ServedApi) -> str:
    """An execution that has failed in its first run."""
    execution = api.client.post("/workflow", json=DOCUMENT).json()["execution_id"]
    api.client.post(f"/workflow/trigger/{execution}")
    api.store.stored[execution].status = "failed"
    return str(execution)


def test_a_rerun_begins(api: ServedApi, ended: str) -> None:
    """202, with where to look, and what it does with each node."""
    answer = api.client.post(f"/workflows/{ended}/rerun")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/workflows/{ended}")
    begun = {"execution_id": ended, "status": "running", "run": 2}
    assert answer.json() == {**begun, "reset": ["a"], "reused": [], "skipped": []}


def test_a_preview_changes_nothing(api: ServedApi, ended: str) -> None:
    """200 with the same lists, and what a rerun is told to expect."""
    answer = api.client.post(f"/workflows/{ended}/rerun", json={"mode": "all", "preview": True})
    assert answer.status_code == 200
    assert answer.json() == {
        "execution_id": ended,
        "run": 1,
        "version": None,
        "reset": ["a"],
        "reused": [],
        "skipped": [],
        "not_possible": [],
    }
    assert api.store.stored[ended].status == "failed"


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({}, RerunAsked()),
        ({"mode": None, "from": None}, RerunAsked()),
        ({"mode": "failed", "skip": ["b", "b"]}, RerunAsked(Wanted(skip=("b",)))),
        ({"from": ["a", "b"]}, RerunAsked(Wanted("from", ("a", "b")))),
        ({"mode": "from", "skip": ["b"]}, RerunAsked(Wanted("from", skip=("b",)))),
        ({"mode": "all", "version": "original", "as": "same"}, RerunAsked(Wanted("all"))),
        ({"expect": {"run": 1, "version": None}}, RerunAsked(run=1)),
        ({"inputs": {"day": 1}}, RerunAsked(inputs={"day": 1})),
        ({"mode": "from", "inputs": {"day": 1}}, RerunAsked(Wanted("from"), inputs={"day": 1})),
        ({"items": {"a": ["x", 3, "3"]}}, RerunAsked(Wanted("from", items={"a": ("x", "3")}))),
        (
            {"mode": "failed", "from": [], "items": {"a": ["x"]}},
            RerunAsked(Wanted("failed", items={"a": ("x",)})),
        ),
    ],
)
def test_what_is_asked_for_reaches_the_engine(
    api: ServedApi, ended: str, body: object, asked: RerunAsked
) -> None:
    """With nodes and without a mode, it begins from these."""
    assert api.client.post(f"/workflows/{ended}/rerun", json=body).status_code == 202
    assert api.store.reruns[-1] == asked


def test_a_rerun_as_a_new_execution_is_answered_with_that(api: ServedApi, ended: str) -> None:
    """202, and where to look is the new one; the first one stays as it is, and may run."""
    api.store.forks.clear()
    api.store.stored[ended].status = "running"
    answer = api.client.post(f"/workflows/{ended}/rerun", json={"as": "new", "version": "latest"})
    new = answer.json()["execution_id"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/workflows/{new}")
    assert new != ended
    assert answer.json() == {
        "execution_id": new,
        "status": "pending",
        "run": 2,
        "rerun_of": ended,
        "reset": ["a"],
        "reused": [],
        "skipped": [],
    }
    body = {"as": "new", "version": 3, "mode": "from", "preview": True}
    answer = api.client.post(f"/workflows/{ended}/rerun", json=body)
    assert (answer.status_code, answer.json()["forks"]["anew"][0]["code"]) == (200, "definition")
    assert api.store.forks == [(RerunAsked(), "latest"), (RerunAsked(Wanted("from")), 3)]


@pytest.mark.parametrize("other", [{}, {"preview": True}, {"as": "new"}, {"as": "new", "preview": True}])
def test_what_a_map_does_of_which_items_are_named_is_told(
    api: ServedApi, ended: str, other: dict[str, object]
) -> None:
    """By its id, in numbers."""
    answer = api.client.post(f"/workflows/{ended}/rerun", json={"items": {"a": ["x", "y"]}, **other})
    assert answer.json()["items"] == {"a": {"reset": 2, "reused": 1, "failed": 0, "cancelled": 0}}


def test_what_runs_is_not_run_again(api: ServedApi, ended: str) -> None:
    """409: of two at once one begins."""
    assert api.client.post(f"/workflows/{ended}/rerun").status_code == 202
    answer = api.client.post(f"/workflows/{ended}/rerun")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


def test_a_rerun_that_came_too_late_is_refused(api: ServedApi, ended: str) -> None:
    """With a code of its own: the caller has to look again."""
    answer = api.client.post(f"/workflows/{ended}/rerun", json={"expect": {"run": 5}})
    assert (answer.status_code, answer.json()["code"]) == (409, "overtaken")


@pytest.mark.parametrize(
    ("body", "code", "pointer", "said"),
    [
        ({"form": ["a"]}, "unknown_field", "/form", "did you mean 'from'"),
        ({"mode": "form"}, "out_of_range", "/mode", "did you mean 'from'"),
        ({"mode": 5}, "wrong_type", "/mode", "Known modes: failed, from, all"),
        ({"mode": "from"}, "missing_field", "/from", "the nodes to begin with"),
        ({"mode": "all", "from": ["a"]}, "out_of_range", "/from", "take one of them out"),
        ({"from": "a"}, "wrong_type", "/from", "a list of node ids"),
        ({"from": ["a", 5]}, "wrong_type", "/from/1", "must be text"),
        ({"skip": ["a"] * 1001}, "out_of_range", "/skip", "at most 1000"),
        ({"inputs": ["day"]}, "wrong_type", "/inputs", "an object"),
        ({"preview": "yes"}, "wrong_type", "/preview", "true or false"),
        ({"expect": 1}, "wrong_type", "/expect", "an object"),
        ({"expect": {"runs": 1}}, "unknown_field", "/expect/runs", "did you mean 'run'"),
        ({"expect": {"run": True}}, "wrong_type", "/expect/run", "a whole number"),
        ({"expect": {"version": "2"}}, "wrong_type", "/expect/version", "a whole number"),
        ({"items": ["a"]}, "wrong_type", "/items", "an object of lists of keys"),
        ({"items": {"a": "1"}}, "wrong_type", "/items/a", "a list of their keys"),
        ({"items": {"a": []}}, "out_of_range", "/items/a", "leave the map out"),
        ({"items": {"a": ["1", True]}}, "wrong_type", "/items/a/1", "text or a whole number"),
        ({"items": {"a": ["x" * 201]}}, "out_of_range", "/items/a/0", "1 to 200 characters, not 201"),
        ({"items": {"a": [""]}}, "out_of_range", "/items/a/0", "1 to 200 characters, not 0"),
        ({"items": {"a": list(range(10_001))}}, "out_of_range", "/items", "at most 10000"),
        ({"items": {"a": ["1"]}, "mode": "all"}, "out_of_range", "/items", "leave 'items' out"),
        ({"version": "latest"}, "out_of_range", "/version", "say 'as: new' as well"),
        ({"version": 3, "as": "same"}, "out_of_range", "/version", "say 'as: new' as well"),
        ({"version": "lastest", "as": "new"}, "out_of_range", "/version", "did you mean 'latest'"),
        ({"version": 0, "as": "new"}, "out_of_range", "/version", "from 1 on"),
        ({"version": [], "as": "new"}, "wrong_type", "/version", "the number of a version"),
        ({"as": "now"}, "out_of_range", "/as", "did you mean 'new'"),
        ({"as": True}, "wrong_type", "/as", "Known: same, new"),
        ([], "wrong_type", "", "an object"),
    ],
)
def test_a_wrong_body_begins_nothing(
    api: ServedApi, ended: str, body: object, code: str, pointer: str, said: str
) -> None:
    """422 with each problem, its place, and what to do."""
    answer = api.client.post(f"/workflows/{ended}/rerun", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    (problem,) = answer.json()["problems"]
    assert (problem["code"], problem["pointer"]) == (code, pointer)
    assert said in problem["message"]
    assert api.store.stored[ended].status == "failed"


def test_runs_are_listed(api: ServedApi, ended: str) -> None:
    """With why each began."""
    answer = api.client.get(f"/workflows/{ended}/runs?limit=5")
    assert answer.status_code == 200
    (run,) = answer.json()["items"]
    assert (run["run"], run["status"], run["why"]["kind"]) == (1, "failed", "trigger")
    assert answer.json()["next_cursor"] is None


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "since=1"])
def test_a_wrong_query_of_runs_is_refused(api: ServedApi, ended: str, query: str) -> None:
    """As that of every list."""
    assert api.client.get(f"/workflows/{ended}/runs?{query}").status_code == 422
