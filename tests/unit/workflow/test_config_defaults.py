"""`defaults.config`: what is merged under the configs of nodes, and where a problem of it is told."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.workflow import Checked
from flowengine.workflow.checking.config_defaults import (
    MAX_INHERITED_BYTES,
    MAX_INHERITED_VALUES,
    ConfigDefaults,
    merged,
)
from flowengine.workflow.checking.problem_report import Report
from tests.hostile.measured import bounded
from tests.support.documents import JsonObject, accepted, checked, codes, node, only, workflow

CALL: JsonObject = {"url": "http://a.test"}


def calling(node_id: str, config: JsonObject, **fields: JsonValue) -> JsonObject:
    """An HTTP node."""
    return {"id": node_id, "handler": "http_request", "config": config, **fields}


def given(defaults: JsonValue, *nodes: JsonObject) -> JsonObject:
    """A document with these defaults for configs."""
    return workflow(*(nodes or (node("a"),)), defaults={"config": defaults})


def configs(document: JsonObject) -> list[JsonValue]:
    """The configs of the plan's nodes."""
    plan = accepted(document).plan
    assert plan is not None
    return [msgspec.json.decode(item.work.config) for item in plan.nodes]


@pytest.mark.parametrize(
    ("under", "over", "both"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"o": {"x": 1, "y": {"z": 1}}}, {"o": {"y": {"w": 2}}}, {"o": {"x": 1, "y": {"z": 1, "w": 2}}}),
        ({"l": [1, 2]}, {"l": [3]}, {"l": [3]}),
        ({"o": {"x": 1}}, {"o": None}, {"o": None}),
        ({"o": {"x": 1}}, {"o": "{{ a.result }}"}, {"o": "{{ a.result }}"}),
        ({"o": 1}, {"o": {"x": 1}}, {"o": {"x": 1}}),
    ],
)
def test_objects_merge_at_every_depth_and_all_else_is_replaced(
    under: JsonObject, over: JsonObject, both: JsonObject
) -> None:
    """Null and templates replace as well, and nothing that was given is changed."""
    before = msgspec.json.encode([under, over])
    assert merged(under, over) == both
    assert msgspec.json.encode([under, over]) == before


def test_each_node_of_the_handler_has_the_defaults_under_its_config() -> None:
    """Nodes of other handlers have not; one that says the same has its own."""
    found = configs(
        given(
            {"http_request": {"headers": {"A": "{{ secrets.API }}", "B": "b"}, "require_json": True}},
            calling("a", CALL),
            calling("b", {**CALL, "headers": {"B": None, "C": "c"}, "require_json": False}),
            node("c", handler="call_external_service", config=CALL),
        )
    )
    assert found == [
        {"headers": {"A": "{{ secrets.API }}", "B": "b"}, "require_json": True, **CALL},
        {"headers": {"A": "{{ secrets.API }}", "B": None, "C": "c"}, "require_json": False, **CALL},
        CALL,
    ]


def test_defaults_may_give_what_a_config_must_have() -> None:
    """The whole config then: a node needs none of its own."""
    (found,) = configs(given({"http_request": CALL}, {"id": "a", "handler": "http_request"}))
    assert found == CALL


@pytest.mark.parametrize("defaults", [{}, {"http_request": {}}, {"http_request": {"headers": {"A": "a"}}}])
def test_defaults_that_no_node_has_change_nothing(defaults: JsonValue) -> None:
    """The plan is that of a document without them."""
    assert accepted(given(defaults)).plan == accepted(workflow(node("a"))).plan


@pytest.mark.parametrize(
    ("defaults", "code", "place", "words"),
    [
        ([], "wrong_type", "", "'config' must be an object, it is a list"),
        (None, "wrong_type", "", "null"),
        ({"http_request": []}, "wrong_type", "/http_request", "must be an object, it is a list"),
        ({"htp_request": {}}, "unknown_handler", "/htp_request", "did you mean 'http_request'?"),
        ({"http_request": {"hedders": {}}}, "unknown_field", "/http_request/hedders", "'headers'?"),
        ({"http_request": {"headers": {"A": []}}}, "invalid_config", "/http_request/headers/A", "a list"),
        ({"http_request": {"method": "a b"}}, "invalid_config", "/http_request/method", "not an HTTP method"),
        ({"http_request": {"url": "{{ 1 +"}}, "template_syntax", "/http_request/url", ""),
        ({"http_request": {"url": "{{ a.nothing.x }}"}}, "unknown_field", "/http_request/url", "nothing"),
        ({"http_request": {"url": "{{ far.x }}"}}, "unknown_node_reference", "/http_request/url", "'far'"),
        ({"assert": {"that": 3}}, "invalid_config", "/assert/that", ""),
        ({"transform": {"input": "{{ secrets.A }}"}}, "secret_not_allowed", "/transform/input", ""),
    ],
)
def test_what_is_wrong_with_the_defaults_is_told_once_and_there(
    defaults: JsonValue, code: str, place: str, words: str
) -> None:
    """However many nodes have them."""
    nodes = [
        calling(f"n{place}", {"body": "b"} if "url" in str(defaults) else CALL, dependencies=["a"])
        for place in range(3)
    ]
    first = node(
        "a",
        config={"transform_type": "to_text"}
        if "secrets" in str(defaults)
        else {"input": 1, "transform_type": "to_text"},
    )
    problem = only(checked(given(defaults, first, *nodes)))
    assert (problem.code, problem.pointer) == (code, f"/defaults/config{place}")
    assert words in problem.message


@pytest.mark.parametrize(
    ("defaults", "code"),
    [
        ({"http_request": {"hedders": {}}}, "unknown_field"),
        ({"http_request": {"method": 5}}, "invalid_config"),
        ({"http_request": {"url": "{{ 1 +"}}, "template_syntax"),
        ({"http_request": {"files": {"f": {"filename": 3}}}}, "invalid_config"),
    ],
)
def test_defaults_of_a_handler_that_no_node_uses_are_checked(defaults: JsonValue, code: str) -> None:
    """As far as a part of a config can be."""
    assert codes(checked(given(defaults))) == [code]


@pytest.mark.parametrize(
    "defaults",
    [
        {"compute": {"operation": "add"}},
        {"llm_service": {"temperature": 0}},
        {"http_request": {"files": {"f": {"filename": "a"}}}},
        {"set": {"value": {"any": ["thing"]}}},
        {"transform": {"separator": "{{ not_yet.result }}"}},
    ],
)
def test_a_part_of_a_config_may_lack_what_the_nodes_give(defaults: JsonValue) -> None:
    """Nobody uses it yet, so nothing is missing."""
    accepted(given(defaults, node("a", handler="assert", config={"that": "{{ true }}"})))


def test_a_problem_of_the_node_itself_stays_with_the_node() -> None:
    """Also where the defaults have something of that name, and where something is missing."""
    wrong = calling("a", {"headers": {"A": []}, "tmeout": 1})
    result = checked(given({"http_request": {"headers": {"A": "a", "B": "b"}}}, wrong))
    assert {(problem.code, problem.pointer) for problem in result.problems} == {
        ("invalid_config", "/nodes/0/config/headers/A"),
        ("unknown_field", "/nodes/0/config/tmeout"),
        ("missing_field", "/nodes/0/config/url"),
    }


def test_a_warning_about_the_defaults_is_told_there_too() -> None:
    """The template of the defaults reads a node that may not have completed."""
    tolerated = node("a", on_error="continue")
    reader = calling("b", {}, dependencies=["a"])
    document = given({"http_request": {"url": "http://x/{{ a.result }}"}}, tolerated, reader)
    (warning,) = accepted(document).warnings
    assert (warning.code, warning.pointer) == ("may_be_missing", "/defaults/config/http_request/url")


def test_the_limit_of_a_config_counts_the_merged_one() -> None:
    """The node is named: other nodes may have less of their own."""
    half = "x" * 6000
    document = given(
        {"http_request": {"headers": {"A": half}}}, calling("a", CALL), calling("b", {**CALL, "body": half})
    )
    problem = only(checked(document))
    assert (problem.code, problem.pointer) == ("config_too_large", "/nodes/1/config")
    assert "defaults" in problem.message


@pytest.mark.parametrize("config", [{"body": [0] * 200}, {"body": "x" * 9000}], ids=["values", "bytes"])
def test_a_small_document_does_not_become_a_large_plan(config: JsonObject) -> None:
    """What the nodes take from the defaults has a limit for all of them together, told once."""
    document = given(
        {"http_request": {**CALL, **config}}, *[calling(f"n{place}", {}) for place in range(1000)]
    )
    problem = only(checked(document))
    assert (problem.code, problem.pointer) == ("config_too_large", "/defaults/config/http_request")
    assert str(MAX_INHERITED_VALUES) in problem.message
    assert str(MAX_INHERITED_BYTES) in problem.message


@pytest.mark.parametrize(
    "body",
    [
        ["{{ a.result }}"] * 90,
        ["x {{ a.result }} {{ b.result }}"] * 90,
        [{"k": [[]]}] * 30,
        ["{{ far.result }}"] * 90,
        "x" * 3900,
    ],
    ids=["templates", "texts", "containers", "wrong", "bytes"],
)
def test_the_most_that_nodes_may_take_is_checked_within_bounds(body: JsonValue) -> None:
    """A second of CPU and 50 MB, as any document."""
    nodes = [calling(f"n{place}", {}, dependencies=["a", "b"]) for place in range(998)]
    document = given({"http_request": {**CALL, "body": body}}, node("a"), node("b"), *nodes)
    result: Checked = bounded(lambda: checked(document, Limits(max_config_bytes=100_000)))
    assert (result.plan is None) == bool(result.problems)


def test_names_with_slashes_are_told_as_pointers() -> None:
    """RFC 6901: `/` and `~` in a name are escaped."""
    defaults = ConfigDefaults({"my/handler": {"a/b": {"c~d": 1}}})
    assert defaults.under({"a/b": {}}, "my/handler", "/nodes/0/config", Report()) is not None
    assert defaults.place_of("/nodes/0/config/a~1b/c~0d") == "/defaults/config/my~1handler/a~1b/c~0d"
    assert defaults.place_of("/nodes/0/config/a~1b/x") == "/nodes/0/config/a~1b/x"
    assert defaults.place_of("/nodes/1/config/a~1b/c~0d") == "/nodes/1/config/a~1b/c~0d"
