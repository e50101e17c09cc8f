"""`GET /workflows/{id}/graph`: the picture of an execution's workflow."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flowengine.jsonvalue import JsonValue
from tests.support.servers.served_api import ServedApi, served_api

Document = Mapping[str, JsonValue]


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def workflow(*names: str, **fields: JsonValue) -> Document:
    """Nodes one after the other."""
    nodes: list[JsonValue] = [
        {"id": name, "handler": "echo", "dependencies": list(names[max(place - 1, 0) : place])}
        for place, name in enumerate(names)
    ]
    return {"name": "Drawn", "nodes": nodes, **fields}


def drawn(api: ServedApi, document: Document, **headers: str) -> httpx.Response:
    """The picture of a new execution of this document."""
    made = api.client.post("/workflow", json=document).json()
    return api.client.get(f"/workflows/{made['execution_id']}/graph", headers=headers)


def test_a_graph_says_where_nodes_and_edges_stand(api: ServedApi) -> None:
    """And which way it leads."""
    answer = drawn(api, workflow("a", "b"))
    assert answer.status_code == 200
    assert answer.json() == {
        "direction": "down",
        "width": 168,
        "height": 97,
        "cards": [
            {"id": "a", "handler": "echo", "stage": "main", "x": 0, "y": 0, "width": 168, "height": 40},
            {"id": "b", "handler": "echo", "stage": "main", "x": 0, "y": 57, "width": 168, "height": 40},
        ],
        "edges": [{"source": "a", "target": "b", "points": [[84, 40], [84, 57]]}],
        "lanes": [],
        "left_out": 0,
    }


def test_a_graph_has_lanes_stacks_and_conditions(api: ServedApi) -> None:
    """Hooks below, equal siblings as one, and above a node when it runs."""
    nodes: list[JsonValue] = [{"id": f"n{number}", "handler": "echo"} for number in range(9)]
    hook: JsonValue = {"id": "say", "handler": "echo", "when": "{{ execution.status == 'failed' }}"}
    found = drawn(api, {"name": "Drawn", "nodes": nodes, "finally": [hook]}).json()
    stack, last = found["cards"]
    assert stack["members"] == [f"n{number}" for number in range(9)]
    assert (last["stage"], last["condition"]["whole"]) == ("finally", "when execution.status == 'failed'")
    assert [lane["stage"] for lane in found["lanes"]] == ["finally"]


def test_a_graph_that_a_caller_has_is_not_sent_again(api: ServedApi) -> None:
    """Its tag is that of the picture: another execution of the same workflow has the same."""
    first = drawn(api, workflow("a", "b"))
    tag = first.headers["etag"]
    again = drawn(api, workflow("a", "b"), **{"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = drawn(api, workflow("a", "c"), **{"If-None-Match": tag})
    assert (other.status_code, other.headers["etag"] == tag) == (200, False)


def test_who_waits_for_a_graph_holds_up_nobody(api: ServedApi) -> None:
    """It is made in a thread: the API answers others meanwhile."""
    made = api.client.post("/workflow", json=workflow("a")).json()
    freed = threading.Event()
    api.store.before = lambda: freed.wait(10)
    with ThreadPoolExecutor(1) as asks:
        waits = asks.submit(api.client.get, f"/workflows/{made['execution_id']}/graph")
        try:
            assert api.client.get("/nothing").status_code == 404
            assert not waits.done()
        finally:
            freed.set()
            api.store.before = lambda: None
        assert waits.result().status_code == 200


def test_an_unknown_execution_has_no_graph(api: ServedApi) -> None:
    """404, as for everything of it."""
    answer = api.client.get("/workflows/x9999/graph")
    assert (answer.status_code, answer.json()["code"]) == (404, "execution_not_found")
