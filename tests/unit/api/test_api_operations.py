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


@pytest.mark.parametrize("path", ["/queues", "/workers"])
def test_an_unknown_parameter_is_refused(api: ServedApi, path: str) -> None:
    """A filter that is silently dropped would show what was not asked for."""
    answer = api.client.get(path, params={"queue": "worker"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
