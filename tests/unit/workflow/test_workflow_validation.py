"""The validator: every problem in one pass, each with code, place and advice; the plan of what is right."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.workflow import check
from flowengine.workflow.checking.problem_report import MAX_PROBLEMS
from tests.support.documents import (
    EXAMPLES,
    JsonObject,
    accepted,
    catalog,
    checked,
    checked_text,
    codes,
    json_bytes,
    node,
    only,
    reading,
    workflow,
)


def http(url: str, **config: JsonValue) -> dict[str, JsonValue]:
    """A node that calls this address."""
    return {"id": "call", "handler": "http_request", "config": {"url": url, **config}}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_right(path: Path) -> None:
    """What users copy from is valid."""
    form = "json" if path.suffix == ".json" else "yaml"
    result = check(path.read_bytes(), form, catalog(), Limits())  # type: ignore[arg-type]  # one of both
    assert result.problems == ()
    assert result.plan is not None


def test_the_plan_holds_what_the_engine_needs() -> None:
    """Parents, reads, timeout, queue and primary field, by index, in the document's order."""
    document = workflow(
        reading("last", "{{ first.data }}", "middle"),
        reading("middle", "{{ first.result }}", "first"),
        {
            "id": "first",
            "handler": "http_request",
            "config": {"url": "http://x/"},
            "timeout_seconds": 1.5,
        },
    )
    plan = accepted(document).plan
    assert plan is not None
    last, middle, first = plan.nodes
    assert (last.parents, last.work.reads) == ((1,), (2,))
    assert (middle.parents, middle.work.reads, middle.work.timeout_ms) == ((2,), (2,), 300_000)
    task = first.work
    assert (first.parents, task.handler, task.primary, task.timeout_ms, task.queue) == (
        (),
        "http_request",
        "data",
        1500,
        "worker",
    )
    assert msgspec.json.decode(task.config) == {"url": "http://x/"}


def test_all_problems_are_found_in_one_pass() -> None:
    """One wrong document, each of its problems with code, pointer, line and column."""
    text = """\
name: ""
nodez: []
nodes:
  - id: 1a
    handler: computee
    config: {}
  - id: a
    handler: compute
    config: {operation: add, a: 1}
    dependencies: [b, b, zz, a]
    timeout_seconds: 0
  - id: b
    handler: compute
    config: {operation: adds, a: [], b: "{{ 1 + }}", c: 1}
    dependencies: [a]
  - id: a
    handler: transform
    config: {input: "{{ c.result }}", transform_type: trim}
  - id: c
    handler: 5
    depends: []
"""
    found = {(p.code, p.pointer, p.line) for p in checked_text(text).problems}
    assert found == {
        ("unknown_field", "/nodez", 2),
        ("invalid_name", "/name", 1),
        ("invalid_id", "/nodes/0/id", 4),
        ("unknown_handler", "/nodes/0/handler", 5),
        ("repeated_dependency", "/nodes/1/dependencies/1", 10),
        ("unknown_dependency", "/nodes/1/dependencies/2", 10),
        ("self_dependency", "/nodes/1/dependencies/3", 10),
        ("out_of_range", "/nodes/1/timeout_seconds", 11),
        ("missing_field", "/nodes/1/config/b", 9),
        ("invalid_config", "/nodes/2/config/operation", 14),
        ("invalid_config", "/nodes/2/config/a", 14),
        ("template_syntax", "/nodes/2/config/b", 14),
        ("unknown_field", "/nodes/2/config/c", 14),
        ("duplicate_id", "/nodes/3/id", 16),
        ("not_an_ancestor", "/nodes/3/config/input", 18),
        ("wrong_type", "/nodes/4/handler", 20),
        ("unknown_field", "/nodes/4/depends", 21),
        ("cycle", "/nodes/1/dependencies", 10),
    }


@pytest.mark.parametrize(
    ("document", "code", "pointer", "words"),
    [
        ([], "wrong_type", "", "a list"),
        ("text", "wrong_type", "", "text"),
        ({"name": "x", "nodes": {}}, "wrong_type", "/nodes", "an object"),
        ({"name": "x", "nodes": []}, "empty_workflow", "/nodes", "at least one"),
        ({"name": "x"}, "missing_field", "/nodes", "required"),
        (workflow(node("a"), name=5), "wrong_type", "/name", "quote it"),
        (workflow(node("a"), name=" "), "invalid_name", "/name", "1 to 200"),
        (workflow(node("a"), name="x" * 201), "invalid_name", "/name", "201"),
        (workflow(node("a"), name="a\r\nb"), "invalid_name", "/name", "printable"),
        (
            workflow(node("a"), description="x" * 10_001),
            "invalid_description",
            "/description",
            "10000 characters, this one has 10001",
        ),
        (workflow(node("a"), description=[]), "wrong_type", "/description", "a list"),
        (workflow(node("a"), desciption=""), "unknown_field", "/desciption", "did you mean 'description'?"),
        (workflow(5), "wrong_type", "/nodes/0", "an integer"),
        (workflow(node("a", depends_on=[])), "unknown_field", "/nodes/0/depends_on", "'dependencies'"),
        (workflow(node("a", id=None)), "wrong_type", "/nodes/0/id", "null"),
        (workflow(node("")), "invalid_id", "/nodes/0/id", "letter"),
        (workflow(node("a.b")), "invalid_id", "/nodes/0/id", "letters"),
        (workflow(node("a\n")), "invalid_id", "/nodes/0/id", "letters"),
        (workflow(node("ä")), "invalid_id", "/nodes/0/id", "letters"),
        (workflow(node("../x")), "invalid_id", "/nodes/0/id", "letters"),
        (workflow(node("{{ x }}")), "invalid_id", "/nodes/0/id", "letters"),
        (workflow(node("a" * 201)), "invalid_id", "/nodes/0/id", "201"),
        (workflow(node("nodes")), "reserved_id", "/nodes/0/id", "another id"),
        (workflow(node("secrets")), "reserved_id", "/nodes/0/id", "another id"),
        (workflow(node("a", config=[])), "wrong_type", "/nodes/0/config", "a list"),
        (workflow(node("a", dependencies="b")), "wrong_type", "/nodes/0/dependencies", "text"),
        (workflow(node("a", dependencies=[1])), "wrong_type", "/nodes/0/dependencies/0", "quote it"),
        (workflow(node("a", timeout_seconds="5m")), "wrong_type", "/nodes/0/timeout_seconds", "number"),
        (workflow(node("a", timeout_seconds=True)), "wrong_type", "/nodes/0/timeout_seconds", "boolean"),
        (workflow(node("a", timeout_seconds=0.5)), "out_of_range", "/nodes/0/timeout_seconds", "1 to 3600"),
        (workflow(node("a", timeout_seconds=3601)), "out_of_range", "/nodes/0/timeout_seconds", "3601"),
        (
            workflow(node("a", handler="htp_request")),
            "unknown_handler",
            "/nodes/0/handler",
            "did you mean 'http_request'? See: flowengine handlers",
        ),
        (
            workflow(node("a", handler="sleep")),
            "unknown_handler",
            "/nodes/0/handler",
            "no handler called 'sleep'; there are aggregate, approval, assert, call_external_service",
        ),
        (
            workflow(http("htp://service.example/x")),
            "invalid_config",
            "/nodes/0/config/url",
            "must start with http:// or https://; htp:// cannot be called",
        ),
        (
            workflow(http("http://", headers={"x": "{{ secrets.x }}"})),
            "invalid_config",
            "/nodes/0/config/url",
            "names no host",
        ),
        (
            workflow(node("fetch"), node("b", "fech")),
            "unknown_dependency",
            "/nodes/1/dependencies/0",
            "'fetch'",
        ),
        (workflow(node("a"), node("a")), "duplicate_id", "/nodes/1/id", "/nodes/0"),
        (workflow(node("a", "a")), "self_dependency", "/nodes/0/dependencies/0", "itself"),
        (workflow(reading("a", "{{ a.result }}")), "not_an_ancestor", "/nodes/0/config/input", "its own"),
        (
            workflow(node("load"), reading("b", "{{ load.result }}")),
            "not_an_ancestor",
            "/nodes/1/config/input",
            "add it to the dependencies of 'b'",
        ),
        (workflow(reading("a", "{{ b.c }}")), "unknown_node_reference", "/nodes/0/config/input", "'b'"),
        (
            workflow(node("my-node"), reading("b", "{{ my - 1 }}", "my-node")),
            "unknown_node_reference",
            "/nodes/1/config/input",
            'nodes["my-node"]',
        ),
        (workflow(reading("a", {"x": ["{{"]})), "template_syntax", "/nodes/0/config/input/x/0", "line 1"),
        (workflow(reading("a", "{% if x %}")), "template_forbidden", "/nodes/0/config/input", "{% ... %}"),
        (
            workflow(reading("a", "{{ 'x'.upper() }}")),
            "template_forbidden",
            "/nodes/0/config/input",
            "a filter",
        ),
    ],
)
def test_each_problem_has_a_code_a_place_and_advice(
    document: JsonValue, code: str, pointer: str, words: str
) -> None:
    """One wrong thing, one problem."""
    problem = only(checked(document))
    assert (problem.code, problem.pointer) == (code, pointer)
    assert words in problem.message


def test_a_cycle_is_named() -> None:
    """The message walks one actual cycle, in the order in which the nodes would run."""
    document = workflow(node("a", "c"), node("b", "a"), node("c", "b"), node("after", "c"), node("free"))
    problem = only(checked(document))
    assert (problem.code, problem.pointer) == ("cycle", "/nodes/0/dependencies")
    assert "a -> b -> c -> a" in problem.message


def test_separate_cycles_are_each_named() -> None:
    """One problem for every group of nodes that wait for each other."""
    document = workflow(node("a", "b"), node("b", "a"), node("c", "d", "a"), node("d", "c"))
    messages = [problem.message for problem in checked(document).problems]
    assert len(messages) == 2
    assert "a -> b -> a" in messages[0]
    assert "c -> d -> c" in messages[1]


def test_limits_are_named_with_the_figure() -> None:
    """Each refusal says the limit, its setting and what was sent."""
    nodes = only(checked(workflow(*[node(f"n{place}") for place in range(1001)])))
    assert nodes.code == "too_many_nodes"
    assert "1001" in nodes.message
    assert "1000 (FLOWENGINE_MAX_NODES)" in nodes.message
    config = only(checked(workflow(reading("a", "x" * 11_000))))
    assert config.code == "config_too_large"
    assert "10240 (FLOWENGINE_MAX_CONFIG_BYTES)" in config.message
    assert "110" in config.message
    long = "before {{ a.result }}, {{ a.result ~ '" + "x" * 482 + "' }} after"
    template = only(checked(workflow(node("a"), reading("b", long, "a"))))
    assert template.code == "template_too_long"
    assert "500 characters (FLOWENGINE_MAX_TEMPLATE_CHARS)" in template.message
    assert "501" in template.message
    body = only(check(b" " * 100, "json", catalog(), Limits(max_body_bytes=99)))
    assert body.code == "body_too_large"
    assert "99 (FLOWENGINE_MAX_BODY_BYTES)" in body.message


def test_what_is_just_within_the_limits_is_accepted() -> None:
    """1000 nodes, an expression of 500 characters, a long text with and without marks."""
    accepted(workflow(*[node(f"n{place}") for place in range(1000)]))
    accepted(workflow(node("a"), reading("b", "{{ a.result ~ '" + "x" * 481 + "' }}", "a")))
    accepted(workflow(node("a"), reading("b", "x" * 4000 + "{{ a.result|upper }}" + "x" * 5000, "a")))
    accepted(workflow(reading("a", "x" * 10_000)))
    accepted(workflow(node("a"), description="x" * 10_000))
    accepted(workflow(node("a", timeout_seconds=1), node("b", timeout_seconds=3600), name="x" * 200))


def test_handler_may_declare_a_larger_config() -> None:
    """A prompt of 64 KiB is right, one of more is not; a larger setting holds for all."""

    def asking(chars: int) -> JsonObject:
        return workflow(node("a", handler="llm_service", config={"prompt": "x" * chars}))

    accepted(asking(65_536 - len('{"prompt":""}')))
    problem = only(checked(asking(65_537 - len('{"prompt":""}'))))
    assert problem.code == "config_too_large"
    assert "65537 bytes of JSON, the limit is 65536 (FLOWENGINE_MAX_CONFIG_BYTES)" in problem.message
    assert checked(asking(100_000), Limits(max_config_bytes=200_000)).problems == ()
    assert checked(asking(60_000), Limits(max_config_bytes=5000)).problems == ()


def test_long_prompt_may_hold_expressions() -> None:
    """3,000 characters with one placeholder, and a prompt full of them: each is counted for itself."""
    for prompt in ("x" * 3000 + "{{ a.result }}", "{{ a.result|upper }} and then " * 300):
        asking = node("b", "a", handler="llm_service", config={"prompt": prompt})
        accepted(workflow(node("a"), asking))


def test_every_text_with_a_long_expression_is_named() -> None:
    """Also one that is nowhere a template, and one that stands in several places."""
    long = "{{ '" + "x" * 500 + "' }}"
    nodes = [
        reading("a", ["fine {{ 1 }}" + "y" * 600, long]),
        reading("b", long),
        reading("c", "{{ " + "(" * 600),
    ]
    problems = checked(workflow(*nodes)).problems
    assert [(problem.code, problem.pointer) for problem in problems] == [
        ("template_too_long", "/nodes/0/config/input/1"),
        ("template_too_long", "/nodes/1/config/input"),
        ("template_too_long", "/nodes/2/config/input"),
    ]


def test_problems_beyond_a_number_are_counted() -> None:
    """A document with thousands of problems gets an answer that can be read."""
    result = checked(workflow(*[node(f"n{place}", "zz", "yy", "xx") for place in range(200)]))
    assert len(result.problems) == MAX_PROBLEMS + 1
    assert result.problems[-1].code == "more_problems"
    assert "400 more" in result.problems[-1].message


def test_any_ancestor_may_be_read() -> None:
    """Not only direct dependencies; through either kind of name."""
    accepted(
        workflow(
            node("a"),
            node("b-1", "a"),
            reading("c", {"x": '{{ a.result }} {{ nodes["b-1"].result }}'}, "b-1"),
        )
    )


def test_references_are_checked_on_a_cycle_too() -> None:
    """A cycle does not hide what else is wrong."""
    document = workflow(node("a", "b"), node("b", "a"), reading("c", "{{ d.x }}", "a"), node("d", "c"))
    assert codes(checked(document)) == ["cycle", "not_an_ancestor"]


def test_malformed_is_told_from_wrong() -> None:
    """What cannot be read is malformed, with line and column; what can be read is not."""
    broken = checked_text('{"name": "x",\n "nodes": [}', "json")
    assert broken.malformed
    assert (only(broken).line, only(broken).column) == (2, 12)
    wrong = checked_text('{"name": "x",\n "nodes": []}', "json")
    assert not wrong.malformed
    assert (only(wrong).line, only(wrong).column) == (2, 11)


def test_too_deep_a_value_is_refused_without_a_source() -> None:
    """A value that did not come through a loader is bounded as well."""
    deep: JsonValue = 1
    for _ in range(65):
        deep = [deep]
    assert checked(deep).malformed
    assert only(checked(deep)).code == "too_deep"


def test_json_and_yaml_of_one_document_give_one_plan() -> None:
    """The form does not matter: JSON is read the same as YAML, flow style and all."""
    document = workflow(node("a"), reading("b", "{{ a.result }}", "a"))
    as_json = checked_text(json_bytes(document), "json")
    as_yaml = checked_text(json_bytes(document), "yaml")
    assert as_json == as_yaml
    assert as_json.plan is not None


def test_the_example_documents_are_the_same_in_both_forms() -> None:
    """linear_dag exists twice; its two forms agree."""
    as_yaml = check(Path("workflows/linear_dag.yaml").read_bytes(), "yaml", catalog(), Limits())
    as_json = check(Path("workflows/linear_dag.json").read_bytes(), "json", catalog(), Limits())
    assert as_yaml == as_json


def test_address_with_a_template_is_left_to_the_run() -> None:
    """What it will be is not known yet."""
    body = msgspec.json.encode(workflow(http("{{ secrets.base }}/x")))
    assert check(body, "json", catalog(), Limits()).problems == ()


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_problems_come_in_the_order_of_the_document(form: Literal["json", "yaml"]) -> None:
    """Whichever part of the validator found them, they are read from top to bottom."""
    document: JsonValue = {
        "nodes": [
            {"id": "b", "handler": "no_such_thing", "config": {"x": "{{ ghost.result }}"}},
            {"id": "b", "dependencies": ["ghost"], "handler": "compute", "config": {"a": 1, "operation": 5}},
        ],
        "title": "x",
    }
    found = check(msgspec.json.encode(document), form, catalog(), Limits()).problems
    assert [problem.pointer for problem in found if problem.code != "missing_field"] == [
        "/nodes/0/handler",
        "/nodes/0/config/x",
        "/nodes/1/id",
        "/nodes/1/dependencies/0",
        "/nodes/1/config/operation",
        "/title",
    ]
    if form == "yaml":
        places = [(problem.line, problem.column) for problem in found]
        assert places == sorted(places, key=lambda place: (place[0] or 0, place[1] or 0))


def test_no_message_repeats_what_could_command_a_terminal() -> None:
    """Ids, names of handlers, keys and references, on every way into a message."""
    bad = "a\x1b]0;x\x07\x9b2J\u202e"
    document = workflow(
        node(bad, f"b-{bad}", bad + "c"),
        node(f"b-{bad}", bad, handler=bad, **{bad: 1}),
        reading("c", '{{ b }}{{ nodes["' + bad + '"] }}'),
        node("d", config={"input": 1, "transform_type": bad}),
        node("e", handler="llm_service", config={"messages": [{"role": bad, bad: 1}]}),
    )
    result = checked(document)
    assert {"invalid_id", "cycle", "unknown_dependency", "unknown_node_reference", "unknown_handler"} <= set(
        codes(result)
    )
    assert all(problem.message.isprintable() for problem in result.problems)


def test_an_id_that_is_refused_is_never_proposed() -> None:
    """It would have to be changed first, and may be a megabyte long."""
    document = workflow(node("load-" + "y" * 300), node("b", "load-" + "y" * 299), reading("c", "{{ load }}"))
    messages = [problem.message for problem in checked(document).problems]
    assert len(messages) == 3
    assert all(len(message) < 200 and "did you mean" not in message for message in messages)


def test_a_long_id_that_is_right_is_proposed_whole() -> None:
    """So that it can be copied."""
    problem = only(checked(workflow(node("a" * 100), node("b", "a" * 99))))
    assert problem.message.endswith(f"did you mean '{'a' * 100}'?")


def test_a_wrong_template_is_reported_wherever_it_stands() -> None:
    """Checked once, told each time; a right one beside it changes nothing."""
    document = workflow(node("a"), reading("b", ["{{ a }}", "{{ zz }}", "{{ zz }}", "{{ a }}"]))
    assert [problem.pointer for problem in checked(document).problems] == [
        f"/nodes/1/config/input/{place}" for place in range(4)
    ]


def test_templates_past_the_report_are_counted_one_by_one() -> None:
    """Each name that cannot be read is a problem, worded or not."""
    document = workflow(*[reading(f"n{place}", ["{{ [x, y, z] }}"] * 10) for place in range(30)])
    assert checked(document).problems[-1].message == "and 700 more: fix these first"


@pytest.mark.parametrize(
    ("handler", "config", "place"),
    [
        ("transform", {"transform_type": "reverse", "input": "{{ secrets.KEY }}"}, "input"),
        ("aggregate", {"aggregate_type": "concat", "inputs": ["a", "{{ secrets.KEY }}"]}, "inputs/1"),
        ("compute", {"operation": "add", "a": "{{ secrets.PIN }}", "b": 1}, "a"),
    ],
)
def test_handler_that_only_reworks_its_config_takes_no_secret(
    handler: str, config: dict[str, JsonValue], place: str
) -> None:
    """Reversed or added to, it would not be found in the result."""
    problem = only(checked(workflow({"id": "a", "handler": handler, "config": config})))
    assert (problem.code, problem.pointer) == ("secret_not_allowed", f"/nodes/0/config/{place}")
    assert handler in problem.message


def test_secret_that_a_template_alters_is_refused_with_its_place() -> None:
    """Also where the handler may be given secrets."""
    config: JsonValue = {"url": "http://x/{{ secrets.KEY }}", "headers": {"A": "{{ secrets.KEY|upper }}"}}
    problem = only(checked(workflow({"id": "a", "handler": "http_request", "config": config})))
    assert (problem.code, problem.pointer) == ("secret_not_allowed", "/nodes/0/config/headers/A")
