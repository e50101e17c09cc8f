"""Every built-in handler through the whole stack: what a node's config gives as its output."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.documents import node, same, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.http_server import HttpServer, Reply, json_reply

USER = {"id": 7, "name": "Ada", "tags": ["a", "b"]}


def outputs_of(stack: Stack, handler: str, cases: list[tuple[dict[str, Any], Any]]) -> dict[str, Any]:
    """The `result` of one node for each config, by position; one execution runs them all."""
    nodes = [node(f"case_{at}", handler, **config) for at, (config, _) in enumerate(cases)]
    ended = stack.run(workflow(*nodes))
    assert ended.errors == {}
    return {name: output["result"] for name, output in ended.results.items()}


def expected(cases: list[tuple[dict[str, Any], Any]]) -> dict[str, Any]:
    """What `outputs_of` should give."""
    return {f"case_{at}": value for at, (_, value) in enumerate(cases)}


def test_compute_has_eight_operations(stack: Stack) -> None:
    """Integers stay integers where the operation lets them."""
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"operation": "add", "a": 40, "b": 2}, 42),
        ({"operation": "subtract", "a": 1, "b": 2.5}, -1.5),
        ({"operation": "multiply", "a": "6", "b": 7}, 42),
        ({"operation": "divide", "a": 7, "b": 2}, 3.5),
        ({"operation": "power", "a": 2, "b": 10}, 1024),
        ({"operation": "modulo", "a": 7, "b": 4}, 3),
        ({"operation": "min", "a": 3, "b": -3}, -3),
        ({"operation": "max", "a": 3, "b": -3}, 3),
    ]
    assert outputs_of(stack, "compute", cases) == expected(cases)


def test_transform_has_the_promised_types(stack: Stack) -> None:
    """The eight that SPEC names, and what is needed around them."""
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"transform_type": "uppercase", "input": "straße"}, "STRASSE"),
        ({"transform_type": "lowercase", "input": "ÄB"}, "äb"),
        ({"transform_type": "title", "input": "the end"}, "The End"),
        ({"transform_type": "capitalize", "input": "the END"}, "The end"),
        ({"transform_type": "trim", "input": "  x \n"}, "x"),
        ({"transform_type": "reverse", "input": "abc"}, "cba"),
        ({"transform_type": "reverse", "input": [1, 2]}, [2, 1]),
        ({"transform_type": "length", "input": {"a": 1}}, 1),
        ({"transform_type": "json_parse", "input": '{"a": [1, null]}'}, {"a": [1, None]}),
        ({"transform_type": "json_stringify", "input": {"a": [1, None]}}, '{"a":[1,null]}'),
        ({"transform_type": "split", "input": "a,b", "separator": ","}, ["a", "b"]),
        ({"transform_type": "to_number", "input": "42"}, 42),
    ]
    assert outputs_of(stack, "transform", cases) == expected(cases)


def test_aggregate_has_eight_types(stack: Stack) -> None:
    """Many values into one."""
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"aggregate_type": "sum", "inputs": [1, 2, 3.5]}, 6.5),
        ({"aggregate_type": "concat", "inputs": ["a", "b"], "separator": "-"}, "a-b"),
        ({"aggregate_type": "concat", "inputs": [[1], [2, 3]]}, [1, 2, 3]),
        ({"aggregate_type": "list", "inputs": [1, "1", None]}, [1, "1", None]),
        ({"aggregate_type": "average", "inputs": [1, 2]}, 1.5),
        ({"aggregate_type": "min", "inputs": [3, 1, 2]}, 1),
        ({"aggregate_type": "max", "inputs": [3, 1, 2]}, 3),
        ({"aggregate_type": "count", "inputs": [0, 0]}, 2),
        ({"aggregate_type": "merge", "inputs": [{"a": 1, "b": 1}, {"b": 2}]}, {"a": 1, "b": 2}),
    ]
    assert outputs_of(stack, "aggregate", cases) == expected(cases)


@pytest.mark.parametrize("handler", ["call_external_service", "http_request"])
def test_http_node_sends_what_it_is_told_and_returns_three_fields(
    stack: Stack, service: HttpServer, handler: str
) -> None:
    """Method, headers, params and a JSON body arrive; status, headers and parsed data come back."""
    path = f"/echo/{handler}"
    call = node(
        "call",
        handler,
        url=service.url(path),
        method="POST",
        headers={"X-Own": "yes"},
        params={"page": 2, "tag": ["a"]},
        body={"user": USER},
    )
    output = stack.run(workflow(call)).results["call"]
    assert set(output) == {"status_code", "headers", "data"}
    assert output["status_code"] == 200
    assert output["headers"]["content-type"] == "application/json"
    assert output["data"]["query"] == {"page": "2", "tag": "a"}
    (arrived,) = service.called(path)
    assert (arrived.method, arrived.headers["x-own"], arrived.json()) == ("POST", "yes", {"user": USER})


def test_http_node_gets_by_default_and_keeps_text_as_text(stack: Stack, service: HttpServer) -> None:
    """An answer that is not JSON is the text that it is, "42" included."""
    service.answers("/text", Reply(body=b"42", headers={"Content-Type": "text/plain"}))
    output = stack.run(workflow(node("call", "http_request", url=service.url("/text")))).results["call"]
    assert output["data"] == "42"
    assert service.called("/text")[0].method == "GET"


def test_result_and_data_of_an_http_node_are_both_its_body(stack: Stack, service: HttpServer) -> None:
    """`{{ fetch_data.result }}` and `{{ fetch_user.data }}` give the HTTP body, whole and in part."""
    service.answers("/users/7", json_reply(USER))
    url = service.url("/users/7")
    ended = stack.run(
        workflow(
            node("fetch_data", "call_external_service", url=url),
            node("fetch-user", "http_request", url=url),
            same("primary", "{{ fetch_data.result }}", after=["fetch_data"]),
            same("field", "{{ fetch_data.data }}", after=["fetch_data"]),
            same("by_name", '{{ nodes["fetch-user"].result.tags }}', after=["fetch-user"]),
            same("in_text", "user {{ fetch_data.result.id }}: {{ fetch_data.data.name }}", after=["primary"]),
            same("status", "{{ fetch_data.status_code }}", after=["fetch_data"]),
        )
    )
    told = {name: ended.results[name]["result"] for name in ("primary", "field", "by_name", "in_text")}
    assert told == {"primary": [USER], "field": [USER], "by_name": [["a", "b"]], "in_text": ["user 7: Ada"]}
    assert ended.results["status"]["result"] == [200]


def test_text_that_looks_like_a_number_stays_text(stack: Stack) -> None:
    """A sole expression keeps its value's type, and rendered text is never read as anything else."""
    ended = stack.run(
        workflow(
            node("text", "transform", transform_type="trim", input="42"),
            node("data", "transform", transform_type="json_parse", input='[1, {"deep": true}, null]'),
            same("same_text", "{{ text.result }}", after=["text"]),
            same("joined", "{{ text.result }}{{ text.result }}", after=["text"]),
            same("list", "{{ data.result }}", after=["data"]),
            same("boolean", "{{ data.result[1].deep }}", after=["data"]),
        )
    )
    told = {name: output["result"] for name, output in ended.results.items()}
    assert told["same_text"] == ["42"]
    assert told["joined"] == ["4242"]
    assert told["list"] == [[1, {"deep": True}, None]]
    assert told["boolean"] == [True]


def test_upstream_text_with_braces_is_not_rendered_again(stack: Stack, service: HttpServer) -> None:
    """What a service answers is data, whatever it looks like."""
    service.answers("/braces", json_reply({"text": "{{ 7 * 6 }} {% raw %}"}))
    ended = stack.run(
        workflow(
            node("call", "http_request", url=service.url("/braces")),
            same("shown", "{{ call.result.text }}", after=["call"]),
            same("again", "{{ shown.result[0] }}", after=["shown"]),
        )
    )
    assert ended.results["again"]["result"] == ["{{ 7 * 6 }} {% raw %}"]


def test_language_model_node_asks_and_answers(stack: Stack, service: HttpServer) -> None:
    """The OpenAI-compatible call carries key, model, messages and options; four fields come back."""
    ask = node(
        "ask",
        "llm_service",
        prompt="What is it?",
        system="Be brief.",
        model="gpt-4",
        temperature=0.5,
        max_tokens=10,
        response_format={"type": "json_object"},
    )
    ended = stack.run(workflow(ask, same("said", "{{ ask.result }}", after=["ask"])))
    (call,) = ended.results["ask"].pop("calls")
    assert (call["model"], call["code"], call["usage"]["total_tokens"]) == ("gpt-4-0613", None, 13)
    assert ended.results["ask"] == {
        "content": "42 is the answer",
        "model": "gpt-4-0613",
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
        "finish_reason": "stop",
    }
    assert ended.results["said"]["result"] == ["42 is the answer"]
    asked = service.called("/v1/chat/completions")[-1]
    assert asked.headers["authorization"] == "Bearer key-of-the-tests"
    assert asked.json() == {
        "model": "gpt-4",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is it?"},
        ],
        "temperature": 0.5,
        "max_tokens": 10,
        "response_format": {"type": "json_object"},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_language_model_node_takes_a_conversation(stack: Stack, service: HttpServer) -> None:
    """`messages` instead of `prompt`, as they are."""
    messages = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    ended = stack.run(workflow(node("ask", "llm_service", messages=messages, model="m")))
    assert ended.status["status"] == "completed"
    asked: Any = service.called("/v1/chat/completions")[-1].json()
    assert (asked["model"], asked["messages"]) == ("m", messages)
