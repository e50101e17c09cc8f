"""What counts as an answer of a model, in one piece or streamed, and what an empty or a cut one means."""

from __future__ import annotations

from typing import Any

import pytest

from flowengine.jsonvalue import JsonValue
from tests.support.rigs.handler_runs import Runs
from tests.support.rigs.llm_runs import ASK, ask, failing
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

# As a llama.cpp server of 2026 writes it, byte for byte.
LLAMA_CPP = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],'
    b'"created":1795883361,"id":"chatcmpl-hv","model":"SmolLM2.gguf","system_fingerprint":"b0-unknown",'
    b'"object":"chat.completion.chunk"}\n\n'
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"S"}}],"created":1795883361,'
    b'"id":"chatcmpl-hv","model":"SmolLM2.gguf","object":"chat.completion.chunk"}\n\n'
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"yl"}}],"created":1795883361,'
    b'"id":"chatcmpl-hv","model":"SmolLM2.gguf","object":"chat.completion.chunk"}\n\n'
    b'data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1795883362,'
    b'"id":"chatcmpl-hv","model":"SmolLM2.gguf","object":"chat.completion.chunk"}\n\n'
    b'data: {"choices":[],"created":1795883362,"id":"chatcmpl-hv","model":"SmolLM2.gguf",'
    b'"object":"chat.completion.chunk","usage":{"completion_tokens":8,"prompt_tokens":32,"total_tokens":40},'
    b'"timings":{"cache_n":31}}\n\ndata: [DONE]\n\n'
)
# Azure's first chunk has no choice, and its filter's findings stand in every one.
AZURE = (
    b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt'
    b'_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}\n\n'
    b'data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assist'
    b'ant"},"finish_reason":null,"index":0,"logprobs":null}],"model":"gpt-4o-2024-11-20","usage":null}\n\n'
    b'data: {"choices":[{"content_filter_results":{},"delta":{"content":"Hello"},"finish_reason":null,'
    b'"index":0}],"model":"gpt-4o-2024-11-20","usage":null}\n\n'
    b'data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0}],'
    b'"model":"gpt-4o-2024-11-20","usage":null}\n\n'
    b'data: {"choices":[],"model":"gpt-4o-2024-11-20","usage":{"completion_tokens":9,"prompt_tokens":9,'
    b'"total_tokens":18}}\n\ndata: [DONE]\n\n'
)


@pytest.mark.parametrize(
    ("reply", "content", "finish"),
    [
        (whole(completion("Hello")), "Hello", "stop"),
        (streamed(chunk("Hel"), chunk("lo"), chunk(finish="stop")), "Hello", "stop"),
        (ModelReply(headers=EVENTS, parts=(LLAMA_CPP,)), "Syl", "stop"),
        (ModelReply(headers=EVENTS, parts=(AZURE,)), "Hello", "stop"),
        # A stream that nobody announces, a byte at a time, with Windows' line ends.
        (ModelReply(parts=tuple(bytes([byte]) for byte in AZURE.replace(b"\n", b"\r\n"))), "Hello", "stop"),
        # A stream that is announced and is none.
        (ModelReply(headers=EVENTS, parts=(b'{"choices":[{"message":{"content":"Hello"}}]}',)),
         "Hello", None),
        # What keeps connections open: comments, and blank lines before one document.
        (streamed(b": keep-alive\n\n", chunk("Hello", finish="stop"), done=False), "Hello", "stop"),
        (whole(b"\n\n  \n" + b'{"choices":[{"message":{"content":"Hello"}}]}'), "Hello", None),
        # Events without empty lines between them, one over several lines, one without an end.
        (streamed(event(chunk("Hel"))[:-1], chunk("lo", finish="stop"), done=False), "Hello", "stop"),
        (streamed(b'data: {"choices":[{"delta":\ndata: {"content":"Hello"}}]}\n\n'), "Hello", None),
        (streamed(event(chunk("Hello", finish="stop")).rstrip(), done=False), "Hello", "stop"),
        # Text in parts, one of them the model's thoughts; text of the older API; a whole message in a stream.
        (whole(completion([{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hello"}])),
         "Hello", "stop"),
        (whole({"choices": [{"text": "Hello", "finish_reason": "stop"}]}), "Hello", "stop"),
        (whole({"choices": [{"index": "0", "message": {"content": "Hello"}}], "detail": "cached"}),
         "Hello", None),
        (streamed(completion("Hello")), "Hello", "stop"),
        # Choices of others (`n`), and chunks after the reason.
        (streamed(chunk("Hello", finish="stop"), {"choices": [{"index": 1, "delta": {"content": "x"}}]}),
         "Hello", "stop"),
        # One emoji in two halves.
        (streamed(b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
                  b'data: {"choices":[{"delta":{"content":"\\ude00"}}]}\n\n'), "\U0001f600", None),
        (whole(b'{"choices":[{"message":{"content":"a\\ud83d"}}]}'), "a\ufffd", None),
        (whole(b'\xef\xbb\xbf{"choices":[{"message":{"content":"\xff"}}]}'), "\ufffd", None),
    ],
)  # fmt: skip
def test_an_answer_is_read_in_whatever_form_it_comes(
    runs: Runs, server: ModelServer, reply: ModelReply, content: str, finish: str | None
) -> None:
    """What the body is decides, not its Content-Type; one call is enough."""
    server.answers(reply)
    output = ask(runs, server)
    assert (output["content"], output["finish_reason"]) == (content, finish)
    assert len(server.asked) == 1


FILTERED: list[tuple[ModelReply, str, str]] = [
    (whole(completion("", "content_filter")), "llm_content_filtered", "content_filter"),
    (whole(completion("The first half of", "content_filter")), "llm_content_filtered", "content_filter"),
    (streamed(chunk("The first"), chunk(finish="content_filter")), "llm_content_filtered", "content_filter"),
    (whole(completion(None, "SAFETY")), "llm_content_filtered", "SAFETY"),
    (whole(completion("", refusal="I cannot help with that.")), "llm_refused", "I cannot help with that."),
    (whole(completion(None, refusal="No.")), "llm_refused", "No."),
    (streamed(chunk(refusal="I "), chunk(refusal="cannot.", finish="stop")), "llm_refused", "I cannot."),
    (whole(completion("I will not.", "refusal")), "llm_refused", "I will not."),
    (whole(completion([{"type": "refusal", "refusal": "No."}])), "llm_refused", "No."),
    (whole(completion("", "tool_calls", tool_calls=[{"id": "1"}])), "llm_tool_calls", "tools"),
    (streamed(chunk(tool_calls=[{"index": 0}]), chunk(finish="tool_calls")), "llm_tool_calls", "tools"),
    (whole(completion(None, "stop", function_call={"name": "f"})), "llm_tool_calls", "tools"),
    (whole(completion("", "length", reasoning_content="Let me")), "llm_only_reasoning", "reasoning"),
    (
        whole(completion("", "length", {"completion_tokens_details": {"reasoning_tokens": 64}})),
        "llm_only_reasoning",
        "max_completion_tokens",
    ),
    (streamed(chunk(reasoning="Hm"), chunk(finish="length")), "llm_only_reasoning", "reasoning"),
    (whole(completion("<think>Let me see</think>\n")), "llm_only_reasoning", "reasoning"),
    (whole(completion("<think>Let me s", "length")), "llm_only_reasoning", "reasoning"),
    (whole(completion("")), "llm_no_content", "finish_reason stop"),
    (whole(completion(" \n\t")), "llm_no_content", "no text"),
    (whole(completion(None, None)), "llm_no_content", "finish_reason None"),
    (streamed(chunk(""), chunk(finish="stop")), "llm_no_content", "no text"),
    (whole(completion("", "length")), "llm_output_truncated", "max_tokens"),
]


@pytest.mark.proves("model-gives-no-text")
@pytest.mark.parametrize(("reply", "code", "words"), FILTERED)
def test_an_answer_without_a_text_fails_and_says_why(
    runs: Runs, server: ModelServer, reply: ModelReply, code: str, words: str
) -> None:
    """Each reason has a code and a sentence of its own. The call was paid for, and is not repeated."""
    server.answers(reply)
    found = failing(runs, server, {**ASK, "on_length": "fail"})
    assert found.code == code
    assert words in found.message
    assert len(server.asked) == 1
    assert [call.code for call in found.calls] == [code]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_a_cut_answer_fails_unless_it_is_to_be_kept(
    runs: Runs, server: ModelServer, finish: str, keep: bool
) -> None:
    """`on_length: keep` takes the beginning."""
    server.answers(
        streamed(chunk("Half an"), chunk(finish=finish), {"choices": [], "usage": {"completion_tokens": 2}})
    )
    if keep:
        output = ask(runs, server, {**ASK, "on_length": "keep"})
        assert (output["content"], output["finish_reason"]) == ("Half an", finish)
    else:
        found = failing(runs, server)
        assert found.code == "llm_output_truncated"
        assert "(2 tokens)" in found.message
        assert "on_length: keep" in found.message
        assert found.calls[0].usage == {"completion_tokens": 2}


def test_a_cut_answer_without_a_text_is_not_kept(runs: Runs, server: ModelServer) -> None:
    """Nothing is no beginning."""
    server.answers(whole(completion("", "length")))
    assert failing(runs, server, {**ASK, "on_length": "keep"}).code == "llm_no_content"


def test_a_text_beside_a_tool_call_is_the_answer(runs: Runs, server: ModelServer) -> None:
    """A model that talks while it asks has answered."""
    server.answers(whole(completion("Hello", "tool_calls", tool_calls=[{"id": "1"}])))
    assert ask(runs, server)["content"] == "Hello"


ODD: list[tuple[bytes, dict[str, JsonValue], str | None]] = [
    (b'{"total_tokens": 3, "cost": NaN}', {"total_tokens": 3, "cost": None}, "stop"),
    (b'{"cost": Infinity, "deep": [{"a": -Infinity}]}', {"cost": None, "deep": [{"a": None}]}, "stop"),
    (b'{"cost": 1e999}', {"cost": None}, "stop"),
    (b"null", {}, "stop"),
    (b"[]", {}, "stop"),
    (b'"many"', {}, "stop"),
]


@pytest.mark.parametrize(("usage", "shown", "finish"), ODD)
def test_a_usage_that_json_cannot_carry_loses_no_answer(
    runs: Runs, server: ModelServer, usage: bytes, shown: dict[str, JsonValue], finish: str
) -> None:
    """It was paid for. What JSON cannot carry becomes null."""
    body = b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}],"usage":' + usage + b"}"
    server.answers(whole(body), streamed(b"data: " + body + b"\n\n"))
    for _ in range(2):
        output = ask(runs, server)
        assert (output["content"], output["usage"], output["finish_reason"]) == ("Hello", shown, finish)


@pytest.mark.parametrize(
    ("finish", "shown"),
    [(1, "1"), (0, "0"), (True, "true"), ({"type": "stop"}, '{"type":"stop"}'), (None, None)],
)
def test_a_finish_reason_that_is_no_text_loses_no_answer(
    runs: Runs, server: ModelServer, finish: object, shown: str | None
) -> None:
    """It is shown as JSON."""
    server.answers(whole(completion("Hello", finish)))
    output = ask(runs, server)
    assert (output["content"], output["finish_reason"]) == ("Hello", shown)


@pytest.mark.parametrize("content", [42, {"a": 1}, True])
def test_a_content_that_is_no_text_is_shown_as_json(runs: Runs, server: ModelServer, content: Any) -> None:
    """Some services parse the JSON that a model writes."""
    server.answers(whole(completion(content)))
    assert ask(runs, server)["content"] in ("42", '{"a":1}', "true")


def test_a_request_is_a_chat_completion_with_the_key(runs: Runs, server: ModelServer) -> None:
    """It asks for a stream and its usage; the key, the correlation id and the idempotency key go along."""
    server.answers(streamed(chunk("Hello", finish="stop"), {"choices": [], "usage": {"total_tokens": 3}}))
    config: dict[str, JsonValue] = {
        **ASK,
        "system": "Be brief",
        "temperature": 0,
        "response_format": "json_object",
    }
    output = ask(runs, server, config, LLM_API_KEY="key-1")
    assert server.asked == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}],
            "temperature": 0,
            "response_format": {"type": "json_object"},
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]
    assert server.headers[0]["authorization"] == "Bearer key-1"
    assert server.headers[0]["x-correlation-id"] == "correlation-1"
    assert server.headers[0]["idempotency-key"] == "x1/call/1"
    seconds = output["calls"][0].pop("seconds")
    assert 0 <= seconds < 10
    assert output == {
        "content": "Hello",
        "model": "m-2030",
        "usage": {"total_tokens": 3},
        "finish_reason": "stop",
        "calls": [{"model": "m-2030", "code": None, "usage": {"total_tokens": 3}}],
    }


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Unrecognized request argument supplied: stream_options", {"stream": True}),
        ("body -> stream_options: extra fields not permitted", {"stream": True}),
        ("streaming is not supported by this model", {}),
        ("'stream' does not support true with this model", {}),
    ],
)
def test_a_service_that_refuses_to_stream_is_asked_without(
    runs: Runs, server: ModelServer, said: str, left: dict[str, bool]
) -> None:
    """An older service knows no `stream_options`, another streams nothing. No try is lost by it."""
    server.answers(whole({"error": {"message": said}}, 400), whole(completion("Hello")))
    output = ask(runs, server)
    sent = {key: value for key, value in server.asked[1].items() if key.startswith("stream")}
    assert sent == left
    assert [call["code"] for call in output["calls"]] == ["llm_bad_request", None]
