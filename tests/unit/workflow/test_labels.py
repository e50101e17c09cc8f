"""`labels` of a document and of one execution: what they may be, and who reads them."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.inputs.values import InputsInvalidError
from flowengine.workflow.labels import MAX_CHARS, MAX_LABELS, merged
from tests.support.documents import accepted, checked, codes, node, only, reading, workflow

MANY = {f"l{at}": "x" for at in range(MAX_LABELS)}


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {},
        {"team": "data"},
        {"app.kubernetes.io/name": "a", "Größe": "groß", "two words": "and: more = fine", "empty": ""},
        {"k" * MAX_CHARS: "v" * MAX_CHARS},
        MANY,
    ],
)
def test_names_and_values_of_63_printable_characters_are_labels(labels: JsonValue) -> None:
    """32 of them; the executions of the document have them, and its plan says nothing of them."""
    found = accepted(workflow(node("a"), labels=labels))
    assert found.labels == (labels or {})
    assert found.plan == accepted(workflow(node("a"))).plan


@pytest.mark.parametrize(
    ("labels", "code", "pointer", "said"),
    [
        ([], "wrong_type", "/labels", "must be an object, it is a list"),
        ({"a": 1}, "wrong_type", "/labels/a", "must be text, it is an integer: quote it"),
        ({"a": None}, "wrong_type", "/labels/a", "must be text, it is null"),
        ({**MANY, "more": "x"}, "out_of_range", "/labels", "at most 32 labels, these are 33"),
        ({"": "x"}, "invalid_label", "/labels/", "1 to 63 characters"),
        ({"k" * 64: "x"}, "invalid_label", f"/labels/{'k' * 64}", "1 to 63 characters"),
        ({"a:b": "x"}, "invalid_label", "/labels/a:b", "without ':' and '='"),
        ({"a=b": "x"}, "invalid_label", "/labels/a=b", "without ':' and '='"),
        ({" a": "x"}, "invalid_label", "/labels/ a", "does not begin or end with a space"),
        ({"a\n": "x"}, "invalid_label", "/labels/a\n", "printable"),
        ({"a": "v" * 64}, "invalid_label", "/labels/a", "at most 63 characters, this one 64"),
        ({"a": "x\ty"}, "invalid_label", "/labels/a", "one line of printable characters"),
        ({"a": "{{ inputs.day }}"}, "invalid_label", "/labels/a", "labels hold no templates"),
    ],
)
def test_what_cannot_be_a_label_is_refused_in_its_place(
    labels: JsonValue, code: str, pointer: str, said: str
) -> None:
    """With what a label is."""
    problem = only(checked(workflow(node("a"), labels=labels)))
    assert (problem.code, problem.pointer) == (code, pointer)
    assert said in problem.message


def test_templates_read_labels_as_text_and_all_of_them_as_an_object() -> None:
    """Those of the document are surely there."""
    for template in (
        "{{ execution.labels.team }}",
        "{{ execution.labels | keys }}",
        "{{ execution.labels }}",
    ):
        assert accepted(workflow(reading("a", template), labels={"team": "data"})).warnings == ()
    adds: JsonValue = {"operation": "add", "a": "{{ execution.labels }}", "b": 1}
    assert only(checked(workflow(node("a", handler="compute", config=adds)))).code == "type_mismatch"


@pytest.mark.parametrize(
    ("template", "warned"),
    [
        ("{{ execution.labels.customer }}", True),
        ("{{ execution.labels['a/b'] }}", True),
        ("{{ execution.labels.customer | default('nobody') }}", False),
        ("{{ execution.labels.customer is defined }}", False),
    ],
)
def test_a_label_that_the_document_has_not_may_be_missing(template: str, warned: bool) -> None:
    """Callers may add it, so it is no error."""
    found = accepted(workflow(reading("a", template), labels={"team": "data"}))
    assert [warning.code for warning in found.warnings] == (["may_be_missing"] if warned else [])


def test_a_field_that_execution_has_not_is_still_refused() -> None:
    """The nearest one is named."""
    found = checked(workflow(reading("a", "{{ execution.label.team }}")))
    assert codes(found) == ["unknown_field"]
    assert "did you mean 'labels'?" in found.problems[0].message


def test_a_callers_labels_take_the_place_of_others_name_by_name() -> None:
    """Together there are no more than 32."""
    assert merged({"a": "1", "b": "2"}, {"b": "3"}) == {"a": "1", "b": "3"}
    assert merged(MANY, {"l0": "y"})["l0"] == "y"
    with pytest.raises(InputsInvalidError) as caught:
        merged(MANY, {"more": "x"})
    assert [(problem.code, problem.pointer) for problem in caught.value.problems] == [
        ("out_of_range", "/labels")
    ]
