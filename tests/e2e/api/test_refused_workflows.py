"""Bad input gets the status and problem document of SPEC. Nothing is stored, and the processes live on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.answers import assert_problem
from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import Stack

JSON = "application/json"
YAML = "application/yaml"
BILLION_LAUGHS = b"""\
name: laughs
a: &a ["lol", "lol"]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a]
nodes: [*b, *b]
"""


@pytest.fixture
def unchanged(stack: Stack) -> Iterator[Stack]:
    """The stack; after the test its server must hold what it held before."""
    with stack.valkey.connect() as redis:
        before = {key for key in redis.scan_iter() if b":x:" in key or b"index" in key}
        waiting = redis.zcard("fe:index:pending")
        yield stack
        after = {key for key in redis.scan_iter() if b":x:" in key or b"index" in key}
        assert after - before == set()
        assert redis.zcard("fe:index:pending") == waiting
    assert [process.exit_code for process in stack.processes] == [None] * 3
    assert stack.client.get("/health").status_code == 200


def post(stack: Stack, body: bytes, media_type: str | None = JSON) -> httpx.Response:
    """The answer to a body of that media type."""
    headers = {} if media_type is None else {"Content-Type": media_type}
    return stack.client.post("/workflow", content=body, headers=headers)


INVALID: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "cycle": (
        workflow(add("a", 1, 1, after=["c"]), add("b", 1, 1, after=["a"]), add("c", 1, 1, after=["b"])),
        "cycle",
        "/nodes/",
        "a -> ",
    ),
    "self dependency": (
        workflow(add("a", 1, 1, after=["a"])),
        "self_dependency",
        "/nodes/0/dependencies/0",
        "a",
    ),
    "duplicate id": (workflow(add("a", 1, 1), add("a", 1, 1)), "duplicate_id", "/nodes/1/id", "a"),
    "unknown dependency": (
        workflow(add("start", 1, 1), add("b", 1, 1, after=["strat"])),
        "unknown_dependency",
        "/nodes/1/dependencies/0",
        "start",
    ),
    "repeated dependency": (
        workflow(add("a", 1, 1), add("b", 1, 1, after=["a", "a"])),
        "repeated_dependency",
        "/nodes/1/dependencies/1",
        "a",
    ),
    "unknown handler": (
        workflow(node("a", "htp_request", url="http://x")),
        "unknown_handler",
        "/nodes/0/handler",
        "http_request",
    ),
    "config that the handler refuses": (
        workflow(node("a", "compute", operation="ad", a=1, b=2)),
        "invalid_config",
        "/nodes/0/config/operation",
        "add",
    ),
    "template with wrong syntax": (
        workflow(add("a", "{{ 1 + }}", 1)),
        "template_syntax",
        "/nodes/0/config/a",
        "",
    ),
    "template that reads a node it does not depend on": (
        workflow(add("a", 1, 1), add("b", "{{ a.result }}", 1)),
        "not_an_ancestor",
        "/nodes/1/config/a",
        "a",
    ),
    "1001 nodes": (
        workflow(*(add(f"n{at}", 1, 1) for at in range(1001))),
        "too_many_nodes",
        "/nodes",
        "1001",
    ),
    "config of 11 KB": (
        workflow(node("a", "aggregate", aggregate_type="list", inputs=["x" * 400] * 28)),
        "config_too_large",
        "/nodes/0/config",
        "10240",
    ),
    "expression of 501 characters": (
        workflow(node("a", "aggregate", aggregate_type="list", inputs=["x{{ '" + "x" * 493 + "' }}"])),
        "template_too_long",
        "/nodes/0/config/inputs/0",
        "501",
    ),
    "unknown key": (
        {"name": "x", "nodez": [], "nodes": [add("a", 1, 1)]},
        "unknown_field",
        "/nodez",
        "nodes",
    ),
    "no nodes": ({"name": "x", "nodes": []}, "empty_workflow", "/nodes", ""),
    "no name": ({"nodes": [add("a", 1, 1)]}, "missing_field", "/name", "name"),
    "timeout of two hours": (
        workflow(node("a", "compute", timeout=7200, operation="add", a=1, b=1)),
        "out_of_range",
        "/nodes/0/timeout_seconds",
        "3600",
    ),
    "id with a path in it": (workflow(add("../a", 1, 1)), "invalid_id", "/nodes/0/id", ""),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_workflow_is_422_and_says_where(unchanged: Stack, case: str) -> None:
    """The problem has a code, a pointer to the place, and a message that says what to do."""
    document, code, pointer, mentions = INVALID[case]
    refusal: Any = assert_problem(post(unchanged, json.dumps(document).encode()), 422, "invalid_workflow")
    problems = {problem["code"]: problem for problem in refusal["problems"]}
    assert code in problems
    assert problems[code]["pointer"].startswith(pointer)
    assert mentions in problems[code]["message"]


def test_cycle_is_named_as_a_closed_walk(unchanged: Stack) -> None:
    """The message shows an actual cycle: `a -> b -> c -> a`."""
    document = INVALID["cycle"][0]
    refusal: Any = assert_problem(post(unchanged, json.dumps(document).encode()), 422, "invalid_workflow")
    message = next(problem["message"] for problem in refusal["problems"] if problem["code"] == "cycle")
    walks = ["a -> b -> c -> a", "a -> c -> b -> a", "b -> c -> a -> b", "b -> a -> c -> b"]
    assert any(walk in message for walk in [*walks, "c -> a -> b -> c", "c -> b -> a -> c"])


def test_every_problem_is_told_at_once_with_its_line_in_yaml(unchanged: Stack) -> None:
    """One pass finds all; lines and columns count from 1."""
    body = b"""\
name: several
nodes:
  - id: one
    handler: comput
    config: {operation: add, a: 1, b: 1}
  - id: one
    handler: compute
    config: {operation: add, a: "{{ other.result }}", b: 1}
    dependencies: [nobody]
"""
    refusal: Any = assert_problem(post(unchanged, body, YAML), 422, "invalid_workflow")
    found = {problem["code"]: (problem["line"], problem["column"]) for problem in refusal["problems"]}
    assert found["unknown_handler"] == (4, 14)
    assert found["duplicate_id"] == (6, 9)
    assert found["unknown_dependency"] == (9, 20)
    assert len(found) >= 4


MALFORMED = {
    "60 KB of brackets": (b"[" * 60_000, JSON),
    "60 KB of brackets in YAML": (b"[" * 60_000, YAML),
    "a NUL byte": (b'{"name": "a\x00b", "nodes": []}', JSON),
    "a NUL byte in YAML": (b"name: a\x00b\n", YAML),
    "invalid UTF-8": (b'{"name": "\xff\xfe"}', JSON),
    "invalid UTF-8 in YAML": (b"name: \xff\xfe\n", YAML),
    "a missing bracket": (b'{"name": "x", "nodes": [', JSON),
    "nothing": (b"", JSON),
    "a tab in YAML": (b"name: x\nnodes:\n\t- id: a\n", YAML),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_body_is_400_with_its_place(unchanged: Stack, case: str) -> None:
    """What cannot be read is told with line and column."""
    body, media_type = MALFORMED[case]
    refusal: Any = assert_problem(post(unchanged, body, media_type), 400, "malformed_document")
    (problem,) = refusal["problems"]
    assert problem["line"] >= 1
    assert problem["column"] >= 1


@pytest.mark.parametrize(
    "body",
    [
        BILLION_LAUGHS,
        b"name: !!python/object/apply:os.system [id]\n",
        b"name: x\nname: y\n",
        b"--- 1\n--- 2\n",
    ],
)
def test_yaml_beyond_plain_data_is_refused(unchanged: Stack, body: bytes) -> None:
    """Aliases, tags, duplicate keys and several documents get a problem, not an expansion."""
    response = post(unchanged, body, YAML)
    assert response.status_code in (400, 422)
    assert assert_problem(response, response.status_code, response.json()["code"])["problems"]


def test_body_of_100_megabytes_is_413(unchanged: Stack) -> None:
    """A body with a length is refused by it. A body without one is read up to the limit."""
    refusal = assert_problem(post(unchanged, b"x" * 100_000_000), 413, "body_too_large")
    assert "12582912" in str(refusal["detail"])


def test_body_without_a_length_is_read_to_the_limit_only(unchanged: Stack) -> None:
    """A chunked body of YAML beyond 2 MiB."""

    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"#" * 65_536

    response = unchanged.client.post("/workflow", content=chunks(), headers={"Content-Type": YAML})
    assert "2097152" in str(assert_problem(response, 413, "body_too_large")["detail"])


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/xml", "application/json; charset=utf-16", None]
)
def test_other_media_types_are_415(unchanged: Stack, media_type: str | None) -> None:
    """The answer names what is accepted."""
    refusal = assert_problem(post(unchanged, b"{}", media_type), 415, "unsupported_media_type")
    if media_type is None or "charset" not in media_type:
        assert "application/yaml" in str(refusal["detail"])


def test_limits_are_inclusive(stack: Stack) -> None:
    """An expression of exactly 500 characters is fine, with text around it."""
    text = "x" * 3000 + "{{ '" + "x" * 492 + "' }}" + "x" * 3000
    response = stack.client.post(
        "/workflow", json=workflow(node("a", "aggregate", aggregate_type="list", inputs=[text]))
    )
    assert response.status_code == 201
