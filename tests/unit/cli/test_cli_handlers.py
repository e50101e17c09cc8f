"""`flowengine handlers`: what a node may say, in words."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from click.testing import CliRunner, Result

from flowengine.cli.output.field_words import fields_in_words
from flowengine.cli.tool import tool
from flowengine.handlers.loading import load_registry
from flowengine.plugin import AnyObject


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def handlers(*arguments: str) -> Result:
    """The command in this process, in a pipe of 200 columns."""
    return CliRunner().invoke(tool, ["handlers", *arguments], env={"COLUMNS": "200"})


def test_list_has_types_defaults_and_allowed_values() -> None:
    """Not names alone."""
    told = handlers().stdout
    for part in (
        "compute",
        "operation*, a*, b*",
        "operation: one of add, divide, max, min, modulo, multiply, power, subtract",
        "a: integer or number or text",
        'separator: text = ""',
        "descending: true or false = false",
        "indent: integer, at least 0, at most 8 = 0",
    ):
        assert part in told


@pytest.mark.parametrize("name", load_registry().names())
def test_each_handler_is_shown_in_full(name: str) -> None:
    """Every field of config and output, with what it is for."""
    result = handlers(name)
    item = load_registry().get(name)
    assert result.exit_code == 0, result.output
    assert item is not None
    assert item.output_type is not None
    assert item.summary in result.stdout
    configs = () if item.config_type is AnyObject else (item.config_type,)
    assert ("any fields" in result.stdout) == (item.config_type is AnyObject)
    for struct in (*configs, item.output_type):
        for field in msgspec.structs.fields(struct):
            assert f"  {field.encode_name}" in result.stdout
    told = json.loads(handlers("--json", name).stdout)
    assert told["name"] == name
    assert set(told["output"]) == {field.encode_name for field in msgspec.structs.fields(item.output_type)}


def test_field_is_shown_with_description_default_and_parts() -> None:
    """Also the fields of the objects in a list."""
    lines = handlers("llm_service").stdout.splitlines()
    at = lines.index("  messages: list of object or null")
    assert lines[at + 1] == "      A conversation, instead of `prompt`."
    assert "role*: one of assistant, developer, system, tool, user" in "".join(lines[at:])
    assert "      default: null" in lines


@pytest.mark.parametrize(
    ("name", "meant"),
    [("comput", "'comput'; did you mean 'compute'?"), ("zzz", "'zzz'. Handlers: aggregate, ")],
)
def test_unknown_handler_is_answered_with_a_close_one_and_all(name: str, meant: str) -> None:
    """Exit code 2, as for any wrong input."""
    result = handlers(name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no handler called {meant}" in result.stderr


class Part(msgspec.Struct):
    """An object that may hold itself."""

    inner: Part | None = None


class Odd(msgspec.Struct, rename="camel"):
    """Kinds of fields that no built-in handler has."""

    how_many: Annotated[int, msgspec.Meta(gt=0, lt=9)]
    names: list[Annotated[str, msgspec.Meta(max_length=3)]]
    when: Literal["now", "then"] = "now"
    part: Part | None = None
    made: list[int] = msgspec.field(default_factory=list)


def test_every_kind_of_field_has_words() -> None:
    """Bounds, choices, lists, renamed fields, an object inside itself."""
    told = {field.label: field.kind_and_default for field in fields_in_words(Odd)}
    assert told == {
        "howMany*": "integer, more than 0, less than 9",
        "names*": "list of text, at most 3 characters",
        "when": 'one of now, then = "now"',
        "part": "object or null = null",
        "made": "list of integer = []",
    }
