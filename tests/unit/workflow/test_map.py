"""What a document may say of a map, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.children.group import Outer
from flowengine.workflow.maps.policy import MapPolicy
from tests.support.documents import accepted, checked, node, reading, workflow

LIST: JsonValue = [1, 2]


def mapped(**fields: JsonValue) -> JsonObject:
    """A document whose second node is a map of these fields, below the first."""
    return mapping({}, fields)


def mapping(config: JsonObject, fields: Mapping[str, JsonValue]) -> JsonObject:
    """The same, of the handler `set` with this config, if it is one."""
    given: JsonObject = {"handler": "set", "config": config} if config else {}
    return workflow(node("a"), node("n", "a", **given, map={"items": LIST, **fields}))


def policy(**fields: JsonValue) -> MapPolicy:
    """The map of such a node, as it was understood."""
    plan = accepted(mapped(**fields)).plan
    assert plan is not None
    found = plan.policies[1].map
    assert found is not None
    return found


def codes(document: JsonObject) -> list[tuple[str, str]]:
    """The problems of a document, each with its place."""
    return [(problem.code, problem.pointer) for problem in checked(document).problems]


def test_what_a_worker_renders_is_carried_as_it_was_written() -> None:
    """Defaults are left out."""
    assert policy() == MapPolicy('{"items":[1,2]}')
    found = policy(items="{{ a.result }}", key="{{ row.id }}", tolerated_failures="5%", **{"as": "row"})
    said = {"items": "{{ a.result }}", "key": "{{ row.id }}", "tolerated_failures": "5%"}
    assert (msgspec.json.decode(found.spec), found.name) == (said, "row")


@pytest.mark.parametrize(
    ("fields", "code", "place"),
    [
        ({"items": "text"}, "wrong_type", "items"),
        ({"items": 3}, "wrong_type", "items"),
        ({"key": "id"}, "wrong_type", "key"),
        ({"max_concurrent": -1}, "out_of_range", "max_concurrent"),
        ({"max_concurrent": 1.5}, "wrong_type", "max_concurrent"),
        ({"max_concurrent": True}, "wrong_type", "max_concurrent"),
        ({"tolerated_failures": -1}, "invalid_value", "tolerated_failures"),
        ({"tolerated_failures": "101%"}, "invalid_value", "tolerated_failures"),
        ({"tolerated_failures": "few"}, "invalid_value", "tolerated_failures"),
        ({"as": "a"}, "hides_a_node", "as"),
        ({"as": "inputs"}, "reserved_id", "as"),
        ({"as": "a-b"}, "invalid_name", "as"),
        ({"as": 3}, "wrong_type", "as"),
        ({"item": 3}, "unknown_field", "item"),
        ({"max_seconds": 0.5}, "out_of_range", "max_seconds"),
        ({"max_seconds": 2_592_001}, "out_of_range", "max_seconds"),
        ({"max_seconds": "1h"}, "wrong_type", "max_seconds"),
        ({"max_seconds": "{{ secrets.K }}"}, "secret_not_allowed", "max_seconds"),
        ({"items": "{{ item }}"}, "unknown_node_reference", "items"),
        ({"items": "{{ secrets.K }}"}, "secret_not_allowed", "items"),
        ({"key": "{{ item_key }}"}, "unknown_node_reference", "key"),
        ({"items": "{{ b.result }}"}, "unknown_node_reference", "items"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(fields: dict[str, JsonValue], code: str, place: str) -> None:
    """One problem each."""
    assert codes(mapped(**fields)) == [(code, f"/nodes/1/map/{place}")]


def test_a_map_has_items_and_is_an_object() -> None:
    """Nothing is guessed."""
    for said, code, place in (({}, "missing_field", "/items"), ([], "wrong_type", ""), (3, "wrong_type", "")):
        assert codes(workflow(node("n", map=said))) == [(code, f"/nodes/0/map{place}")]


def test_the_config_of_a_map_reads_the_item_by_its_names() -> None:
    """Other nodes do not, and other names are none."""
    accepted(mapping({"x": "{{ item.id }} {{ item_index }} {{ item_key }}"}, {}))
    accepted(mapping({"x": "{{ row.id }} {{ row_index }} {{ row_key }}"}, {"as": "row"}))
    assert codes(mapping({"x": "{{ item.id }}"}, {"as": "row"})) == [
        ("unknown_node_reference", "/nodes/1/config/x")
    ]
    assert codes(workflow(reading("n", "{{ item }}"))) == [
        ("unknown_node_reference", "/nodes/0/config/input")
    ]


def test_a_when_does_not_know_the_items() -> None:
    """It is decided before they are."""
    document = mapped()
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    assert isinstance(nodes[1], dict)
    nodes[1]["when"] = "{{ item.id == 1 }}"
    assert codes(document) == [("unknown_node_reference", "/nodes/1/when")]


def test_the_output_of_a_map_has_three_fields() -> None:
    """Templates below it are checked against that."""
    document = mapped()
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    nodes.append(reading("m", "{{ n.counts.failed }} {{ n.result[0].y }}", "n"))
    accepted(document)
    nodes[2] = reading("m", "{{ n.counts.skipped }} {{ n.data }}", "n")
    assert [code for code, _ in codes(document)] == ["unknown_field", "unknown_field"]


def test_the_condition_for_another_try_knows_the_item() -> None:
    """And the error of the try."""
    document = mapped()
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    assert isinstance(nodes[1], dict)
    nodes[1]["retry"] = {"when": "{{ item.patient and error.code == 'boom' }}"}
    accepted(document)


@pytest.mark.parametrize("handler", ["transform", "http_request"])
def test_a_node_of_a_group_reads_a_map_outside(handler: str) -> None:
    """As a map, and by the field that the output of its items has for a primary value."""
    inner: JsonObject = {"id": "i", "handler": "set", "config": {"value": "{{ n.result }}"}}
    config: JsonObject = (
        {"url": "https://x.test/{{ item }}"} if handler == "http_request" else {"input": "{{ item }}"}
    )
    config |= {} if handler == "http_request" else {"transform_type": "trim"}
    each: JsonObject = {"id": "n", "handler": handler, "config": config, "map": {"items": ["a"]}}
    found = accepted(workflow(each, {"id": "g", "nodes": [inner], "dependencies": ["n"]})).plan
    assert found is not None
    primary = "data" if handler == "http_request" else "result"
    assert found.group_at((1,)).policy(0).outer == (Outer(1, "n", primary, True, False, True),)


def test_a_field_that_a_map_outside_has_not_is_refused_in_a_group() -> None:
    """It has what any map has."""
    inner: JsonObject = {"id": "i", "handler": "set", "config": {"value": "{{ n.nope }}"}}
    document = mapped()
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    nodes.append({"id": "g", "nodes": [inner], "dependencies": ["n"]})
    assert codes(document) == [("unknown_field", "/nodes/2/nodes/0/config/value")]


def test_the_node_that_ends_an_execution_is_no_map() -> None:
    """It ends once."""
    document = workflow(
        {"id": "e", "handler": "end", "config": {"status": "completed"}, "map": {"items": []}}
    )
    assert codes(document) == [("not_with_end", "/nodes/0/map")]
