"""Workflow documents for tests: short to write, checked against the built-in handlers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from flowengine.cli.workflow_files import is_case_file
from flowengine.handlers.loading import load_registry
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.workflow import Checked, Form, Problem, check, check_document

JsonObject = dict[str, JsonValue]

EXAMPLES_FOLDER: Final = Path(__file__).parents[2] / "workflows"
EXAMPLES: Final = tuple(sorted(path for path in EXAMPLES_FOLDER.iterdir() if not is_case_file(path)))
"""Every workflow that comes with the project; their tests stand beside them."""


@cache
def catalog() -> Registry:
    """The built-in handlers."""
    return load_registry()


def node(node_id: str, *dependencies: str, **fields: JsonValue) -> JsonObject:
    """A node that transforms a constant, unless `fields` say otherwise."""
    return {
        "id": node_id,
        "handler": "transform",
        "config": {"input": 1, "transform_type": "to_text"},
        "dependencies": list(dependencies),
        **fields,
    }


def reading(node_id: str, template: JsonValue, *dependencies: str) -> JsonObject:
    """A node whose config holds this template."""
    return node(node_id, *dependencies, config={"input": template, "transform_type": "to_text"})


def workflow(*nodes: JsonValue, **fields: JsonValue) -> JsonObject:
    """A document of these nodes."""
    return {"name": "test", "nodes": list(nodes), **fields}


def checked(document: JsonValue, limits: Limits | None = None) -> Checked:
    """What the validator says of a JSON value."""
    return check_document(document, catalog(), limits or Limits())


def checked_text(text: str | bytes, form: Form = "yaml") -> Checked:
    """What the validator says of a document as sent."""
    return check(text.encode() if isinstance(text, str) else text, form, catalog(), Limits())


def codes(result: Checked) -> list[str]:
    """The codes of all problems."""
    return [problem.code for problem in result.problems]


def only(result: Checked) -> Problem:
    """The one problem there is."""
    assert len(result.problems) == 1, result.problems
    return result.problems[0]


def accepted(document: JsonValue) -> Checked:
    """The same, for a document that must be right."""
    result = checked(document)
    assert result.problems == ()
    return result


def json_bytes(document: JsonValue) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document)
