"""`llm_service` against a real llama.cpp server and a real, very small model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from tests.support.rigs.handler_runs import Runs
from tests.support.servers.llama_server import CONTEXT, KEY, llama_server

pytestmark = pytest.mark.slow
ASK: dict[str, JsonValue] = {"prompt": "Say hi", "model": "m", "seed": 1, "max_tokens": 6}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """One server for all of these: loading the model takes a second."""
    with llama_server() as found:
        yield found


def ask(runs: Runs, address: str, config: dict[str, JsonValue], key: str = KEY, path: str = "/v1") -> Any:
    """The output of `llm_service`."""
    environment = {"LLM_BASE_URL": f"{address}{path}", "LLM_API_KEY": key}
    return runs.run("llm_service", config, timeout_s=100, environment=environment)


def test_a_real_model_answers_in_a_stream(runs: Runs, address: str) -> None:
    """Text, usage and the reason come from the chunks."""
    output = ask(runs, address, {**ASK, "on_length": "keep", "top_p": 0.9, "system": "Be brief."})
    assert output["content"].strip()
    assert output["finish_reason"] in ("length", "stop")
    assert 0 < output["usage"]["completion_tokens"] <= 6
    assert [call["code"] for call in output["calls"]] == [None]


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({}, "llm_output_truncated", "(6 tokens)"),
        (
            {"prompt": "word " * 2 * CONTEXT},
            "llm_context_length_exceeded",
            "exceeds the available context size",
        ),
        ({"extra_body": {"min_p": "a"}}, "llm_bad_request", "min_p"),
        ({"key": "another"}, "llm_auth_failed", "Invalid API Key"),
        ({"path": "/v9"}, "llm_not_configured", "File Not Found"),
    ],
)
def test_a_real_server_refuses_in_its_own_words(
    runs: Runs, address: str, changed: dict[str, Any], code: str, words: str
) -> None:
    """Each with the code that it must have."""
    asked = {**ASK, **{name: value for name, value in changed.items() if name not in ("key", "path")}}
    place = {name: value for name, value in changed.items() if name in ("key", "path")}
    with pytest.raises(HandlerError) as caught:
        ask(runs, address, asked, **place)
    assert caught.value.code == code
    assert words in caught.value.message
    assert len(caught.value.calls) == 1


def test_a_real_server_holds_its_model_to_a_schema(runs: Runs, address: str) -> None:
    """The schema is sent as the API has it."""
    schema: JsonValue = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"],
                         "additionalProperties": False}  # fmt: skip
    form: JsonValue = {"type": "json_schema", "json_schema": {"schema": schema}}
    output = ask(runs, address, {**ASK, "max_tokens": 40, "response_format": form})
    assert output["content"].replace(" ", "").replace("\n", "") == '{"a":"x"}'
