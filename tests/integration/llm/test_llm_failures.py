"""How calls of a model fail, what is tried again, and what each call took."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerTimeoutError
from tests.support.rigs.handler_runs import Runs, running
from tests.support.rigs.llm_runs import ASK, ask, failing
from tests.support.servers.http_server import serving
from tests.support.servers.model_server import (
    EVENTS,
    ModelReply,
    ModelServer,
    chunk,
    completion,
    event,
    streamed,
    whole,
)
from tests.support.servers.valkey import free_port

SLOW_DOWN = {"error": {"message": "slow down", "code": 429}}


@pytest.mark.parametrize(
    ("reply", "code", "calls", "said"),
    [
        (whole(SLOW_DOWN), "llm_rate_limited", 3, "slow down"),
        (whole({"error": "model not found"}), "llm_model_not_found", 1, "model not found"),
        (whole({"detail": "no such thing here"}), "invalid_response", 1, "no such thing here"),
        (whole({"detail": [{"loc": ["body", 0], "msg": "Field required"}]}),
         "invalid_response", 1, "Field required"),
        (whole({"choices": []}), "invalid_response", 1, "no chat completion"),
        (whole({}), "invalid_response", 1, "no chat completion"),
        (whole(b""), "invalid_response", 1, "no chat completion"),
        (whole("OK"), "invalid_response", 1, "OK"),
        (whole("<html><title>Sign in</title></html>"), "invalid_response", 1, "a page of HTML: Sign in"),
        (whole("<html>", 502), "http_server_error", 3, "502 Bad Gateway"),
        (whole({"error": {"message": "oops", "code": 503}}), "http_server_error", 3, "oops"),
        (whole(completion("", "error")), "http_server_error", 3, "broke its answer off"),
        (whole({"choices": [{"error": {"message": "upstream died", "code": 502},
                             "message": {"content": ""}}]}),
         "http_server_error", 3, "upstream died"),
        (whole({"choices": [{"error": {"message": "no", "code": 403}, "finish_reason": "error"}]}),
         "llm_auth_failed", 1, "no"),
        (streamed(chunk("Hel"), {"error": {"message": "died halfway", "code": 500}}),
         "http_server_error", 3, "died halfway"),
        (streamed(b'error: {"code":500,"message":"context shift is off","type":"server_error"}\n\n'),
         "http_server_error", 3, "context shift is off"),
        (streamed(chunk("Hel"), b'{"error": {"message": "plain", "code": 400}}\n\n'),
         "llm_bad_request", 1, "plain"),
        (streamed(chunk("Hel"), done=False), "connection_failed", 3, "ended before the answer did"),
        (streamed(chunk("Hel"), done=False, breaks_off=True), "connection_failed", 3, "broke off"),
        (streamed(b"data: {nonsense\n\n"), "invalid_response", 1, "no JSON"),
        (streamed(done=True), "invalid_response", 1, "no choices"),
        (ModelReply(headers=EVENTS), "invalid_response", 1, "no chat completion"),
        (whole({"error": {"message": "stop", "code": 500}}, x_should_retry="false"),
         "http_server_error", 1, "stop"),
        (whole({"message": "busy"}, 409), "http_client_error", 3, "busy"),
        (whole({"message": "no"}, 501), "http_server_error", 1, "no"),
        (whole({"error": {"message": "no", "code": "insufficient_quota"}}, 429),
         "llm_quota_exceeded", 1, "no"),
    ],
)  # fmt: skip
def test_a_failure_says_what_the_service_said(
    runs: Runs, server: ModelServer, reply: ModelReply, code: str, calls: int, said: str
) -> None:
    """Whether it is tried again is the code's to decide; each call is listed."""
    server.answers(reply)
    found = failing(runs, server)
    assert (found.code, len(server.asked)) == (code, calls)
    assert found.message.startswith("POST http://127.0.0.1:")
    assert said in found.message
    assert [call.code for call in found.calls] == [code] * calls
    assert [error.code for error in found.errors] == [code] * calls


def test_a_status_of_an_error_is_named_with_the_services_sentence(runs: Runs, server: ModelServer) -> None:
    """Both help: the number to look up, and the words to read."""
    server.answers(whole({"error": {"message": "no such model"}}, 404))
    found = failing(runs, server)
    assert found.code == "llm_model_not_found"
    assert "(answered 404 Not Found): no such model" in found.message


def test_a_refused_key_is_not_shown_in_part(runs: Runs, server: ModelServer) -> None:
    """Services repeat its ends."""
    said = "Incorrect API key provided: sk-ab***********wxyz. You can find your key elsewhere."
    server.answers(whole({"error": {"message": said, "code": "invalid_api_key"}}, 401))
    found = failing(runs, server)
    assert found.code == "llm_auth_failed"
    assert "wxyz" not in found.message
    assert "You can find your key elsewhere" in found.message


def test_every_call_is_listed_with_its_usage(runs: Runs, server: ModelServer) -> None:
    """What failed has been paid for as well."""
    broken = completion("", "error", {"total_tokens": 7})
    server.answers(whole({"error": {"message": "oops"}}, 500), whole(broken), whole(completion("Hello")))
    output = ask(runs, server)
    assert [(call["model"], call["code"], call["usage"]) for call in output["calls"]] == [
        ("m", "http_server_error", None),
        ("m-2030", "http_server_error", {"total_tokens": 7}),
        ("m-2030", None, {"total_tokens": 3}),
    ]
    assert all(call["seconds"] >= 0 for call in output["calls"])


def test_a_failed_node_lists_its_calls_too(runs: Runs, server: ModelServer) -> None:
    """The error has the usage of a call that a filter stopped."""
    server.answers(whole(completion("", "content_filter", {"total_tokens": 7, "cost": 0.5})))
    (call,) = failing(runs, server).calls
    assert (call.model, call.code, call.usage) == (
        "m-2030", "llm_content_filtered", {"total_tokens": 7, "cost": 0.5}
    )  # fmt: skip


def test_a_broken_end_loses_no_complete_answer(runs: Runs, server: ModelServer) -> None:
    """After the finish reason only the usage is still to come."""
    end = b"data: {nonsense\n\n"
    for reply in (
        streamed(chunk("Hello", finish="stop"), done=False, breaks_off=True),
        streamed(chunk("Hello", finish="stop"), end, done=False),
        streamed(chunk("Hello", finish="stop"), done=False),
    ):
        server.answers(reply)
        assert ask(runs, server)["content"] == "Hello"


def test_a_text_beyond_the_limit_ends_the_call(runs: Runs, server: ModelServer) -> None:
    """A model that never stops is left long before the deadline."""
    server.answers(streamed(*[chunk("x" * 1000)] * 50))
    found = failing(runs, server, FLOWENGINE_MAX_RESULT_BYTES="20000")
    assert found.code == "response_too_large"
    assert "FLOWENGINE_MAX_RESULT_BYTES" in found.message


def test_a_long_answer_of_small_chunks_is_read_to_its_end(runs: Runs, server: ModelServer) -> None:
    """Streaming takes 250 bytes a token: a bound of 10 MB on the stream would cut long answers."""
    piece = event(chunk("word ", padding="x" * 20_000))
    server.answers(streamed(*[piece] * 600, chunk(finish="stop")))
    assert ask(runs, server)["content"] == "word " * 600


def test_a_service_of_the_operators_may_live_on_loopback(runs: Runs, server: ModelServer) -> None:
    """Under the default rules. No other node gets there, not even over the connection that is kept open."""
    server.answers(whole(completion("Hello")))
    assert ask(runs, server)["content"] == "Hello"
    for config in ({"url": server.base_url()}, {"url": f"http://localhost:{server.port}/v1"}):
        with pytest.raises(Exception, match="loopback"):
            runs.run("http_request", config)
    assert len(server.asked) == 1


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST"])
def test_the_operators_service_may_have_a_name(runs: Runs, server: ModelServer, host: str) -> None:
    """In any case."""
    server.answers(whole(completion("Hello")))
    settings = {"LLM_BASE_URL": f"http://{host}:{server.port}/v1"}
    assert runs.run("llm_service", ASK, environment=settings)["content"] == "Hello"


def test_a_redirect_of_that_service_is_held_to_the_rules(runs: Runs, server: ModelServer) -> None:
    """The operator has named one address, not what it leads to."""
    with serving() as other:
        server.answers(ModelReply(status=303, headers={"Location": other.url("/v1/chat/completions")}))
        assert failing(runs, server).code == "egress_refused"
        assert other.calls == []


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "0.0.0.0"])
def test_an_address_that_is_always_refused_is_refused_to_the_operator_too(host: str) -> None:
    """Cloud metadata is no model: nobody may name it as one."""
    with running("any") as runs, pytest.raises(Exception, match="not allowed"):
        runs.run("llm_service", ASK, environment={"LLM_BASE_URL": f"http://{host}/v1"})


def test_a_service_that_is_not_there_is_tried_three_times(runs: Runs) -> None:
    """As any other."""
    settings = {"LLM_BASE_URL": f"http://127.0.0.1:{free_port()}", "FLOWENGINE_RETRY_BASE_SECONDS": "0.01"}
    with pytest.raises(Exception, match="could not connect") as caught:
        runs.run("llm_service", ASK, environment=settings)
    assert len(caught.value.calls) == 3  # type: ignore[attr-defined]  # it is a HandlerError


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/chat/completions"),
        ("/", "/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1?api-version=1", "/v1/chat/completions?api-version=1"),
        ("/v1/?api-version=1&x=%20", "/v1/chat/completions?api-version=1&x=%20"),
        ("?api-version=1", "/chat/completions?api-version=1"),
        ("/openai/deployments/gpt-4/chat/completions?api-version=2024-06-01",
         "/openai/deployments/gpt-4/chat/completions?api-version=2024-06-01"),
        ("/v1#part", "/v1/chat/completions"),
    ],
)  # fmt: skip
def test_the_path_is_joined_before_the_query(runs: Runs, server: ModelServer, base: str, path: str) -> None:
    """Azure's addresses have an `api-version`."""
    server.answers(whole(completion("Hello")))
    ask(runs, server, base=base)
    assert server.paths == [path]


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (ASK, {"LLM_BASE_URL": ""}, "set it to an OpenAI-compatible API"),
        ({"prompt": "x"}, {}, "or LLM_MODEL"),
    ],
)
def test_a_model_that_is_not_configured_says_what_to_set(
    runs: Runs, server: ModelServer, config: dict[str, JsonValue], settings: dict[str, str], message: str
) -> None:
    """The commonest failure of all."""
    found = failing(runs, server, config, **settings)  # type: ignore[arg-type]  # settings are texts
    assert (found.code, found.calls) == ("llm_not_configured", ())
    assert message in found.message


def test_the_deadline_ends_a_call_and_its_calls_are_listed(runs: Runs, server: ModelServer) -> None:
    """The time is over, whatever comes of the call."""
    server.answers(streamed(chunk("Hel"), 20.0, chunk("lo", finish="stop")))
    found = failing(runs, server, timeout_s=1.5)
    assert isinstance(found, HandlerTimeoutError)
    assert [call.code for call in found.calls] == ["request_timeout"]
    assert "timeout_seconds are over" in found.message
