"""What the API asks of the store, over fakeredis: nothing here blocks, persists or races."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fakeredis import FakeRedis

from flowengine.bootstrap import send
from flowengine.engine.executions import StoredExecutions
from flowengine.errors import ExecutionNotFoundError, TooManyExecutionsError, WrongStateError
from flowengine.execution.views import HealthView
from flowengine.settings import Settings
from flowengine.store.state import RedisState
from flowengine.workflow.plan import Plan, PlanNode

PLAN = Plan(
    "two",
    (
        PlanNode("first", "compute", msgspec.Raw(b"{}"), (), (), 1000, "worker"),
        PlanNode("second", "compute", msgspec.Raw(b"{}"), (0,), (0,), 1000, "worker"),
    ),
)


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis()


def executions(redis: FakeRedis, **settings: int) -> StoredExecutions:
    """The store over a fake server that nobody else uses."""
    state = RedisState(redis, send, msgspec.structs.replace(Settings(), **settings))
    return StoredExecutions(state, lambda: HealthView(status="ok", checks={}))


def test_created_execution_is_pending_with_all_its_nodes(redis: FakeRedis) -> None:
    """Nothing has been attempted; nodes come in the document's order."""
    store = executions(redis)
    created = store.create(PLAN, correlation_id="abc")
    view = store.status(created.execution_id)
    assert (view.status, view.run, view.correlation_id) == ("pending", 0, "abc")
    assert [(node.id, node.status, node.attempt) for node in view.nodes] == [
        ("first", "pending", 0),
        ("second", "pending", 0),
    ]
    assert view.nodes[1].dependencies == ("first",)


def test_trigger_sends_one_start_and_counts_runs(redis: FakeRedis) -> None:
    """The message is in the orchestrator's queue once the trigger has returned."""
    store = executions(redis)
    execution = store.create(PLAN, correlation_id="abc").execution_id
    assert store.trigger(execution, correlation_id="other").run == 1
    entries: Any = redis.xrange("fe:q:orchestrator")
    [(_, fields)] = entries
    assert fields[b"a"] == b"start_execution"
    start = {"execution": execution, "run": 1, "correlation_id": "abc", "nodes": 2}
    assert msgspec.json.decode(fields[b"p"]) == start


def test_running_execution_cannot_be_triggered(redis: FakeRedis) -> None:
    """The error names the state and what may be triggered."""
    store = executions(redis)
    execution = store.create(PLAN, correlation_id="abc").execution_id
    store.trigger(execution, correlation_id="abc")
    with pytest.raises(WrongStateError, match="is running; only a pending or failed one"):
        store.trigger(execution, correlation_id="abc")


@pytest.mark.parametrize("execution", ["0" * 27, "", "../etc", "a" * 5000, "{{ 7 * 7 }}", "a\r\nb"])
def test_unknown_id_is_not_found(redis: FakeRedis, execution: str) -> None:
    """Whatever its shape, and without a key made from it."""
    with pytest.raises(ExecutionNotFoundError):
        executions(redis).status(execution)
    assert redis.keys() == []


def test_limit_on_unfinished_executions_refuses_the_next(redis: FakeRedis) -> None:
    """The refusal names the limit, its setting, and when to come again."""
    store = executions(redis, max_unfinished_executions=2)
    for _ in range(2):
        store.create(PLAN, correlation_id="abc")
    with pytest.raises(TooManyExecutionsError, match="the limit is 2") as refused:
        store.create(PLAN, correlation_id="abc")
    assert refused.value.retry_after_s > 0


def test_equal_workflows_share_one_decoded_plan(redis: FakeRedis) -> None:
    """Ten thousand waiting executions of one workflow hold one plan in memory."""
    state = RedisState(redis, send, Settings())
    store = StoredExecutions(state, lambda: HealthView(status="ok", checks={}))
    first, second = (store.create(PLAN, correlation_id="abc").execution_id for _ in range(2))
    assert state.plan(first) is state.plan(second)
