"""Files of tests: all that is wrong with one is told, with its place and what to do."""

from __future__ import annotations

from pathlib import PurePath

from jsonschema import Draft202012Validator

from flowengine.settings import Limits
from flowengine.testing.cases.case_file import schema
from flowengine.testing.cases.reading import read_cases, read_written
from flowengine.workflow.problems import Problem
from flowengine.workflow.reading.yaml_parser import parse_yaml
from tests.support.documents import EXAMPLES_FOLDER, JsonObject, catalog, checked, node, workflow

GROUP: JsonObject = {"id": "box", "nodes": [node("inner")]}
APPROVAL: JsonObject = {"id": "ask", "handler": "approval", "config": {}}
CALL: JsonObject = {"id": "fetch", "handler": "http_request", "config": {"url": "https://example.com/"}}
PLAN = checked(workflow(node("a"), GROUP, APPROVAL, CALL)).plan


def problems(text: str) -> list[Problem]:
    """What is wrong with a file of tests of a workflow with the nodes a, box (inner), ask and fetch."""
    written = read_written(text.encode(), PurePath("x.test.yaml"), Limits())
    return list(read_cases(written, PLAN, catalog()).problems)


def only(text: str) -> tuple[str, str, str]:
    """The code, the pointer and the message of the only one. The text is that of one test."""
    (problem,) = problems(f"workflow: x.yaml\ntests:\n- name: it works\n{text}")
    return problem.code, problem.pointer, problem.message


def test_a_right_file_has_no_problems() -> None:
    """With all that a test may say."""
    text = """
workflow: x.yaml
tests:
  - name: it works
    inputs: {day: 2026-11-28}
    labels: {team: data}
    secrets: {API: dummy-value}
    now: 2026-11-28T02:00:00Z
    mocks:
      fetch: {output: {data: [1], status_code: 200}}
      a: [{error: {code: http_503, retry_after_s: 3}}, {result: 1}]
      box.inner: {result: 0, items: {k: [{result: 1}], l: {error: {code: no}}}}
      ask: {approved: true, comment: yes, data: {x: 1}, after: 10m}
    real: [a]
    expect:
      status: failed
      error: no
      nodes: {a: completed, box.inner: {status: failed, error: http_5xx, attempts: 2, tolerated: false}}
      outputs: {x: null}
      calls: {fetch: {count: 1, config: {url: u}}, a: 2, ask: {configs: [{}]}}
      within: 10m
"""
    assert problems(text) == []


def test_every_problem_is_told_with_its_line() -> None:
    """In one pass, in the order of the lines."""
    text = "workflow: x.yaml\ntests:\n- {name: 5}\n- {name: a, mcoks: {}}\n- {name: b, now: noon}\n"
    assert [(problem.code, problem.line) for problem in problems(text)] == [
        ("wrong_type", 3),
        ("unknown_field", 4),
        ("invalid_time", 5),
    ]


def test_a_name_that_is_close_is_proposed() -> None:
    """Of a field, of a node, and of another tool's word."""
    assert "did you mean 'mocks'?" in only("  mcoks: {}")[2]
    assert "did you mean 'expect'?" in only("  assert: {}")[2]
    assert "did you mean 'fetch'?" in only("  mocks: {fetsh: {result: 1}}")[2]
    assert "did you mean 'box.inner'?" in only("  expect: {nodes: {inner: completed}}")[2]
    assert "did you mean 'status_code'?" in only("  mocks: {fetch: {output: {status_kode: 200}}}")[2]


def test_an_answer_says_one_thing() -> None:
    """Not two of them, and not nothing."""
    assert only("  mocks: {a: {}}")[:2] == ("unclear_answer", "/tests/0/mocks/a")
    assert only("  mocks: {a: {result: 1, output: {}}}")[0] == "unclear_answer"
    assert only("  mocks: {a: []}")[0] == "empty_list"
    assert only("  mocks: {a: 1}")[0] == "wrong_type"
    assert only("  mocks: {a: {result: 1, items: {k: {}}}}")[1] == "/tests/0/mocks/a/items/k"


def test_an_answer_fits_what_its_node_waits_for() -> None:
    """A person decides an approval, and nothing else."""
    assert only("  mocks: {a: {approved: true}}")[:2] == ("unclear_answer", "/tests/0/mocks/a/approved")
    assert "it takes `approved`" in only("  mocks: {ask: {payload: 1}}")[2]
    assert only("  mocks: {box: {result: 1}}")[0] == "mocked_group"


def test_what_calls_out_cannot_be_real() -> None:
    """A test reaches no network."""
    assert only("  real: [fetch]")[:2] == ("calls_out", "/tests/0/real/0")


def test_two_tests_of_one_name_are_told() -> None:
    """`-k` could not tell them apart."""
    (problem,) = problems("workflow: x.yaml\ntests:\n- {name: a}\n- {name: a}\n")
    assert (problem.code, problem.pointer) == ("repeated_name", "/tests/1/name")


def test_odd_values_are_told() -> None:
    """Lengths of time, statuses, counts, and what is no object."""
    assert only("  expect: {within: soon}")[1] == "/tests/0/expect/within"
    assert only("  mocks: {ask: {approved: true, after: 3 weeks}}")[1] == "/tests/0/mocks/ask/after"
    assert only("  mocks: {a: {error: {code: x, status_code: 99}}}")[0] == "invalid_status"
    assert only("  mocks: {a: {error: {}}}")[0] == "missing_field"
    assert only("  expect: {nodes: {a: done}}")[1] == "/tests/0/expect/nodes/a"
    assert only("  expect: {calls: {a: -1}}")[1] == "/tests/0/expect/calls/a"
    assert only("  mocks: []")[0] == "wrong_type"
    assert only("  expect: 1")[0] == "wrong_type"


def test_a_file_that_cannot_be_read_says_why() -> None:
    """As a workflow does."""
    assert [problem.code for problem in problems("a: [")] == ["malformed_yaml"]
    assert [problem.code for problem in problems("- 1")] == ["wrong_type"]
    assert [problem.code for problem in problems("tests: 5")] == ["missing_field", "missing_field"]


def test_the_schema_accepts_every_example() -> None:
    """So an editor shows no error in them."""
    made = schema()
    Draft202012Validator.check_schema(made)
    validator = Draft202012Validator(made)
    for path in sorted(EXAMPLES_FOLDER.glob("*.test.yaml")):
        value, _ = parse_yaml(path.read_bytes())
        assert [error.message for error in validator.iter_errors(value)] == [], path.name
    assert not validator.is_valid({"workflow": "x", "tests": [{"name": "a", "mcoks": {}}]})
