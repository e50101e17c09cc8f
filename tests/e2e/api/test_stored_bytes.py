"""The limit in bytes on what waits and is kept, as callers and monitors meet it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.answers import assert_problem
from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.valkey import Valkey

LARGE = workflow(
    *(node(f"n{at}", "aggregate", inputs=["x" * 9000], aggregate_type="count") for at in range(110))
)
"""Some 1 MB."""


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A server that may keep 4 MB, and an API without services."""
    valkey = Valkey()
    with Stack(valkey, {}) as made:
        valkey.start()
        with valkey.connect() as redis:
            limit = int(redis.info("memory")["used_memory"]) + 4_000_000
        made.start_api(FLOWENGINE_MAX_STORED_BYTES=str(limit))
        yield made


def test_workflows_that_nobody_triggers_do_not_fill_the_memory(stack: Stack) -> None:
    """Of twelve some are accepted and the others refused, with the reason; what is stored is served.

    One may be let in after another was refused: what Redis holds of a request counts while it lasts.
    """
    answers = [stack.client.post("/workflow", json=LARGE) for _ in range(12)]
    accepted = [answer for answer in answers if answer.status_code == 201]
    assert 1 <= len(accepted) <= 4
    for refused in (answer for answer in answers if answer.status_code != 201):
        detail = str(assert_problem(refused, 503, "store_full")["detail"])
        assert "FLOWENGINE_MAX_STORED_BYTES" in detail
        assert refused.headers["Retry-After"] == "30"
    with stack.valkey.connect() as redis:
        assert int(redis.info("memory")["used_memory_dataset"]) < 5_000_000
    path = f"/workflows/{accepted[0].json()['execution_id']}"
    assert stack.client.get(path).json()["counts"]["total"] == 110
