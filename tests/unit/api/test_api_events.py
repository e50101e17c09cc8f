"""Events over HTTP: pages, where they begin, and queries that nobody can answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowengine.execution.events import Event
from flowengine.execution.history.places import Place
from flowengine.execution.history.views import event_view
from tests.support.servers.served_api import ServedApi, served_api

ONE_NODE = {"name": "One", "nodes": [{"id": "a", "handler": "echo"}]}
PLACES = [Place(1000 + number // 2, 0, number % 2) for number in range(7)]


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.fixture(scope="module")
def path(api: ServedApi) -> str:
    """The events of an execution that has seven of them."""
    execution: str = api.client.post("/workflow", json=ONE_NODE).json()["execution_id"]
    events = [event_view(place, Event("node_queued", 1000, "a", 1, 1)) for place in PLACES]
    api.store.stored[execution].events = events
    return f"/workflows/{execution}/events"


def test_pages_hold_each_event_once(api: ServedApi, path: str) -> None:
    """Each page leads to the next; the last one leads nowhere."""
    found, query = [], "limit=3"
    while True:
        page = api.client.get(f"{path}?{query}").json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=3&cursor={page['next_cursor']}"
    assert found == [str(place) for place in PLACES]


def test_a_page_may_begin_at_an_event(api: ServedApi, path: str) -> None:
    """`from` names the first one wanted."""
    page = api.client.get(f"{path}?from={PLACES[5]}").json()
    assert [item["id"] for item in page["items"]] == [str(place) for place in PLACES[5:]]


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("limit=0", "invalid_parameter", "a whole number from 1 to 500"),
        ("limit=501", "invalid_parameter", "it is '501'"),
        ("limit=many", "invalid_parameter", "it is 'many'"),
        ("cursor=1", "invalid_parameter", "the id of an item"),
        ("from=x", "invalid_parameter", "'from'"),
        ("from=1-0.0&cursor=1-0.0", "invalid_parameter", "give one of them"),
        ("logs=true", "invalid_parameter", "not one of a page"),
        ("limt=3", "unknown_parameter", "did you mean 'limit'? Known are: limit, cursor, from"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(
    api: ServedApi, path: str, query: str, code: str, said: str
) -> None:
    """422 says which part is wrong, and what it could be."""
    answer = api.client.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert said in answer.json()["detail"]


def test_an_unknown_execution_has_no_events(api: ServedApi) -> None:
    """404, as everywhere."""
    answer = api.client.get("/workflows/19b7ca98f2ef2c4d1b3a9e87f60/events")
    assert (answer.status_code, answer.json()["code"]) == (404, "execution_not_found")
