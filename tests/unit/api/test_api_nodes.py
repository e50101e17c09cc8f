"""`GET /workflows/{id}/nodes/{node}`: everything of one node."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

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


def test_unknown_query_parameter_is_refused(api: ServedApi) -> None:
    """Nothing may be asked for here."""
    answer = api.client.get(f"/workflows/{created(api)}/nodes/greet?attempt=1")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
