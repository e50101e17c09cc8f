"""What differs between two documents, as a person is told."""

from __future__ import annotations

from typing import Any

from flowengine.workflow.definitions.comparison import (
    MAX_DIFFERENCES,
    MAX_VALUE_CHARS,
    Difference,
    differences,
)


def node(node_id: str, **fields: Any) -> dict[str, Any]:
    """A node."""
    return {"id": node_id, "handler": "set", **fields}


def document(*nodes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A document."""
    return {"name": "one", **fields, "nodes": list(nodes)}


def test_equal_documents_do_not_differ() -> None:
    """Neither do those that came as other texts."""
    assert differences(document(node("a")), document(node("a"))) == ()


def test_nodes_are_added_and_removed_by_their_ids() -> None:
    """Wherever they stand, hooks too."""
    before = document(node("a"), node("b"), **{"finally": [node("tidy")]})
    after = document(node("c", handler="end"), node("a"), on_failure=[node("tell")])
    assert differences(before, after) == (
        Difference(kind="added", node="c", after='"end"'),
        Difference(kind="removed", node="b", before='"set"'),
        Difference(kind="added", node="tell", after='"set"'),
        Difference(kind="removed", node="tidy", before='"set"'),
    )


def test_fields_are_told_with_their_path_and_both_values() -> None:
    """Objects at every depth; lists are one value."""
    before = document(
        node("a", config={"url": "x", "headers": {"A": "1", "B": "2"}}, dependencies=["b"]), timeout_seconds=5
    )
    after = document(
        node("a", config={"url": "y", "headers": {"B": "2", "C": "3"}}, dependencies=["b", "c"]), labels={}
    )
    assert differences(before, after) == (
        Difference(kind="removed", field="timeout_seconds", before="5"),
        Difference(kind="added", field="labels", after="{}"),
        Difference(kind="changed", node="a", field="config.url", before='"x"', after='"y"'),
        Difference(kind="removed", node="a", field="config.headers.A", before='"1"'),
        Difference(kind="added", node="a", field="config.headers.C", after='"3"'),
        Difference(kind="changed", node="a", field="dependencies", before='["b"]', after='["b","c"]'),
    )


def test_a_value_of_another_type_is_changed() -> None:
    """True is not 1, and an object is no list."""
    before, after = document(a=1, b={"x": 1}), document(a=True, b=["x"])
    assert [(found.field, found.before, found.after) for found in differences(before, after)] == [
        ("a", "1", "true"),
        ("b", '{"x":1}', '["x"]'),
    ]


def test_another_order_is_told() -> None:
    """Of nodes, and of fields where nothing else differs."""
    moved = differences(document(node("a"), node("b")), document(node("b"), node("a")))
    assert moved == (Difference(kind="moved", field="nodes"),)
    assert differences({"a": 1, "b": 2}, {"b": 2, "a": 1}) == (Difference(kind="moved"),)


def test_nodes_of_a_group_are_looked_at_as_others() -> None:
    """By their ids."""
    before = document({"id": "g", "nodes": [node("x"), node("y")]})
    after = document({"id": "g", "nodes": [node("x", config={"value": 1})], "outputs": {}})
    assert differences(before, after) == (
        Difference(kind="added", node="g", field="outputs", after="{}"),
        Difference(kind="added", node="x", field="config", after='{"value":1}'),
        Difference(kind="removed", node="y", before='"set"'),
    )


def test_long_values_and_many_differences_are_cut() -> None:
    """What is told stays bounded."""
    (found,) = differences(document(description="x" * 5000), document(description="y"))
    assert found.before is not None
    assert len(found.before) == MAX_VALUE_CHARS
    many = document(*[node(f"n{place}") for place in range(MAX_DIFFERENCES + 50)])
    assert len(differences(document(), many)) == MAX_DIFFERENCES


def test_what_is_no_document_differs_in_all() -> None:
    """A version that cannot be read any more, say."""
    assert [found.kind for found in differences(None, document(node("a")))] == ["added", "added"]
