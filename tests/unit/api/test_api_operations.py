"""What operators ask the API: answers without parameters, which nothing unknown may slip into."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers.served_api import ServedApi, served_api


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    with served_api() as served:
        yield served


@pytest.mark.parametrize("path", ["/queues", "/workers"])
def test_lists_are_answered_whole(api: ServedApi, path: str) -> None:
    """They are bounded, so that there is no next page."""
    answer = api.client.get(path)
    assert (answer.status_code, answer.json()["next_cursor"]) == (200, None)
    assert len(answer.json()["items"]) == 2


def test_limits_are_paged(api: ServedApi) -> None:
    """Who holds a place and who waits; a cursor that no page has given is refused."""
    (limit,) = api.client.get("/limits").json()["items"]
    assert (limit["key"], limit["holding"], limit["waiting"]) == ("customer-7", 1, 1)
    assert api.client.get("/limits", params={"cursor": "x"}).json()["code"] == "invalid_parameter"


def test_statistics_are_one_object(api: ServedApi) -> None:
    """They are no list."""
    answer = api.client.get("/stats")
    assert (answer.status_code, answer.json()["executions"]["running"]) == (200, 3)


@pytest.mark.parametrize("path", ["/queues", "/workers", "/limits", "/stats"])
def test_an_unknown_parameter_is_refused(api: ServedApi, path: str) -> None:
    """A filter that is silently dropped would show what was not asked for."""
    answer = api.client.get(path, params={"queue": "worker"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")


def test_metrics_are_told_as_prometheus_reads_them(api: ServedApi) -> None:
    """What Redis holds, and what this process has counted: its requests, by route."""
    api.client.get("/queues")
    answer = api.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'flowengine_executions{status="running"} 3.0' in answer.text
    asked = 'flowengine_http_requests_total{method="GET",route="/queues",status="200"}'
    (line,) = [line for line in answer.text.splitlines() if line.startswith(asked)]
    assert float(line.split()[1]) >= 1


def test_methods_and_paths_that_nobody_knows_are_not_counted_apart(api: ServedApi) -> None:
    """Callers choose them."""
    api.client.request("PROPFIND", "/nothing/here")
    text = api.client.get("/metrics").text
    assert 'method="other",route="unmatched",status="404"' in text
    assert "PROPFIND" not in text
