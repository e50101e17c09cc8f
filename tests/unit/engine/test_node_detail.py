"""One node as it is shown, over fakeredis: its attempts, and its config as it is rendered now."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fakeredis import FakeRedis

from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.engine.node_detail import MOST_CONFIG_BYTES
from flowengine.errors import ExecutionNotFoundError, NodeNotFoundError
from flowengine.execution.records import Attempt, NodeError, NodeRecord
from flowengine.execution.views.executions import NULL, HealthView, NodeDetailView
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits, Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.codec import encode_record
from flowengine.store.state import RedisState
from tests.support.documents import accepted, node, reading, workflow

NAMES = keys.of()
SENT = NodeRecord(status="queued", attempt=1, dispatch=1, queued_at=1_767_323_045_000)
COMPLETED = msgspec.structs.replace(SENT, status="completed", finished_at=1_767_323_046_000, delivery=1)
ERROR = NodeError("boom", "on purpose")


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis(protocol=2)


def executions(redis: FakeRedis, limits: Limits | None = None) -> StoredExecutions:
    """Executions over a fake server that nobody else uses."""
    state = RedisState(redis, post, Settings())
    health = HealthView(status="ok", checks={})
    return StoredExecutions(RedisApiState(state), lambda: health, limits=limits or Limits())


def begun(store: StoredExecutions, *nodes: JsonValue, given: Any = None, **fields: JsonValue) -> str:
    """An execution of this document that was triggered."""
    plan = accepted(workflow(*nodes, **fields)).plan
    assert plan is not None
    return store.start(plan, correlation_id="c", inputs=given).execution_id


def write(redis: FakeRedis, execution: str, name: str, record: NodeRecord, result: object = None) -> None:
    """A node's record and its output, as an orchestrator would write them."""
    redis.hset(NAMES.node(execution, name), keys.STATE, encode_record(record))
    if result is not None:
        redis.hset(NAMES.node(execution, name), keys.RESULT, msgspec.json.encode(result))


def config_of(view: NodeDetailView) -> Any:
    """What is shown of the config."""
    assert view.config_error is msgspec.UNSET
    return msgspec.json.decode(view.config)


# -- the config


def test_config_is_rendered_with_what_is_stored_now(redis: FakeRedis) -> None:
    """Outputs that it reads, inputs, vars, and what the execution says of itself."""
    store = executions(redis)
    text = "{{ a.result.day }} {{ inputs.who }} {{ vars.greeting }} {{ execution.correlation_id }}"
    fields: dict[str, Any] = {
        "inputs": {"who": {"type": "string", "default": "Ada"}},
        "vars": {"greeting": "hello {{ inputs.who }}"},
    }
    execution = begun(store, node("a"), reading("b", text, "a"), **fields)
    write(redis, execution, "a", COMPLETED, {"result": {"day": "monday"}})
    assert config_of(store.node(execution, "b"))["input"] == "monday Ada hello Ada c"
    assert config_of(store.node(execution, "a")) == {"input": 1, "transform_type": "to_text"}


@pytest.mark.proves("secret-in-shown-config")
def test_secrets_are_never_shown(redis: FakeRedis) -> None:
    """Those of workers, secret inputs, and the vars that read them: `***` stands for each."""
    store = executions(redis)
    http: dict[str, Any] = {
        "url": "https://example.com/{{ inputs.token }}",
        "headers": {"A": "{{ secrets.KEY }}", "B": "{{ vars.auth.name }} {{ vars.auth.key }}"},
    }
    execution = begun(
        store,
        node("a", handler="http_request", config=http),
        given={"token": "not-to-be-seen"},
        inputs={"token": {"type": "string", "secret": True}},
        vars={"auth": {"name": "ada", "key": "Bearer {{ inputs.token }}"}},
    )
    view = store.node(execution, "a")
    assert config_of(view) == {
        "url": "https://example.com/***",
        "headers": {"A": "***", "B": "ada Bearer ***"},
    }
    assert b"not-to-be-seen" not in msgspec.json.encode(view)


def test_config_that_reads_what_has_not_ended_is_null(redis: FakeRedis) -> None:
    """The node that is waited for is named, with its status; so is what an execution lacks before its
    trigger."""
    store = executions(redis)
    plan = accepted(workflow(node("a"), reading("b", "{{ a.result }}", "a"))).plan
    assert plan is not None
    execution = store.create(plan, correlation_id="c").execution_id
    told = store.node(execution, "b")
    assert (told.config, told.config_error) == (
        NULL,
        "it reads 'a', which has not ended: it is pending",
    )
    store.cancel(execution)
    assert store.node(execution, "b").config_error == "it reads 'a', which did not run: it is cancelled"
    plan = accepted(workflow(reading("a", "{{ execution.id }}"))).plan
    assert plan is not None
    execution = store.create(plan, correlation_id="c").execution_id
    assert "once the execution has been triggered" in str(store.node(execution, "a").config_error)


def test_node_that_was_sent_early_reads_what_had_ended_then(redis: FakeRedis) -> None:
    """What it had not seen stays undefined, whatever has become of it since."""
    store = executions(redis)
    text = "{{ a.result | default('no a') }} {{ b.result | default('no b') }}"
    execution = begun(
        store, node("a"), node("b"), {**reading("c", text, "a", "b"), "trigger_rule": "one_success"}
    )
    write(redis, execution, "a", COMPLETED, {"result": "A"})
    write(redis, execution, "c", msgspec.structs.replace(SENT, unseen=(1,)))
    assert config_of(store.node(execution, "c"))["input"] == "A no b"
    write(redis, execution, "b", COMPLETED, {"result": "B"})
    assert config_of(store.node(execution, "c"))["input"] == "A no b"


def test_template_that_fails_says_where_and_why(redis: FakeRedis) -> None:
    """As the node's own error would."""
    store = executions(redis)
    execution = begun(store, node("a"), reading("b", "{{ a.result.dya }}", "a"))
    write(redis, execution, "a", COMPLETED, {"result": {"day": "monday"}})
    told = store.node(execution, "b")
    assert told.config == NULL
    assert str(told.config_error).startswith("/config/input: ")
    assert "monday" not in str(told.config_error)


def test_large_config_is_cut(redis: FakeRedis) -> None:
    """It is the beginning of its JSON as a text then; cut between characters."""
    store = executions(redis)
    execution = begun(store, node("a"), reading("b", "{{ a.result }}", "a"))
    write(redis, execution, "a", COMPLETED, {"result": "é" * MOST_CONFIG_BYTES})
    view = store.node(execution, "b")
    shown = config_of(view)
    assert view.config_truncated is True
    assert shown.startswith('{"input":"éé')
    assert MOST_CONFIG_BYTES - 1 <= len(shown.encode()) <= MOST_CONFIG_BYTES
    write(redis, execution, "a", COMPLETED, {"result": "e"})
    assert store.node(execution, "b").config_truncated is msgspec.UNSET


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(max_read_bytes=100), "are 214 bytes, the limit is 100 (FLOWENGINE_MAX_READ_BYTES)"),
        (Limits(max_rendered_chars=100), "/config/input: "),
    ],
)
def test_config_is_bounded_as_for_workers(redis: FakeRedis, limits: Limits, why: str) -> None:
    """What is too large for them is not rendered here: outputs that are too large are not even read."""
    store = executions(redis, limits)
    execution = begun(store, node("a"), reading("b", "{{ a.result }}!", "a"))
    write(redis, execution, "a", COMPLETED, {"result": "x" * 201})
    told = store.node(execution, "b")
    assert told.config == NULL
    assert why in str(told.config_error)


# -- attempts and the rest


def test_attempts_come_oldest_first_and_the_last_one_with_them(redis: FakeRedis) -> None:
    """Those that are kept, and the one that the record tells of."""
    store = executions(redis)
    execution = begun(store, node("a"))
    kept = Attempt(queued_at=1, started_at=2, finished_at=3, delivery=2, error=ERROR)
    for number in (10, 9):
        redis.hset(NAMES.node(execution, "a"), keys.try_field(number), msgspec.json.encode(kept))
    write(redis, execution, "a", msgspec.structs.replace(COMPLETED, attempt=11), {"result": 1})
    view = store.node(execution, "a")
    assert [(each.attempt, each.delivery, each.error) for each in view.attempts] == [
        (9, 2, ERROR),
        (10, 2, ERROR),
        (11, 1, None),
    ]
    assert view.result == msgspec.Raw(b'{"result":1}')


def test_node_that_never_ran_has_no_attempts(redis: FakeRedis) -> None:
    """Nor a result."""
    store = executions(redis)
    view = store.node(begun(store, node("a")), "a")
    assert (view.status, view.attempts, view.result) == ("pending", (), NULL)


def test_hooks_are_shown_too(redis: FakeRedis) -> None:
    """What reads how the main nodes have ended waits for their end."""
    store = executions(redis)
    hooks: dict[str, JsonValue] = {"finally": [reading("tell", "{{ execution.status }}")]}
    execution = begun(store, node("a"), **hooks)
    assert "how the main nodes have ended" in str(store.node(execution, "tell").config_error)
    outcome: dict[str, JsonValue] = {"status": "failed", "error": None, "failed_nodes": ["a"], "counts": {}}
    redis.hset(NAMES.inputs(execution), keys.OUTCOME, msgspec.json.encode(outcome))
    assert config_of(store.node(execution, "tell"))["input"] == "failed"


def test_unknown_node_and_execution_are_not_found(redis: FakeRedis) -> None:
    """The nearest name is proposed."""
    store = executions(redis)
    execution = begun(store, node("fetch"))
    with pytest.raises(NodeNotFoundError, match="no node 'fetsh'; did you mean 'fetch'"):
        store.node(execution, "fetsh")
    with pytest.raises(ExecutionNotFoundError):
        store.node("f" * 27, "fetch")


def test_kind_is_shown_of_nodes_and_hooks(redis: FakeRedis) -> None:
    """The same in the whole execution and of the node alone, before it has begun as well."""
    store = executions(redis)
    ask: JsonValue = {"id": "ask", "handler": "approval", "config": {"prompt": "?"}, "map": {"items": [1, 2]}}
    hold: JsonValue = {"id": "hold", "handler": "wait", "config": {"seconds": 1}}
    execution = begun(store, node("a"), ask, **{"finally": [hold]})
    view = store.status(execution)
    assert view.hooks is not msgspec.UNSET
    shown = {node.id: node.kind for node in (*view.nodes, *view.hooks)}
    assert shown == {"a": "task", "ask": "map", "hold": "wait"}
    assert {name: store.node(execution, name).kind for name in shown} == shown
