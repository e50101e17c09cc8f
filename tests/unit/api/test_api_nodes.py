"""`GET /workflows/{id}/nodes/{node}`: everything of one node."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from flowengine.execution.views.maps import ItemView
from tests.support.servers.served_api import ServedApi, served_api

DOCUMENT = {"name": "One", "nodes": [{"id": "greet", "handler": "echo", "config": {"text": "hello"}}]}


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


def created(api: ServedApi) -> str:
    """A new execution."""
    execution: str = api.client.post("/workflow", json=DOCUMENT).json()["execution_id"]
    return execution


def test_node_is_answered_with_its_config_and_its_result(api: ServedApi) -> None:
    """Beside the fields that it has in the status."""
    execution = created(api)
    api.store.finish(execution, {"greet": msgspec.Raw(b'{"result":"hello"}')})
    answer = api.client.get(f"/workflows/{execution}/nodes/greet")
    assert answer.status_code == 200
    found = answer.json()
    in_status = api.client.get(f"/workflows/{execution}").json()["nodes"][0]
    assert {name: found[name] for name in in_status} == in_status
    assert (found["config"], found["result"]) == ({"text": "hello"}, {"result": "hello"})
    assert "config_error" not in found
    assert "config_truncated" not in found


def test_unknown_nodes_and_executions_are_not_found(api: ServedApi) -> None:
    """404, each with a code of its own."""
    answer = api.client.get(f"/workflows/{created(api)}/nodes/gret")
    assert (answer.status_code, answer.json()["code"]) == (404, "node_not_found")
    answer = api.client.get("/workflows/19b7ca98f2ef2c4d1b3a9e87f60/nodes/greet")
    assert (answer.status_code, answer.json()["code"]) == (404, "execution_not_found")


def test_items_are_listed_from_an_index_on_and_without_results(api: ServedApi) -> None:
    """What says neither lists all of them from the first on."""
    execution = created(api)
    api.store.map_items = [item(index) for index in range(3)]
    path = f"/workflows/{execution}/nodes/greet/items"

    def found(query: str) -> list[tuple[int, object]]:
        answer = api.client.get(f"{path}{query}")
        assert answer.status_code == 200, answer.text
        return [(each["index"], each["result"]) for each in answer.json()["items"]]

    assert found("") == found("?from=0&results=true") == [(0, 0), (1, 1), (2, 2)]
    assert found("?from=2") == [(2, 2)]
    assert found("?from=1&results=false") == [(1, None), (2, None)]
    assert found("?from=3") == []


@pytest.mark.parametrize("query", ["from=-1", "from=one", "from=1&from=2", "results=no", "from=9999999999"])
def test_what_no_item_can_have_is_refused(api: ServedApi, query: str) -> None:
    """422, and never ignored."""
    answer = api.client.get(f"/workflows/{created(api)}/nodes/greet/items?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")


def item(index: int) -> ItemView:
    """One that has completed with its index."""
    return ItemView(
        index=index,
        key=str(index),
        status="completed",
        tries=1,
        started_at=None,
        finished_at=None,
        error=None,
        result=msgspec.Raw(str(index).encode()),
    )


def test_unknown_query_parameter_is_refused(api: ServedApi) -> None:
    """Nothing may be asked for here."""
    answer = api.client.get(f"/workflows/{created(api)}/nodes/greet?attempt=1")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
