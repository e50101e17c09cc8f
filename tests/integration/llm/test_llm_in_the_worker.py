"""`llm_service` as a worker runs it: secrets in its config, and what is stored of a failed call."""

from __future__ import annotations

import time
from typing import cast

import msgspec
import pytest

from flowengine.engine.ports import RunningStore, Start
from flowengine.engine.running.node_context import Environment
from flowengine.engine.running.runner import Runner
from flowengine.execution.messages import RunNode
from flowengine.execution.records import NodeError
from flowengine.execution.reports import Failed
from flowengine.handlers.handler_settings import load_handler_settings
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.loading import load_registry
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.jsonvalue import JsonValue, encode
from flowengine.plugin import AttemptError, HandlerError
from flowengine.settings import load_settings
from tests.support.servers.model_server import ModelServer, completion, whole

TOKEN = "canary-token-1"


def outcome(server: ModelServer, config: dict[str, JsonValue], **settings: str) -> object:
    """What a worker with these settings makes of a node."""
    environment = {
        "LLM_BASE_URL": server.base_url(),
        "LLM_MODEL": "m",
        "FLOWENGINE_SECRET_TOKEN": TOKEN,
        **settings,
    }
    made, registry = load_settings(environment, None), load_registry()
    invoker = Invoker(egress=made.egress, settings=load_handler_settings(registry, made, environment))
    runner = Runner(
        cast(RunningStore, None),
        registry,
        invoker,
        Secrets(environment),
        made.limits,
        Environment(http=invoker.http, async_http=invoker.async_http, setting=environment.get),
        lambda: 0,
    )
    task = RunNode(
        execution="e", run=1, node="n", dispatch=1, attempt=1, handler="llm_service",
        config=msgspec.Raw(encode(config)), reads=(), timeout_ms=10_000, correlation_id="c",
    )  # fmt: skip
    try:
        return runner.outcome(task, Start(True, {}, 1_000_000, 0), 1, time.monotonic() + 10)
    finally:
        invoker.close()


def error(found: object) -> NodeError:
    """The error of a node that must have failed."""
    assert isinstance(found, Failed)
    return found.error


@pytest.mark.parametrize(
    "config",
    [
        {"prompt": "{{ secrets.TOKEN }}"},
        {"prompt": "x", "system": "use {{ secrets.TOKEN }}"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "{{ secrets.TOKEN }}"}]}]},
    ],
)
def test_a_worker_sends_no_secret_to_a_model(server: ModelServer, config: dict[str, JsonValue]) -> None:
    """Whatever an API has accepted: it may be older, or told otherwise."""
    found = error(outcome(server, config))
    assert found.code == "secret_not_allowed"
    assert "FLOWENGINE_SECRETS_IN_PROMPTS" in found.message
    assert server.asked == []


def test_an_operator_may_allow_secrets_in_prompts(server: ModelServer) -> None:
    """It is sent then, and what comes back is hidden as ever."""
    server.answers(whole(completion(f"You said {TOKEN}")))
    found = outcome(server, {"prompt": "{{ secrets.TOKEN }}"}, FLOWENGINE_SECRETS_IN_PROMPTS="true")
    assert server.asked[0]["messages"] == [{"role": "user", "content": TOKEN}]
    assert b"You said ***" in msgspec.json.encode(found)
    assert TOKEN.encode() not in msgspec.json.encode(found)


def test_a_secret_beside_the_prompt_is_sent(server: ModelServer) -> None:
    """A field of the service's own."""
    server.answers(whole(completion("Hello")))
    outcome(server, {"prompt": "x", "extra_body": {"key": "{{ secrets.TOKEN }}"}})
    assert server.asked[0]["key"] == TOKEN


def test_the_calls_of_a_failed_node_are_stored(server: ModelServer) -> None:
    """With their usage, and with no secret that the service repeats in it."""
    usage = {"total_tokens": 7, "note": TOKEN}
    server.answers(whole({"error": {"message": "oops"}}, 400), whole(completion("", "content_filter", usage)))
    config: dict[str, JsonValue] = {"prompt": "x", "extra_body": {"key": "{{ secrets.TOKEN }}"}}
    assert error(outcome(server, config)).code == "llm_bad_request"
    found = error(outcome(server, config))
    assert found.calls is not msgspec.UNSET
    (call,) = found.calls
    assert (call.code, call.usage) == ("llm_content_filtered", {"total_tokens": 7, "note": "***"})
    assert msgspec.json.decode(msgspec.json.encode(found), type=NodeError) == found


def test_errors_of_other_nodes_have_no_calls() -> None:
    """Neither those that are stored already, nor new ones."""
    plain = NodeError("boom", "on purpose", errors=(AttemptError(code="c", message="m"),))
    assert b"calls" not in msgspec.json.encode(plain)
    assert HandlerError("boom", "on purpose").calls == ()
