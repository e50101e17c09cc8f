"""Labels and documents of executions, and one that begins as it is stored, over fakeredis."""

from __future__ import annotations

from contextlib import AbstractContextManager

import msgspec
import pytest
from fakeredis import FakeRedis

from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.errors import DocumentNotFoundError, ExecutionNotFoundError, WrongStateError
from flowengine.execution.views.executions import HealthView
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.codec import decode_record
from flowengine.store.state import RedisState
from flowengine.workflow.inputs.beginning import VarsInvalidError
from flowengine.workflow.inputs.values import InputsInvalidError
from flowengine.workflow.labels import MAX_LABELS
from flowengine.workflow.plan import Plan
from flowengine.workflow.posting.posted_document import PostedDocument, pack
from tests.support.documents import accepted, node, workflow

NAMES = keys.of()
MANY = {f"l{at}": "x" for at in range(MAX_LABELS)}


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis(protocol=2)


@pytest.fixture
def store(redis: FakeRedis) -> StoredExecutions:
    state = RedisState(redis, post, Settings())
    return StoredExecutions(RedisApiState(state), lambda: HealthView(status="ok", checks={}))


def read(redis: FakeRedis, key: str, field: str) -> bytes:
    """A field that is there."""
    value = redis.hget(key, field)
    assert isinstance(value, bytes)
    return value


def plan_with(**fields: msgspec.Raw | object) -> Plan:
    """A plan of one node, of a document with these fields."""
    plan = accepted(workflow(node("a"), **fields)).plan  # type: ignore[arg-type]  # JSON values
    assert plan is not None
    return plan


PLAN = plan_with()


def created(store: StoredExecutions, labels: dict[str, str], plan: Plan = PLAN) -> str:
    """A pending execution with labels."""
    return store.create(plan, correlation_id="c", labels=labels).execution_id


def test_labels_stand_in_the_status_until_the_execution_goes(store: StoredExecutions) -> None:
    """A trigger that brings none leaves them."""
    execution = created(store, {"team": "data"})
    assert store.status(execution).labels == {"team": "data"}
    store.trigger(execution, correlation_id="c")
    assert store.status(execution).labels == {"team": "data"}


def test_the_first_trigger_adds_labels_and_replaces_some(store: StoredExecutions) -> None:
    """Name by name."""
    execution = created(store, {"team": "data", "kind": "report"})
    store.trigger(execution, correlation_id="c", labels={"kind": "test", "customer": "7"})
    assert store.status(execution).labels == {"team": "data", "kind": "test", "customer": "7"}


def test_a_later_trigger_brings_no_labels(redis: FakeRedis, store: StoredExecutions) -> None:
    """It is refused, and changes nothing."""
    execution = created(store, {"team": "data"})
    store.trigger(execution, correlation_id="c")
    redis.hset(NAMES.control(execution), "status", "failed")
    with pytest.raises(WrongStateError, match="has its labels from its first trigger"):
        store.trigger(execution, correlation_id="c", labels={"team": "x"})
    assert store.status(execution).labels == {"team": "data"}


def test_an_execution_has_at_most_32_labels(store: StoredExecutions) -> None:
    """Those of the trigger count with those that it has; it stays pending."""
    execution = created(store, MANY)
    with pytest.raises(InputsInvalidError, match="at most 32 labels, these are 33"):
        store.trigger(execution, correlation_id="c", labels={"more": "x"})
    assert store.status(execution).status == "pending"
    store.trigger(execution, correlation_id="c", labels={"l0": "y"})


def test_what_is_made_at_the_trigger_reads_the_triggers_labels(redis: FakeRedis) -> None:
    """Vars and conditions see what the nodes will see."""
    state = RedisState(redis, post, Settings())
    store = StoredExecutions(RedisApiState(state), lambda: HealthView(status="ok", checks={}))
    plan = accepted(
        workflow(
            node("a", when="{{ execution.labels.kind == 'test' }}"),
            vars={"of": "{{ execution.labels.team }}/{{ execution.labels.kind }}"},
        )
    ).plan
    assert plan is not None
    execution = created(store, {"team": "data", "kind": "report"}, plan)
    store.trigger(execution, correlation_id="c", labels={"kind": "test"})
    assert msgspec.json.decode(read(redis, NAMES.inputs(execution), keys.VARS)) == {"of": "data/test"}
    assert decode_record(read(redis, NAMES.node(execution, "a"), keys.STATE)).when is True


def test_an_execution_may_begin_as_it_is_stored(redis: FakeRedis, store: StoredExecutions) -> None:
    """It runs, its message waits, nothing of it expires: as after a trigger."""
    made = store.start(PLAN, correlation_id="c", inputs={"x": 1}, labels={"team": "data"})
    view = store.status(made.execution_id)
    assert (made.status, made.run, view.status, view.run) == ("running", 1, "running", 1)
    assert (view.labels, view.inputs, view.started_at) == (
        {"team": "data"},
        {"x": msgspec.Raw(b"1")},
        view.created_at,
    )
    assert redis.xlen("fe:q:orchestrator") == 1
    assert redis.zscore(NAMES.index("running"), made.execution_id)
    assert redis.zscore(NAMES.index("pending"), made.execution_id) is None
    assert {redis.ttl(key) for key in redis.keys(f"fe:x:{made.execution_id}:*")} == {-1}
    with pytest.raises(WrongStateError):
        store.trigger(made.execution_id, correlation_id="c")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"inputs": {"day": {"type": "string"}}}, InputsInvalidError),
        ({"vars": {"x": "{{ 1 // 0 }}"}}, VarsInvalidError),
    ],
)
def test_a_start_that_cannot_begin_stores_nothing(
    redis: FakeRedis, store: StoredExecutions, fields: dict[str, object], wrong: type[Exception]
) -> None:
    """Nobody knows its id: it would only wait until it expires."""
    with pytest.raises(wrong):
        store.start(plan_with(**fields), correlation_id="c")
    assert not redis.keys("fe:x:*")


def test_a_document_is_kept_with_its_execution_compressed(redis: FakeRedis, store: StoredExecutions) -> None:
    """It begins and expires with the rest."""
    text = b"name: One\n" * 100
    packed = pack(PostedDocument(text, "application/yaml"))
    assert len(packed) < len(text) / 5
    execution = store.create(PLAN, correlation_id="c", document=packed).execution_id
    key = NAMES.document(execution)
    assert redis.ttl(key) == redis.ttl(NAMES.plan(execution)) > 0
    assert store.document(execution) == PostedDocument(text, "application/yaml")
    store.trigger(execution, correlation_id="c")
    assert redis.ttl(key) == -1
    redis.delete(key)
    with pytest.raises(DocumentNotFoundError):
        store.document(execution)
    with pytest.raises(ExecutionNotFoundError):
        store.document("0" * 27)


def test_a_document_counts_as_stored_bytes(redis: FakeRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow that does not fit with it is refused."""
    state = RedisState(redis, post, Settings())
    api_state = RedisApiState(state)
    sizes: list[int] = []
    letting_in = api_state.letting_in

    def noting(size: int) -> AbstractContextManager[None]:
        sizes.append(size)
        return letting_in(size)

    monkeypatch.setattr(api_state, "letting_in", noting)
    store = StoredExecutions(api_state, lambda: HealthView(status="ok", checks={}))
    for document in (None, b"x" * 1000):
        store.create(PLAN, correlation_id="c", document=document)
    assert sizes[1] - sizes[0] == 1000
