"""`cache` of a node: what a document may say of it."""

from __future__ import annotations

import pytest

from flowengine.handlers.loading import load_registry
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.workflow.limits.declared import CachePolicy
from flowengine.workflow.validation import Checked, check_document

REGISTRY = load_registry()
SECRET: JsonValue = {"token": {"type": "string", "secret": True}, "day": {"type": "string"}}


def node(said: JsonValue, **fields: JsonValue) -> dict[str, JsonValue]:
    """One that has this cache."""
    return {"id": "a", "handler": "http_request", "config": {"url": "http://a.test"}, "cache": said, **fields}


def checked(*nodes: JsonValue, inputs: JsonValue = None) -> Checked:
    """A workflow of these."""
    document: dict[str, JsonValue] = {"name": "Report", "nodes": list(nodes)}
    if inputs is not None:
        document["inputs"] = inputs
    return check_document(document, REGISTRY, Limits(public_url="http://x"))


def problems(found: Checked) -> list[tuple[str, str]]:
    """Codes and places."""
    return [(problem.code, problem.pointer) for problem in found.problems]


def test_an_entry_belongs_to_the_workflow_its_groups_and_the_node() -> None:
    """So that no other node, and no other workflow, is given it."""
    inside: JsonValue = {"id": "g", "nodes": [{**node({"ttl_seconds": 5}), "id": "b"}]}
    found = checked(node({"ttl_seconds": 60, "key": "{{ execution.name }}"}), inside).plan
    assert found is not None
    assert found.policy(0).cache == CachePolicy(60, "Report\ta", "{{ execution.name }}")
    assert found.group_at((1,)).policy(0).cache == CachePolicy(5, "Report\tg\tb")


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        (True, "wrong_type", ""),
        ({}, "missing_field", "/ttl_seconds"),
        ({"ttl_seconds": 1.5}, "wrong_type", "/ttl_seconds"),
        ({"ttl_seconds": 0}, "out_of_range", "/ttl_seconds"),
        ({"ttl_seconds": 2_592_001}, "out_of_range", "/ttl_seconds"),
        ({"ttl_seconds": 1, "key": 5}, "wrong_type", "/key"),
        ({"ttl_seconds": 1, "key": "{{ b.result }}"}, "unknown_node_reference", "/key"),
        ({"ttl_seconds": 1, "key": "{{ secrets.x }}"}, "secret_not_allowed", "/key"),
        ({"ttl_seconds": 1, "keys": "x"}, "unknown_field", "/keys"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(said: JsonValue, code: str, field: str) -> None:
    """And nothing else."""
    assert problems(checked(node(said))) == [(code, f"/nodes/0/cache{field}")]


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"handler": "wait", "config": {"seconds": 5}}, "not_with_cache", "cache"),
        ({"handler": "end", "config": {}}, "not_with_cache", "cache"),
        ({"wait_for_callback": {}}, "not_with_cache", "cache"),
    ],
)
def test_what_it_cannot_be_together_with_is_refused(
    fields: dict[str, JsonValue], code: str, pointer: str
) -> None:
    """With the place to change."""
    assert (code, f"/nodes/0/{pointer}") in problems(checked(node({"ttl_seconds": 5}, **fields)))


def test_a_node_that_repeats_has_a_cache() -> None:
    """Of its iterations."""
    found = checked(node({"ttl_seconds": 5}, repeat={"until": "{{ iteration > 1 }}"}))
    assert not found.problems


def test_a_config_with_a_secret_input_has_no_cache() -> None:
    """What is given for one secret would be given for another, with a key too. Those of workers are the same
    for all."""
    reads: JsonValue = {"url": "http://a.test/{{ inputs.token }}"}
    found = checked(node({"ttl_seconds": 5}, config=reads), inputs=SECRET)
    assert problems(found) == [("secret_not_allowed", "/nodes/0/config/url")]
    keyed: JsonValue = {"ttl_seconds": 5, "key": "{{ inputs.day }}"}
    assert problems(checked(node(keyed, config=reads), inputs=SECRET)) == [
        ("secret_not_allowed", "/nodes/0/config/url")
    ]
    assert not checked(node(keyed), inputs=SECRET).problems
    wide: JsonValue = {"url": "http://a.test/{{ secrets.token }}"}
    assert not checked(node({"ttl_seconds": 5}, config=wide)).problems
