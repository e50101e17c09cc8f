"""Inputs on the command line: a text means what the schema's type says."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowengine.cli.given_inputs import GivenInputs
from flowengine.errors import CannotRunError
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.workflow.inputs.beginning import VarsInvalidError
from flowengine.workflow.inputs.values import InputsInvalidError
from tests.support.documents import accepted, node, workflow


def read(*pairs: str, file: Path | None = None, **document: JsonValue) -> dict[str, JsonValue]:
    """What these options give a workflow."""
    plan = accepted(workflow(node("a"), **document)).plan
    assert plan is not None
    return GivenInputs(pairs, file).read(plan, Limits(), {}).inputs


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "5", "5"),
        ("string", "true", "true"),
        ("string", "a=b", "a=b"),
        ("string", "", ""),
        ("integer", "5", 5),
        ("number", "1.5", 1.5),
        ("boolean", "true", True),
        ("null", "null", None),
        ("array", '["a", 1]', ["a", 1]),
        ("object", '{"a": 1}', {"a": 1}),
        (["string", "integer"], "5", 5),
        (["string", "integer"], "x", "x"),
        (["string", "null"], "5", "5"),
        (["string", "null"], "null", None),
        (["string", "integer"], '"5"', '"5"'),
        (["string", "boolean"], "1", "1"),
    ],
)
def test_a_text_is_read_by_the_type_of_its_input(kind: JsonValue, text: str, value: JsonValue) -> None:
    """A text is taken as it is, anything else is JSON."""
    assert read(f"x={text}", inputs={"x": {"type": kind}}) == {"x": value}


def test_without_a_type_a_text_is_json_if_it_can_be() -> None:
    """So it is where the workflow says nothing of inputs."""
    assert read("x=5", "y=z", inputs={"x": {}, "y": {}}) == {"x": 5, "y": "z"}
    assert read("x=[1]", "y=1 2") == {"x": [1], "y": "1 2"}


def test_a_type_behind_a_reference_counts() -> None:
    """As for any schema."""
    schema: JsonValue = {"$ref": "#/$defs/t", "$defs": {"t": {"type": "string"}}}
    assert read("x=5", inputs={"x": schema}) == {"x": "5"}


@pytest.mark.parametrize(("name", "text"), [("i.json", '{"x": 1, "y": 2}'), ("i.yaml", "x: 1\ny: 2\n")])
def test_options_take_the_place_of_what_the_file_says(tmp_path: Path, name: str, text: str) -> None:
    """Name by name, JSON and YAML alike."""
    (tmp_path / name).write_text(text)
    assert read("y=3", file=tmp_path / name) == {"x": 1, "y": 3}


@pytest.mark.parametrize("text", ["[1]", "x: [", "", "5"])
def test_a_file_without_inputs_is_refused(tmp_path: Path, text: str) -> None:
    """It says which file."""
    file = tmp_path / "i.yaml"
    file.write_text(text)
    with pytest.raises(CannotRunError, match=r"i\.yaml"):
        read(file=file)


@pytest.mark.parametrize("pair", ["x", "=5", ""])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    """It shows how one is written."""
    with pytest.raises(InputsInvalidError, match="NAME=VALUE"):
        read(pair)


def test_what_does_not_fit_is_found_before_anything_starts() -> None:
    """Inputs, defaults and vars."""
    with pytest.raises(InputsInvalidError):
        read("x=y", inputs={"x": {"type": "integer"}})
    with pytest.raises(InputsInvalidError):
        read(inputs={"x": {}})
    with pytest.raises(VarsInvalidError):
        read("x=0", inputs={"x": {"type": "integer"}}, vars={"v": "{{ 1 // inputs.x }}"})


def test_labels_are_pairs_beside_those_of_the_workflow() -> None:
    """The value is what follows the first sign; templates read them when the inputs are checked."""
    document = workflow(
        node("a"), labels={"team": "data", "kind": "x"}, vars={"k": "{{ execution.labels.kind }}"}
    )
    found = accepted(document)
    assert found.plan is not None
    given = GivenInputs(labels=("kind=a=b", "empty=")).read(found.plan, Limits(), found.labels)
    assert given.labels == {"team": "data", "kind": "a=b", "empty": ""}


@pytest.mark.parametrize("pair", ["team", "=data", "a:b=c", "k=" + "v" * 64])
def test_what_is_no_label_is_refused(pair: str) -> None:
    """With what one is."""
    plan = accepted(workflow(node("a"))).plan
    assert plan is not None
    with pytest.raises(InputsInvalidError, match="label"):
        GivenInputs(labels=(pair,)).read(plan, Limits(), {})
