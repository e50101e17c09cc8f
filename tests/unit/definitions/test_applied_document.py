"""A document that is applied: whose name it has, and when two texts are one version."""

from __future__ import annotations

import pytest

from flowengine.settings import Limits
from flowengine.workflow.definitions.applied_document import check_applied
from flowengine.workflow.definitions.start_body import read_start
from flowengine.workflow.validation import Form
from tests.support.servers.served_api import catalog

TEXT = b"name: one\ndescription: what it does\nnodes:\n  - {id: a, handler: echo, config: {text: x}}\n"


def applied(text: bytes, form: Form = "yaml", name: str | None = "one") -> tuple[str, list[tuple[str, str]]]:
    """The digest of its value, and its problems with their places."""
    found = check_applied(text, form, catalog(), Limits(), name=name)
    return found.value, [(problem.code, problem.pointer) for problem in found.checked.problems]


def test_texts_that_say_the_same_are_one_version() -> None:
    """In YAML and in JSON, whatever the comments and the spaces."""
    value, problems = applied(TEXT)
    assert (len(value), problems) == (32, [])
    same = (
        b'{"name": "one", "description": "what it does", '
        b'"nodes": [{"id":"a","handler":"echo","config":{"text":"x"}}]}'
    )
    assert applied(b"# a comment\n" + TEXT)[0] == value
    assert applied(same, "json")[0] == value


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace(b"text: x", b"text: y"),
        TEXT.replace(b"what it does", b"something else"),
        TEXT.replace(b"{id: a, handler: echo,", b"{handler: echo, id: a,"),
    ],
)
def test_texts_that_say_something_else_are_others(other: bytes) -> None:
    """The order of fields too: a body that a node sends keeps it."""
    assert applied(other)[0] != applied(TEXT)[0]


def test_a_document_is_applied_under_its_own_name() -> None:
    """Another one is refused at the name, with its line."""
    found = check_applied(TEXT, "yaml", catalog(), Limits(), name="two")
    (problem,) = found.checked.problems
    assert (problem.code, problem.pointer, problem.line, problem.column) == ("invalid_name", "/name", 1, 7)
    assert "'one'" in problem.message
    assert "'two'" in problem.message
    assert found.checked.plan is None
    assert applied(TEXT, name=None)[1] == []


@pytest.mark.parametrize("name", ["a/b", "diff", "..", "."])
def test_a_name_that_no_path_can_have_is_refused(name: str) -> None:
    """It would lead elsewhere."""
    text = TEXT.replace(b"name: one", f"name: '{name}'".encode())
    assert applied(text, name=None)[1] == [("invalid_name", "/name")]


def test_all_problems_are_found_at_once() -> None:
    """The name's and the others'; what cannot be read has one."""
    text = TEXT.replace(b"handler: echo", b"handler: ehco")
    assert applied(text, name="two")[1] == [
        ("invalid_name", "/name"),
        ("unknown_handler", "/nodes/0/handler"),
    ]
    assert applied(b"{")[1] == [("malformed_yaml", "")]
    assert applied(b"- 1")[1] == [("wrong_type", "")]


def start(body: bytes) -> list[tuple[str, str]]:
    """The problems of the body of a start."""
    found = read_start(body, "json", Limits(), lambda url: "it is wrong" if "wrong" in url else None)
    return [(problem.code, problem.pointer) for problem in found.problems]


def test_a_start_is_given_what_an_envelope_gives_but_for_the_workflow() -> None:
    """And `trigger: true`, which it does anyway."""
    body = b'{"inputs": {"a": 1}, "labels": {"b": "c"}, "callback_url": "https://x", "trigger": true}'
    found = read_start(body, "json", Limits(), lambda url: None)
    assert (found.inputs, found.labels, found.callback_url) == ({"a": 1}, {"b": "c"}, "https://x")
    assert found.problems == ()


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (b'{"workflow": {}}', [("unknown_field", "/workflow")]),
        (b'{"priority": "hihg"}', [("invalid_value", "/priority")]),
        (b'{"inputs": []}', [("wrong_type", "/inputs")]),
        (b'{"trigger": false}', [("invalid_value", "/trigger")]),
        (b'{"trigger": 1}', [("wrong_type", "/trigger")]),
        (b'{"callback_url": "wrong"}', [("invalid_callback_url", "/callback_url")]),
        (b"[]", [("wrong_type", "")]),
        (b"{", [("malformed_json", "")]),
    ],
)
def test_what_is_wrong_with_a_start_is_placed(body: bytes, problems: list[tuple[str, str]]) -> None:
    """Nothing of it is passed over."""
    assert start(body) == problems
