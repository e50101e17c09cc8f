"""A template that reads a field which an output cannot have is refused when the workflow is accepted."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from flowengine.handlers.loading import load_registry
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, handler
from flowengine.settings import Limits
from flowengine.workflow import check, check_document
from tests.support.documents import JsonObject, accepted, checked, codes, node, only, reading, workflow

CALL: JsonObject = {"id": "call", "handler": "http_request", "config": {"url": "http://x/"}}
ASK: JsonObject = {"id": "ask", "handler": "llm_service", "config": {"prompt": "hello"}}
SUM: JsonObject = {
    "id": "sum-1",
    "handler": "compute",
    "config": {"operation": "add", "a": 1, "b": "2"},
}


class Config(msgspec.Struct):
    """Takes nothing."""


class Person(msgspec.Struct, rename="camel"):
    """A part of an output."""

    first_name: str


class Output(msgspec.Struct):
    """An output with parts."""

    people: list[Person]
    more: dict[str, Person]


@handler("told", output=Output)
def told(config: Config, context: Context) -> Output:
    """Says what it returns."""
    return Output([], {})


@handler("untold")
def untold(config: Config, context: Context) -> Output:
    """Does not say it."""
    return Output([], {})


def document(template: JsonValue) -> JsonObject:
    """A node that reads three others, of which the outputs are known."""
    return workflow(CALL, ASK, SUM, reading("last", template, "call", "ask", "sum-1"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ call.resutl }}", "'call' (http_request) has no field 'resutl'"),
        ("{{ call.headres }}", "has no field 'headres'; did you mean 'headers'? Its fields: status_code"),
        ("{{ call.foo }}", "has no field 'foo'. Its fields: "),
        ("to {{ ask.contents }}!", "did you mean 'content'?"),
        ('{{ nodes["sum-1"].value }}', "'sum-1' (compute) has no field 'value'. Its fields: result"),
        ("{{ ask['text'] | upper }}", "'ask' (llm_service) has no field 'text'"),
        ("{{ call.status_code.ok }}", "'call'.status_code is a number, which has no 'ok'"),
        ("{{ ask.result.text }}", "'ask'.result is text, which has no 'text'"),
        ("{{ ask.content.text }}", "'ask'.content is text, which has no 'text'"),
        ('{{ nodes["sum-1"].result.x }}', "'sum-1'.result is a number, which has no 'x'"),
        ('{{ nodes["sum-1"].result[0] }}', "which has no 0"),
        ("{{ ask.finish_reason.x }}", "'ask'.finish_reason is text or null"),
        ("{{ call.data | default(call.dta) }}", "did you mean 'data'?"),
        ("{{ call[ask.contnt] }}", "did you mean 'content'?"),
        ('{{ {"a": [call.bdy]} }}', "has no field 'bdy'"),
    ],
)
def test_field_that_cannot_exist_is_refused(template: str, message: str) -> None:
    """With the nearest name, and all the fields that there are."""
    problem = only(checked(document(template)))
    assert (problem.code, problem.pointer) == ("unknown_field", "/nodes/3/config/input")
    assert message in problem.message


@pytest.mark.parametrize(
    "template",
    [
        "{{ call }}",
        "{{ call.result.a.b }}",
        "{{ call.data.anything[0].at.all }}",
        "{{ call.headers['x-anything'] }}",
        "{{ call['data'] }}",
        "{{ ask.usage.total_tokens }}",
        "{{ ask.result[0] }}{{ ask.content[-1] }}{{ ask.content[1:] }}",
        '{{ nodes["sum-1"].result }}',
        "{{ call.nothing | default(1) }}",
        "{{ call.nothing.more | d('') }}",
        "{{ call.nothing is defined }}",
        "{{ call.nothing if call.nothing is defined else 0 }}",
        "{{ call.nothing.more if call.nothing is defined else 0 }}",
        "{{ call[ask.content] }}",
    ],
)
def test_what_may_exist_and_what_may_be_absent_stays_right(template: str) -> None:
    """Nothing is said against what is not known, or what the template itself expects to be absent."""
    accepted(document(template))


def test_output_of_other_handlers_is_known_if_they_declare_it() -> None:
    """`output=` of @handler; without it nothing is known."""

    registry = load_registry()
    registry.collect(SimpleNamespace(told=told, untold=untold))

    def found(source: str, template: str) -> list[str]:
        nodes = [{"id": "who", "handler": source}, reading("last", template, "who")]
        return codes(check_document({"name": "x", "nodes": nodes}, registry, Limits()))  # type: ignore[dict-item]  # JSON

    assert found("told", "{{ who.people[0].firstName ~ who.more.x.firstName ~ who.result.people }}") == []
    assert found("told", "{{ who.people[0].first_name }}") == ["unknown_field"]
    assert found("told", "{{ who.more.x.name }}") == ["unknown_field"]
    assert found("told", "{{ who.peple }}") == ["unknown_field"]
    assert found("untold", "{{ who.peple }}") == []


@pytest.mark.parametrize("value", ["yes", "on", "1,5", "", "twelve", "nan"])
def test_text_that_spells_no_number_is_refused_where_a_number_is_taken(value: str) -> None:
    """`b: yes` is the text "yes" in YAML 1.2."""
    config: JsonObject = {"operation": "add", "a": 1, "b": value}
    problem = only(checked(workflow(node("a", handler="compute", config=config))))
    assert (problem.code, problem.pointer) == ("invalid_config", "/nodes/0/config/b")
    assert "must be a number, it is the text" in problem.message


@pytest.mark.parametrize("value", ["42", " 1.5e3 ", "-7", "{{ source.result }}", "1{{ source.result }}"])
def test_text_that_spells_a_number_or_may_become_one_is_taken(value: str) -> None:
    """Templates are not known before they are rendered."""
    config: JsonObject = {"operation": "add", "a": 1, "b": value}
    accepted(workflow(node("source"), node("a", "source", handler="compute", config=config)))


def test_secrets_that_are_not_there_are_warnings_with_their_places() -> None:
    """Once for each name, where it is first read. The document stays right: other workers may have them."""
    text = b"""name: x
nodes:
  - id: a
    handler: http_request
    config:
      url: http://x/{{ secrets.KNOWN }}
      headers: {A: "{{ secrets.gone }}", B: "x {{ secrets.gone }}"}
"""
    result = check(text, "yaml", load_registry(), Limits(), has_secret=lambda name: name == "KNOWN")
    assert result.plan is not None
    (warning,) = result.warnings
    assert (warning.code, warning.line, warning.column) == ("secret_missing", 7, 20)
    assert "FLOWENGINE_SECRET_GONE" in warning.message
    assert check(text, "yaml", load_registry(), Limits()).warnings == ()
