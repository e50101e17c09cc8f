"""Inputs of executions as the API asks for them, over fakeredis: stored, replaced, kept, hidden."""

from __future__ import annotations

import msgspec
import pytest
from fakeredis import FakeRedis

from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.errors import WrongStateError
from flowengine.execution.records import NodeRecord
from flowengine.execution.views.executions import HealthView
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.codec import decode_record
from flowengine.store.state import RedisState
from flowengine.workflow.inputs.beginning import VarsInvalidError
from flowengine.workflow.inputs.values import InputsInvalidError
from flowengine.workflow.plan import Plan
from tests.support.documents import accepted, node, workflow

NAMES = keys.of()
INPUTS: dict[str, JsonValue] = {
    "day": {"type": "string"},
    "count": {"type": "integer", "default": 1},
    "token": {"type": "string", "secret": True, "required": False},
}


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis(protocol=2)


@pytest.fixture
def store(redis: FakeRedis) -> StoredExecutions:
    state = RedisState(redis, post, Settings())
    return StoredExecutions(RedisApiState(state), lambda: HealthView(status="ok", checks={}))


def plan_with(**inputs: JsonValue) -> Plan:
    """A plan of one node with these inputs."""
    plan = accepted(workflow(node("a"), inputs=inputs)).plan
    assert plan is not None
    return plan


PLAN = plan_with(**INPUTS)


def created(store: StoredExecutions, **inputs: JsonValue) -> str:
    """A pending execution with inputs."""
    return store.create(PLAN, correlation_id="c", inputs=inputs).execution_id


def stored(redis: FakeRedis, execution: str) -> dict[str, JsonValue]:
    """The inputs as they are kept."""
    found: dict[str, JsonValue] = msgspec.json.decode(redis.hget(NAMES.inputs(execution), keys.VALUES) or b"")
    return found


def shown(store: StoredExecutions, execution: str) -> JsonValue:
    """The inputs as they are shown."""
    found: JsonValue = msgspec.json.decode(msgspec.json.encode(store.status(execution).inputs))
    return found


@pytest.mark.proves("inputs-refused")
def test_inputs_that_do_not_fit_create_nothing(store: StoredExecutions, redis: FakeRedis) -> None:
    """They are looked at before anything is written."""
    with pytest.raises(InputsInvalidError):
        created(store, day=5)
    assert redis.keys("fe:x:*") == []


@pytest.mark.proves("inputs-refused")
def test_inputs_that_do_not_fit_start_nothing(store: StoredExecutions, redis: FakeRedis) -> None:
    """What is required is asked for at the trigger, after which nothing has changed."""
    execution = created(store)
    before = {key: redis.dump(key) for key in redis.keys("fe:*")}
    for inputs in ({}, {"day": 5}, {"day": "x", "dya": "y"}):
        with pytest.raises(InputsInvalidError):
            store.trigger(execution, correlation_id="c", inputs=inputs)
    assert {key: redis.dump(key) for key in redis.keys("fe:*")} == before
    assert store.trigger(execution, correlation_id="c", inputs={"day": "x"}).run == 1


def test_inputs_of_the_trigger_replace_those_posted_name_by_name(
    store: StoredExecutions, redis: FakeRedis
) -> None:
    """And defaults are for the rest."""
    execution = created(store, day="x", token="0123456789")
    store.trigger(execution, correlation_id="c", inputs={"day": "y"})
    assert stored(redis, execution) == {"day": "y", "count": 1, "token": "0123456789"}
    assert redis.hget(NAMES.inputs(execution), keys.SECRET) == b'["token"]'


@pytest.mark.proves("inputs-stay")
def test_a_trigger_again_keeps_the_inputs_and_takes_no_others(
    store: StoredExecutions, redis: FakeRedis
) -> None:
    """What has completed was made of them."""
    execution = created(store, day="x")
    store.trigger(execution, correlation_id="c")
    redis.hset(NAMES.control(execution), "status", "failed")
    before = stored(redis, execution)
    with pytest.raises(WrongStateError, match="first trigger"):
        store.trigger(execution, correlation_id="c", inputs={"day": "y"})
    assert store.trigger(execution, correlation_id="c").run == 2
    assert stored(redis, execution) == before


def test_secret_inputs_are_hidden_when_shown(store: StoredExecutions) -> None:
    """Also before the trigger."""
    execution = created(store, day="x", token="0123456789")
    assert shown(store, execution) == {"day": "x", "token": "***"}


def test_an_execution_without_inputs_has_no_key_of_them(store: StoredExecutions, redis: FakeRedis) -> None:
    """Nothing is stored for a workflow that says nothing of inputs and gets none."""
    plan = accepted(workflow(node("a"))).plan
    assert plan is not None
    execution = store.create(plan, correlation_id="c").execution_id
    store.trigger(execution, correlation_id="c")
    assert not redis.exists(NAMES.inputs(execution))
    assert store.status(execution).inputs is msgspec.UNSET


def test_an_execution_of_a_workflow_without_inputs_takes_any(
    store: StoredExecutions, redis: FakeRedis
) -> None:
    """They are stored as they are."""
    plan = accepted(workflow(node("a"))).plan
    assert plan is not None
    execution = store.create(plan, correlation_id="c", inputs={"x": [1]}).execution_id
    store.trigger(execution, correlation_id="c", inputs={"y": None})
    assert stored(redis, execution) == {"x": [1], "y": None}


def test_vars_are_stored_at_the_first_trigger_and_stay(store: StoredExecutions, redis: FakeRedis) -> None:
    """Those that read a secret are kept as they are written; another trigger makes none anew."""
    variables: JsonValue = {"base": "x/{{ inputs.day }}", "auth": "{{ inputs.token }}"}
    plan = accepted(workflow(node("a"), inputs=INPUTS, vars=variables)).plan
    assert plan is not None
    execution = store.create(
        plan, correlation_id="c", inputs={"day": "d", "token": "0123456789"}
    ).execution_id
    assert not redis.hexists(NAMES.inputs(execution), keys.VARS)
    store.trigger(execution, correlation_id="c")
    assert redis.hget(NAMES.inputs(execution), keys.VARS) == b'{"base":"x/d"}'
    assert redis.hget(NAMES.inputs(execution), keys.LATE) == b'{"auth":"{{ inputs.token }}"}'
    before = redis.dump(NAMES.inputs(execution))
    redis.hset(NAMES.control(execution), "status", "failed")
    store.trigger(execution, correlation_id="c")
    assert redis.dump(NAMES.inputs(execution)) == before


@pytest.mark.proves("vars-invalid")
def test_a_var_that_cannot_be_made_starts_nothing(store: StoredExecutions, redis: FakeRedis) -> None:
    """The trigger may be sent again with other inputs."""
    plan = accepted(workflow(node("a"), vars={"x": "{{ inputs.a.b }}"})).plan
    assert plan is not None
    execution = store.create(plan, correlation_id="c").execution_id
    before = {key: redis.dump(key) for key in redis.keys("fe:*")}
    with pytest.raises(VarsInvalidError):
        store.trigger(execution, correlation_id="c")
    assert {key: redis.dump(key) for key in redis.keys("fe:*")} == before
    assert store.trigger(execution, correlation_id="c", inputs={"a": {"b": 1}}).run == 1


@pytest.mark.proves("when-at-trigger")
def test_a_condition_is_decided_in_the_transaction_of_the_trigger(
    store: StoredExecutions, redis: FakeRedis
) -> None:
    """Its node's record says so; others have none yet."""
    plan = accepted(workflow(node("a", when="{{ inputs.go }}"), node("b"))).plan
    assert plan is not None
    execution = store.create(plan, correlation_id="c").execution_id
    store.trigger(execution, correlation_id="c", inputs={"go": False})
    state = redis.hget(NAMES.node(execution, "a"), keys.STATE)
    assert isinstance(state, bytes)
    assert decode_record(state) == NodeRecord(when=False)
    assert not redis.exists(NAMES.node(execution, "b"))


def test_inputs_expire_with_the_execution(store: StoredExecutions, redis: FakeRedis) -> None:
    """A pending one expires; a running one does not."""
    execution = created(store, day="x")
    assert redis.ttl(NAMES.inputs(execution)) == redis.ttl(NAMES.plan(execution)) > 0
    store.trigger(execution, correlation_id="c")
    assert redis.ttl(NAMES.inputs(execution)) == -1
