"""`wait_for_callback`: what a document may say of it, and what its templates may read."""

from __future__ import annotations

import pytest

from flowengine.handlers.loading import load_registry
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.workflow.plan import Plan
from flowengine.workflow.validation import Checked, check_document
from flowengine.workflow.waits.wait_policy import DEFAULT_TIMEOUT_S, WaitPolicy

REGISTRY = load_registry()
BASE = "https://flow.example"


def checked(said: JsonValue, base: str | None = BASE, **fields: JsonValue) -> Checked:
    """A workflow whose first node waits for a callback, and says this besides."""
    node: dict[str, JsonValue] = {
        "id": "ask",
        "handler": "http_request",
        "config": {"url": "http://a.test", "body": {"to": "{{ callback_url }}"}, "method": "POST"},
        "wait_for_callback": said,
        **fields,
    }
    return check_document({"name": "x", "nodes": [node]}, REGISTRY, Limits(public_url=base))


def plan_of(found: Checked) -> Plan:
    """The plan of what is right."""
    assert found.plan is not None, found.problems
    return found.plan


def problems(found: Checked) -> list[tuple[str, str]]:
    """Codes and places."""
    return [(problem.code, problem.pointer) for problem in found.problems]


def test_the_plan_says_what_the_node_waits_for() -> None:
    """With the base of its URL. Its primary value is what the callback carries, not the handler's."""
    said: JsonValue = {"timeout_seconds": 60, "schema": {"type": "object"}, "on_timeout": "continue"}
    found = plan_of(checked(said))
    wanted = WaitPolicy("callback", 60_000, schema='{"type":"object"}', continues=True, url=BASE)
    assert found.policy(0).waits == wanted
    assert found.nodes[0].work.primary is None
    assert found.calls_back


def test_it_may_say_nothing_and_waits_for_a_week() -> None:
    """The node's own `timeout_seconds` is that of its handler."""
    found = plan_of(checked({}, timeout_seconds=5))
    waits = found.policy(0).waits
    assert waits is not None
    assert waits.timeout_ms == DEFAULT_TIMEOUT_S * 1000
    assert found.nodes[0].work.timeout_ms == 5000


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        (5, "wrong_type", ""),
        ({"timeout": 5}, "unknown_field", "/timeout"),
        ({"timeout_seconds": 0}, "out_of_range", "/timeout_seconds"),
        ({"timeout_seconds": 2_592_001}, "out_of_range", "/timeout_seconds"),
        ({"schema": {"type": "odd"}}, "invalid_schema", "/schema/type"),
        ({"schema": {"const": "{{ ask.result }}"}}, "invalid_config", "/schema"),
        ({"on_timeout": "go"}, "invalid_value", "/on_timeout"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(said: JsonValue, code: str, field: str) -> None:
    """And nothing else."""
    config: JsonValue = {"url": "http://a.test"}
    assert problems(checked(said, config=config)) == [(code, f"/nodes/0/wait_for_callback{field}")]


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"handler": "wait", "config": {"seconds": 5}}, "not_with_callback", "wait_for_callback"),
        ({"handler": "end", "config": {}}, "not_with_callback", "wait_for_callback"),
        ({"output_schema": {"type": "object"}}, "not_with_callback", "output_schema"),
    ],
)
def test_what_it_cannot_be_together_with_is_refused(
    fields: dict[str, JsonValue], code: str, pointer: str
) -> None:
    """With the place to change."""
    assert (code, f"/nodes/0/{pointer}") in problems(checked({}, BASE, **fields))


def test_without_a_public_url_such_documents_are_refused() -> None:
    """Where it is not known, as in `flowengine validate`, they are right."""
    assert problems(checked({}, base="")) == [("no_public_url", "/nodes/0/wait_for_callback")]
    assert not checked({}, base=None).problems


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"when": "{{ callback_url == '' }}"}, "unknown_node_reference secret_not_allowed"),
        ({"handler": "set", "config": {"value": "{{ callback_url }}"}}, "secret_not_allowed"),
        ({"wait_for_callback": None}, "unknown_node_reference"),
    ],
)
def test_the_url_is_read_only_where_it_is_sent_on(fields: dict[str, JsonValue], code: str) -> None:
    """In the config of its own node, unless the result would be made of it."""
    assert [found for found, _ in problems(checked({}, BASE, **fields))] == code.split()


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("ask.result.pages", True),
        ("ask.response.status_code", True),
        ("ask.timed_out", True),
        ("ask.result.page", False),
        ("ask.body", False),
    ],
)
def test_what_reads_the_node_is_checked_against_its_output(read: str, right: bool) -> None:
    """By the schema of its callback."""
    schema: JsonValue = {
        "type": "object",
        "properties": {"pages": {"type": "integer"}},
        "additionalProperties": False,
    }
    first: JsonValue = {
        "id": "ask",
        "handler": "http_request",
        "config": {"url": "http://a.test"},
        "wait_for_callback": {"schema": schema},
    }
    config: JsonValue = {"value": f"{{{{ {read} }}}}"}
    second: JsonValue = {"id": "b", "handler": "set", "config": config, "dependencies": ["ask"]}
    found = check_document({"name": "x", "nodes": [first, second]}, REGISTRY, Limits(public_url=BASE))
    assert (not found.problems) == right
