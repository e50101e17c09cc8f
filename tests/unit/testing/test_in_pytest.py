"""`flowengine.testing`: workflows and handlers in tests of their authors."""

from __future__ import annotations

import copy

import httpx
import msgspec
import pytest

from flowengine.plugin import Context, HandlerError, Wait, handler
from flowengine.testing import Heard, InvalidTestError, NotMockedError, context, run
from tests.support.documents import EXAMPLES_FOLDER, JsonObject


class Greet(msgspec.Struct):
    """Whom to greet."""

    name: str


@handler("greet_politely")
def greet(config: Greet, context: Context) -> dict[str, str]:
    """Says hello, after asking a service how."""
    context.progress(1, 2, "asking")
    word = context.http().get("https://words.example.com/").text
    context.emit(word)
    return {"result": f"{word}, {config.name}{context.environment('MARK')}"}


@handler("greet_alone")
async def greet_alone(config: Greet, context: Context) -> dict[str, str]:
    """Says hello without asking anybody."""
    if not config.name:
        raise HandlerError("no_name", "there is nobody")
    return {"result": f"Hello, {config.name}, try {context.attempt}"}


class Charge(msgspec.Struct):
    """What to charge."""

    amount: int


@handler("charge", signals=["paid", "refused"])
def charge(config: Charge, context: Context) -> Wait | dict[str, str]:
    """Waits for the payment, if there is something to pay."""
    return Wait("paid", timeout_seconds=3600) if config.amount else {"result": "nothing to pay"}


HELLO: JsonObject = {
    "name": "hello",
    "inputs": {"name": {"type": "string", "maxLength": 5}},
    "nodes": [
        {"id": "ask", "handler": "http_request", "config": {"url": "https://example.com/"}},
        {
            "id": "say",
            "handler": "greet_alone",
            "config": {"name": "{{ inputs.name }}"},
            "dependencies": ["ask"],
        },
    ],
}


def test_a_workflow_runs_with_mocks_and_a_handler_of_ones_own() -> None:
    """From a document; what is mocked is not called, what is real is."""
    ran = run(HELLO, {"name": "Ada"}, {"ask": {"result": 1}}, real=["say"], handlers=[greet_alone])
    assert ran.status == "completed"
    assert ran.nodes["say"].result == "Hello, Ada, try 1"
    assert ran.nodes["ask"].output == {"data": 1}
    assert [call.config for call in ran.calls_of("say")] == [{"name": "Ada"}]


def test_a_workflow_runs_from_its_file() -> None:
    """By its own clock, which starts where the test says."""
    ran = run(EXAMPLES_FOLDER / "waiting.yaml", now="2026-11-28T02:00:00Z")
    assert (ran.status, ran.seconds) == ("completed", 1.0)
    assert ran.nodes["pause"].result == "2026-11-28T02:00:01.000Z"


def test_two_runs_are_alike() -> None:
    """Also in what is random elsewhere."""
    document: JsonObject = {
        "name": "x",
        "nodes": [{"id": "a", "handler": "set", "config": {"value": "{{ uuid() }} {{ now() }}"}}],
    }
    assert run(document).nodes["a"].result == run(document).nodes["a"].result


def test_a_handler_of_ones_own_needs_a_mock_or_is_real() -> None:
    """It may call out."""
    with pytest.raises(NotMockedError, match="say: handler 'greet_alone' would run"):
        run(HELLO, {"name": "Ada"}, {"ask": {"result": 1}}, handlers=[greet_alone])


def charging(amount: int = 7) -> JsonObject:
    """A workflow whose node may wait for a signal."""
    return {
        "name": "x",
        "nodes": [{"id": "pay", "handler": "charge", "config": {"amount": amount}}],
    }


def test_a_signal_is_mocked_for_a_handler_that_waits() -> None:
    """Whether the handler is real, or the mock answers for all of its call."""
    ran = run(charging(), mocks={"pay": {"payload": {"id": 1}}}, handlers=[charge])
    assert (ran.status, ran.nodes["pay"].result) == ("completed", {"id": 1})
    refused: JsonObject = {"pay": {"payload": {"id": 1}, "signal": "refused", "after": "1m"}}
    ran = run(charging(), mocks=refused, handlers=[charge])
    assert (ran.nodes["pay"].result, ran.seconds) == ({"name": "refused", "payload": {"id": 1}}, 60.0)
    ran = run(charging(), mocks={"pay": {"payload": {"id": 1}}}, real=["pay"], handlers=[charge])
    assert ran.nodes["pay"].result == {"id": 1}


def test_a_real_handler_need_not_wait() -> None:
    """What it returns is the output then; a wait without a mock lasts until its time is over."""
    assert run(charging(0), real=["pay"], handlers=[charge]).nodes["pay"].output == {
        "result": "nothing to pay"
    }
    ran = run(charging(), real=["pay"], handlers=[charge])
    error = ran.nodes["pay"].error
    assert (error and error.code, ran.seconds) == ("timeout", 3600.0)


def test_a_real_handler_reaches_no_network() -> None:
    """It is told so, and so is the test."""
    document: JsonObject = {
        "name": "x",
        "nodes": [{"id": "a", "handler": "greet_politely", "config": {"name": "Ada"}}],
    }
    with pytest.raises(NotMockedError, match="a: its handler asks for an HTTP client"):
        run(document, real=["a"], handlers=[greet])


def test_failures_of_real_handlers_are_those_of_production() -> None:
    """With the code that they raise."""
    ran = run(HELLO, {"name": ""}, {"ask": {"result": 1}}, real=["say"], handlers=[greet_alone])
    error = ran.nodes["say"].error
    assert (ran.status, error and error.code) == ("failed", "no_name")


def test_inputs_that_do_not_fit_start_nothing() -> None:
    """As in production."""
    ran = run(HELLO, {"name": "Augusta"}, handlers=[greet_alone])
    assert (ran.status, ran.refused and ran.refused.code, ran.calls) == (None, "inputs_invalid", ())


def test_what_is_wrong_is_told_with_its_place() -> None:
    """Of the workflow, and of the mocks."""
    with pytest.raises(InvalidTestError, match="/nodes: missing_field"):
        run({"name": "x"})
    with pytest.raises(InvalidTestError, match=r"/mocks/aks: unknown_node: .* did you mean 'ask'"):
        run(HELLO, {"name": "Ada"}, {"aks": {"result": 1}}, handlers=[greet_alone])
    with pytest.raises(ValueError, match="has no handler"):
        run(HELLO, handlers=[copy])


def test_a_handler_is_called_with_a_context() -> None:
    """What it asks for is the test's, and what it says is kept."""
    heard = Heard()
    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, text="Hi")))
    given = context(http=client, environment={"MARK": "!"}, output=heard)
    assert greet(Greet("Ada"), given) == {"result": "Hi, Ada!"}
    assert (heard.steps, heard.texts) == ([(1, 2, "asking")], ["Hi"])
    assert 0 < given.remaining_seconds() <= 60


def test_a_context_without_a_client_says_so() -> None:
    """In place of a call."""
    with pytest.raises(AssertionError, match=r"context\(http=...\)"):
        greet(Greet("Ada"), context())
    with pytest.raises(AssertionError, match=r"context\(async_http=...\)"):
        context().async_http()
