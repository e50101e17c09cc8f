"""What a node may ask of a language model, told before the workflow is accepted."""

from __future__ import annotations

import time

import msgspec
import pytest

from flowengine.handlers.llm.chat_config import LlmConfig
from flowengine.handlers.llm.chat_request import chat_request
from flowengine.handlers.llm.response_format import wrong_with_schema
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Settings
from flowengine.workflow.problems import Problem
from tests.support.cpu import least_cpu_s
from tests.support.documents import checked, node, workflow
from tests.support.servers.http_server import serving

USER: JsonValue = {"role": "user", "content": "Hi"}


def problems(config: dict[str, JsonValue]) -> list[Problem]:
    """What is wrong with a node that asks so; `b` is a node that it may read."""
    asking = node("a", "b", handler="llm_service", config=config)
    read = node("b", handler="http_request", config={"url": "https://api.example.com"})
    return list(checked(workflow(read, asking)).problems)


def sent(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The fields of the request beside its model."""
    settings = Settings(llm_base_url="http://x", llm_model="m").llm
    payload = chat_request(msgspec.convert(config, LlmConfig), settings).payload
    return {key: value for key, value in payload.items() if key != "model"}


RIGHT: list[tuple[dict[str, JsonValue], dict[str, JsonValue]]] = [
    ({"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
    ({"max_tokens": 5}, {"max_tokens": 5}),
    ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ({"top_p": 0.5, "seed": 7, "temperature": 0}, {"top_p": 0.5, "seed": 7, "temperature": 0}),
    ({"stop": "END"}, {"stop": "END"}),
    ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
    ({"extra_body": {"top_k": 40, "user": "u"}}, {"top_k": 40, "user": "u"}),
    ({"response_format": "json_object"}, {"response_format": {"type": "json_object"}}),
    ({"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}),
    (
        {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
        {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": ["string", "null"]}}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": ["string", "null"]}},
            }
        },
    ),
    ({"on_length": "keep", "system": ""}, {}),
]


@pytest.mark.parametrize(("config", "added"), RIGHT)
def test_an_option_is_accepted_and_sent(config: dict[str, JsonValue], added: dict[str, JsonValue]) -> None:
    """As the API names it."""
    assert problems({"prompt": "Hi", **config}) == []
    assert sent({"prompt": "Hi", **config}) == {"messages": [USER], **added}


CALL: JsonValue = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "developer", "content": "Be brief"}, USER],
        [{"role": "user", "content": "Hi", "name": "Ada"}],
        [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "x"}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "low"}}]}],
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x", "format": "y"}}]}],
        [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}],
        [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]},
         {"role": "tool", "tool_call_id": "1", "content": "42"}],
        [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]},
         {"role": "tool", "tool_call_id": "1", "content": ""}],
        [USER, {"role": "assistant", "content": None, "refusal": "No."}, USER],
        [USER, {"role": "assistant", "content": "x", "reasoning_content": "y"}],
    ],
)  # fmt: skip
def test_full_chat_messages_are_accepted_and_sent_as_they_are(messages: list[JsonValue]) -> None:
    """Parts, names, tool calls and their answers, null beside them."""
    assert problems({"messages": messages}) == []
    assert sent({"messages": messages}) == {"messages": messages}


def test_a_template_may_stand_for_any_part_of_a_message() -> None:
    """What it gives is known when it is rendered, and checked then."""
    messages: list[JsonValue] = [
        {"role": "{{ b.data.role }}", "content": "x"},
        {"role": "user", "content": "{{ b.data.parts }}"},
        {"role": "user", "content": ["{{ b.data.part }}", {"type": "{{ b.data.type }}"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": "{{ b.data.image }}"}]},
        {"role": "assistant", "content": None, "tool_calls": ["{{ b.data.call }}"]},
        "{{ b.data.message }}",
    ]
    assert problems({"messages": messages}) == []


def test_a_null_content_is_sent_as_null() -> None:
    """Services want the field."""
    messages: list[JsonValue] = [USER, {"role": "assistant", "tool_calls": [CALL]}]
    assert sent({"messages": messages})["messages"][1]["content"] is None  # type: ignore[index, call-overload]  # it is JSON


@pytest.mark.parametrize(
    ("config", "pointer", "words"),
    [
        ({"prompt": ""}, "/prompt", "empty"),
        ({"prompt": " \n"}, "/prompt", "empty"),
        ({}, "", "either `prompt` or `messages`"),
        ({"prompt": "x", "messages": [USER]}, "", "either `prompt` or `messages`"),
        ({"prompt": "{{ b.result }}", "messages": [USER]}, "", "either `prompt` or `messages`"),
        ({"system": "{{ b.result }}"}, "", "either `prompt` or `messages`"),
        ({"messages": []}, "", "empty"),
        ({"prompt": "{{ b.data }}", "max_tokens": 1, "max_completion_tokens": 1}, "", "either `max_tokens`"),
        ({"prompt": "{{ b.data }}", "top_p": 1, "extra_body": {"top_p": 0.5}}, "/extra_body", "given twice"),
        ({"prompt": "x", "extra_body": {"model": "{{ b.data }}"}}, "/extra_body", "cannot have `model`"),
        ({"prompt": "x", "response_format": {"type": "text", "schema": {"title": "{{ b.data }}"}}},
         "/response_format", "goes with the type json_object"),
        ({"prompt": "x", "max_completion_tokens": 0}, "/max_completion_tokens", ">= 1"),
        ({"prompt": "x", "top_p": 1.5}, "/top_p", "<= 1"),
        ({"prompt": "x", "seed": "a"}, "/seed", "int"),
        ({"prompt": "x", "reasoning_effort": "hihg"}, "/reasoning_effort", "did you mean 'high'"),
        ({"prompt": "x", "on_length": "truncate"}, "/on_length", "fail, keep"),
        ({"prompt": "x", "stop": ""}, "/stop", "empty"),
        ({"prompt": "x", "stop": []}, "/stop", "list of texts"),
        ({"prompt": "x", "stop": ["a"] * 17}, "/stop", "at most 16"),
        ({"prompt": "x", "temprature": 1}, "/temprature", "temperature"),
        ({"prompt": "x", "response_format": "jsonobject"}, "/response_format", "json_object"),
        ({"prompt": "{{ b.result }}", "response_format": "jsonobject"}, "/response_format", "json_object"),
        ({"prompt": "x", "response_format": {"type": "jsonobject"}}, "/response_format/type", "json_object"),
        ({"prompt": "x", "response_format": {"type": "json_schema"}}, "/response_format", "go together"),
        ({"prompt": "x", "response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
         "/response_format/json_schema/schema", "required"),
        ({"prompt": "x",
          "response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}},
         "/response_format/json_schema", "letters"),
        ({"prompt": "{{ b.result }}",
          "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "strnig"}}}},
         "/response_format/json_schema", "'strnig' is not allowed here"),
        ({"prompt": "x", "response_format": {"type": "json_schema", "json_schema": {
            "schema": {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "int"}}}}}}},
         "/response_format/json_schema", "properties/a/items/type"),
        ({"prompt": "x", "response_format": {"type": "json_object", "schema": {"required": "a"}}},
         "/response_format", "no JSON Schema"),
        ({"prompt": "x",
          "response_format": {"type": "json_schema", "json_schema": {"schema": {}}, "strict": True}},
         "/response_format/strict", "unknown"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_before_the_workflow_is_accepted(
    config: dict[str, JsonValue], pointer: str, words: str
) -> None:
    """Also beside templates, of which nothing is known yet."""
    (problem,) = problems(config)
    assert problem.pointer == f"/nodes/1/config{pointer}"
    assert words in problem.message


@pytest.mark.parametrize(
    "name",
    ["model", "messages", "stream", "stream_options", "tools", "tool_choice", "functions", "function_call"],
)
@pytest.mark.parametrize("prompt", ["x", "{{ b.result }}"])
def test_extra_body_cannot_change_what_is_asked_of_whom(name: str, prompt: str) -> None:
    """Nor how the answer comes."""
    (problem,) = problems({"prompt": prompt, "extra_body": {name: "x"}})
    assert problem.pointer == "/nodes/1/config/extra_body"
    assert f"`extra_body` cannot have `{name}`" in problem.message


def test_a_field_is_not_given_twice() -> None:
    """Nobody could say which one counts."""
    (problem,) = problems({"prompt": "x", "top_p": 1, "extra_body": {"top_p": 0.5}})
    assert "`top_p` is given twice" in problem.message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "user"}, "needs `content`"),
        ({"role": "user", "content": None}, "needs `content`"),
        ({"role": "user", "content": ""}, "needs `content`"),
        ({"role": "user", "content": []}, "needs `content`"),
        ({"role": "system", "content": ""}, "needs `content`"),
        ({"role": "assistant", "content": None}, "needs `content`"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "needs `content`"),
        ({"role": "tool", "content": "42"}, "needs `tool_call_id`"),
        ({"role": "tool", "tool_call_id": "1"}, "needs `content`"),
        ({"role": "user", "content": "x", "tool_call_id": "1"}, "only a message of the role `tool`"),
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, "only a message of the role `assistant`"),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, "`function`"),
        ({"role": "assistant", "content": None,
          "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]}, "text that holds JSON"),
        ({"role": "user", "content": [{"type": "txt", "text": "x"}]}, "is one of text"),
        ({"role": "user", "content": [{"text": "x"}]}, "is one of text"),
        ({"role": "user", "content": [{"type": "text"}]}, "needs `text`"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "needs `text`"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "http://x"}]}, "an object"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"link": "x"}}]}, "needs `url`"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]},
         "needs `format`"),
        ({"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "text only"),
        ({"role": "tool", "content": "{{ b.result }}"}, "needs `tool_call_id`"),
        ({"role": "user", "name": "{{ b.result }}"}, "needs `content`"),
        ({"role": "user", "content": [{"type": "txt", "text": "{{ b.result }}"}]}, "is one of text"),
        ({"role": "user", "content": [{"type": "text", "text": "{{ b.data }}"}, {"type": "image_url"}]},
         "needs `image_url`"),
        ({"role": "usr", "content": "x"}, "did you mean 'user'"),
        ({"role": "user", "content": "x", "contnet": "y"}, "contnet"),
    ],
)  # fmt: skip
def test_a_wrong_message_is_refused_before_the_workflow_is_accepted(
    message: dict[str, JsonValue], words: str
) -> None:
    """Each problem is at its message."""
    (problem,) = problems({"messages": [USER, message]})
    assert problem.pointer.startswith("/nodes/1/config/messages/1")
    assert words in problem.message


@pytest.mark.proves("secret-in-prompt")
@pytest.mark.parametrize("field", ["prompt", "system", "messages", "response_format", "stop"])
def test_a_secret_in_what_the_model_reads_is_refused(field: str) -> None:
    """It would be sent to the service, and the results would show `***`."""
    holds: dict[str, JsonValue] = {
        "prompt": "The key is {{ secrets.TOKEN }}",
        "system": "{{ secrets.TOKEN }}",
        "messages": [
            USER,
            {"role": "user", "content": [{"type": "text", "text": "{{ b.x ~ secrets.TOKEN }}"}]},
        ],
        "response_format": {"type": "json_object", "schema": {"title": "{{ secrets.TOKEN }}"}},
        "stop": ["{{ secrets.TOKEN }}"],
    }
    asked: dict[str, JsonValue] = {} if field in ("prompt", "messages") else {"prompt": "x"}
    (problem,) = problems({**asked, field: holds[field]})
    assert problem.code == "secret_not_allowed"
    assert problem.pointer.startswith(f"/nodes/1/config/{field}")
    assert "FLOWENGINE_SECRETS_IN_PROMPTS" in problem.message


def test_a_secret_beside_what_the_model_reads_is_allowed() -> None:
    """A service may want one of its own; the same text in the prompt is still refused."""
    config: dict[str, JsonValue] = {"prompt": "x", "extra_body": {"key": "{{ secrets.TOKEN }}"}}
    assert problems(config) == []
    (problem,) = problems({**config, "prompt": "{{ secrets.TOKEN }}"})
    assert problem.pointer == "/nodes/1/config/prompt"


def test_checking_a_schema_fetches_nothing() -> None:
    """Whatever address it names: the API checks what strangers send."""
    with serving() as server:
        for key in ("$schema", "$ref", "$id", "$dynamicRef"):
            schema = {key: server.url("/x"), "properties": {"a": {key: server.url("/y")}}}
            wrong_with_schema(schema)
        assert server.calls == []


def test_a_hostile_schema_costs_little() -> None:
    """As large as a config may be."""
    deep: JsonValue = {}
    for _ in range(90):
        deep = {"properties": {"a": deep}, "pattern": "^(a+)+$"}
    assert isinstance(deep, dict)

    def look() -> None:
        wrong_with_schema(deep)
        wrong_with_schema({"anyOf": [{"type": "strnig"}] * 600})

    assert least_cpu_s(look, below=1, clock=time.process_time) < 1
