"""What the API asks of executions, over fakeredis: nothing here blocks, persists or races."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec
import pytest
from fakeredis import FakeRedis

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor
from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.engine.ports import Begun
from flowengine.errors import (
    ExecutionNotFoundError,
    StoreUnavailableError,
    TooManyExecutionsError,
    WrongStateError,
)
from flowengine.execution.messages import StartExecution
from flowengine.execution.records import NodeError, NodeRecord
from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus, NodeStatus
from flowengine.execution.views.executions import CancelView, CountsView, HealthView
from flowengine.queues import WORKER_QUEUE
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.codec import encode_record, format_begun
from flowengine.store.connection.sessions import Session
from flowengine.store.state import RedisState
from flowengine.workflow.plan import Plan, PlanNode, Task

TASK = Task("compute", msgspec.Raw(b"{}"), (), 1000, WORKER_QUEUE)
PLAN = Plan("two", (PlanNode("first", (), TASK), PlanNode("second", (0,), TASK)))
NAMES = keys.of()
HEALTH = HealthView(status="ok", checks={})


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis(protocol=2)


def executions(redis: FakeRedis, **settings: int) -> StoredExecutions:
    """Executions over a fake server that nobody else uses."""
    state = RedisState(redis, post, msgspec.structs.replace(Settings(), **settings))
    return StoredExecutions(RedisApiState(state), lambda: HEALTH)


def created(store: StoredExecutions) -> str:
    """A pending execution."""
    return store.create(PLAN, correlation_id="abc").execution_id


def stored(redis: FakeRedis, execution: str, node: str, record: NodeRecord, result: str = "") -> None:
    """Write a node's record and its result, as an orchestrator would have."""
    redis.hset(NAMES.node(execution, node), keys.STATE, encode_record(record))
    if result:
        redis.hset(NAMES.node(execution, node), keys.RESULT, result)


# -- create


def test_created_execution_is_pending_with_all_its_nodes(redis: FakeRedis) -> None:
    """Nothing has been attempted; nodes come in the document's order."""
    store = executions(redis)
    made = store.create(PLAN, correlation_id="abc")
    view = store.status(made.execution_id)
    assert (view.status, view.run, view.correlation_id) == ("pending", 0, "abc")
    assert (view.created_at, view.started_at, view.finished_at) == (made.created_at, None, None)
    assert [(node.id, node.status, node.attempt) for node in view.nodes] == [
        ("first", "pending", 0),
        ("second", "pending", 0),
    ]
    assert view.nodes[1].dependencies == ("first",)


def test_limit_on_unfinished_executions_refuses_the_next(redis: FakeRedis) -> None:
    """The refusal names the limit, its setting, and when to come again."""
    store = executions(redis, max_unfinished_executions=2)
    for _ in range(2):
        created(store)
    with pytest.raises(TooManyExecutionsError, match="the limit is 2") as refused:
        created(store)
    assert refused.value.retry_after_s > 0


def test_equal_workflows_share_one_decoded_plan(redis: FakeRedis) -> None:
    """Ten thousand waiting executions of one workflow hold one plan in memory."""
    state = RedisState(redis, post, Settings())
    store = StoredExecutions(RedisApiState(state), lambda: HEALTH)
    first, second = created(store), created(store)
    assert state.plan(first) is state.plan(second)


def test_an_id_tells_when_it_was_made_and_is_unlike_any_other(redis: FakeRedis) -> None:
    """27 characters, of which the first eleven are the time of creation; none names a partition."""
    store = executions(redis)
    ids = [created(store) for _ in range(50)]
    assert len(set(ids)) == 50
    assert {len(execution) for execution in ids} == {keys.ID_CHARS}
    assert [execution[:11] for execution in ids] == sorted(execution[:11] for execution in ids)
    assert keys.partition_of(ids[0]) == ""


# -- trigger


def test_trigger_sends_one_start_and_counts_runs(redis: FakeRedis) -> None:
    """The message is in the orchestrator's queue once the trigger has returned."""
    store = executions(redis)
    execution = created(store)
    assert store.trigger(execution, correlation_id="other").run == 1
    entries: Any = redis.xrange("fe:q:orchestrator")
    [(_, fields)] = entries
    assert fields[b"a"] == b"start_execution"
    start = StartExecution(execution=execution, run=1, correlation_id="abc", nodes=2, roots=("first",))
    assert msgspec.json.decode(fields[b"p2"], type=StartExecution) == start


def test_running_execution_cannot_be_triggered(redis: FakeRedis) -> None:
    """The error names the state and what may be triggered."""
    store = executions(redis)
    execution = created(store)
    store.trigger(execution, correlation_id="abc")
    with pytest.raises(WrongStateError, match="is running; only one that is pending, failed or cancelled"):
        store.trigger(execution, correlation_id="abc")


@pytest.mark.parametrize(
    "status",
    [status for status in ALL_EXECUTION_STATUSES if status not in ("pending", "failed", "cancelled")],
)
def test_only_what_is_pending_failed_or_cancelled_can_be_triggered(
    redis: FakeRedis, status: ExecutionStatus
) -> None:
    """A refused trigger writes nothing."""
    store = executions(redis)
    execution = created(store)
    redis.hset(NAMES.control(execution), mapping={"status": status, "run": 1})
    before = redis.hgetall(NAMES.control(execution))
    with pytest.raises(WrongStateError, match=f"is {status};"):
        store.trigger(execution, correlation_id="abc")
    assert redis.hgetall(NAMES.control(execution)) == before
    assert not redis.exists("fe:q:orchestrator")


def test_a_failed_execution_is_triggered_again(redis: FakeRedis) -> None:
    """What completed stays; what failed is pending, with its attempts and dispatches kept."""
    store = executions(redis)
    execution = created(store)
    store.trigger(execution, correlation_id="abc")
    stored(redis, execution, "first", NodeRecord(status="completed", attempt=1, dispatch=1), result='"done"')
    stored(redis, execution, "second", NodeRecord(status="failed", attempt=2, dispatch=3))
    redis.hset(NAMES.control(execution), mapping={"status": "failed", "finished_at": 9})
    assert store.trigger(execution, correlation_id="abc").run == 2
    view = store.status(execution)
    assert (view.status, view.run, view.finished_at) == ("running", 2, None)
    assert [(node.id, node.status, node.attempt) for node in view.nodes] == [
        ("first", "completed", 1),
        ("second", "pending", 2),
    ]
    assert store.results(execution).results == {"first": msgspec.Raw(b'"done"')}


def test_a_retry_begins_without_what_was_noted_before(redis: FakeRedis) -> None:
    """Neither starts that came after the end, nor counters of joins that have completed."""
    store = executions(redis)
    execution = created(store)
    store.trigger(execution, correlation_id="abc")
    redis.hset(NAMES.control(execution), mapping={"status": "failed", "finished_at": 9})
    redis.hset(NAMES.deps(execution), "second", 0)
    redis.hset(NAMES.started(execution), keys.start_field("first", 1), format_begun(Begun(1, 5, "1-0/me")))
    store.trigger(execution, correlation_id="abc")
    assert not redis.exists(NAMES.deps(execution), NAMES.started(execution))


def test_a_trigger_whose_answer_was_lost_has_succeeded(
    redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token is in the record: the caller's own, and no other's."""
    store = executions(redis)
    execution = created(store)
    _lose_answers(monkeypatch, lambda transact: transact())
    assert store.trigger(execution, correlation_id="abc").run == 1
    assert store.status(execution).status == "running"


def test_a_trigger_that_was_not_applied_says_so(redis: FakeRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller may try again."""
    store = executions(redis)
    execution = created(store)
    _lose_answers(monkeypatch, lambda transact: None)
    with pytest.raises(StoreUnavailableError, match="lost"):
        store.trigger(execution, correlation_id="abc")
    assert store.status(execution).status == "pending"


def _lose_answers(monkeypatch: pytest.MonkeyPatch, before: Callable[[Callable[[], object]], object]) -> None:
    """Let every transaction fail, after `before` was given the chance to carry it out."""
    original = Session.transact

    def transact(session: Session, *args: Any) -> None:
        before(lambda: original(session, *args))
        raise StoreUnavailableError("lost")

    monkeypatch.setattr(Session, "transact", transact)


# -- queries


@pytest.mark.parametrize("execution", ["0" * 27, "", "../etc", "a" * 5000, "{{ 7 * 7 }}", "a\r\nb"])
@pytest.mark.parametrize("asked", ["status", "results"])
def test_unknown_id_is_not_found(redis: FakeRedis, asked: str, execution: str) -> None:
    """Whatever its shape, and without a key made from it."""
    with pytest.raises(ExecutionNotFoundError):
        getattr(executions(redis), asked)(execution)
    assert set(redis.keys()) <= {b"fe:format"}


def test_unknown_id_cannot_be_triggered(redis: FakeRedis) -> None:
    """As a query of it cannot be answered."""
    with pytest.raises(ExecutionNotFoundError):
        executions(redis).trigger("0" * 27, correlation_id="abc")
    assert set(redis.keys()) <= {b"fe:format"}


def test_a_node_whose_start_is_noted_is_running(redis: FakeRedis) -> None:
    """By the start of its own dispatch; one of a dispatch before tells nothing."""
    store = executions(redis)
    execution = created(store)
    for node in ("first", "second"):
        stored(redis, execution, node, NodeRecord(status="queued", attempt=1, dispatch=2, queued_at=5000))
    started = NAMES.started(execution)
    redis.hset(started, keys.start_field("first", 2), format_begun(Begun(1, 6000, "1-0/me")))
    redis.hset(started, keys.start_field("second", 1), format_begun(Begun(1, 4000, "0-1/me")))
    view = store.status(execution)
    assert [(node.status, node.started_at) for node in view.nodes] == [
        ("running", "1970-01-01T00:00:06.000Z"),
        ("queued", None),
    ]
    assert view.counts == CountsView(
        total=2,
        pending=0,
        queued=1,
        running=1,
        waiting=0,
        completed=0,
        failed=0,
        skipped=0,
        cancelled=0,
    )


def test_results_are_outputs_and_errors_of_what_has_ended(redis: FakeRedis) -> None:
    """As they are stored."""
    store = executions(redis)
    execution = created(store)
    error = NodeError(code="boom", message="on purpose")
    stored(redis, execution, "first", NodeRecord(status="completed", attempt=1, dispatch=1), result="[1]")
    stored(redis, execution, "second", NodeRecord(status="failed", attempt=1, dispatch=1, error=error))
    found = store.results(execution)
    assert (found.results, found.errors) == ({"first": msgspec.Raw(b"[1]")}, {"second": error})


def test_status_holds_the_nodes_of_the_statuses_wanted(redis: FakeRedis) -> None:
    """`counts` are of all, whichever are shown."""
    store = executions(redis)
    execution = created(store)
    stored(redis, execution, "first", NodeRecord(status="failed", error=NodeError("broken", "it broke")))
    whole = store.status(execution)
    wanted: list[tuple[Collection[NodeStatus], list[str]]] = [
        (["failed"], ["first"]),
        ([], []),
        (["failed", "pending"], ["first", "second"]),
    ]
    for only, shown in wanted:
        view = store.status(execution, only=only)
        assert [node.id for node in view.nodes] == shown
        assert view.counts == whole.counts


def test_status_says_who_has_asked_for_a_cancel(redis: FakeRedis) -> None:
    """And why; nothing where nobody has."""
    store = executions(redis)
    execution = created(store)
    assert store.status(execution).cancel_requested is msgspec.UNSET
    with acting(Note(action="cancel_execution", actor=Actor(key="ops"))):
        store.cancel(execution, reason="no end in sight")
    asked = store.status(execution).cancel_requested
    assert isinstance(asked, CancelView)
    assert (asked.by, asked.reason) == ("ops", "no end in sight")
