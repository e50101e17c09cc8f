"""Inputs of a workflow from the command line: `--input name=value` and `--inputs FILE`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flowengine.cli.workflow_files import is_json, problem_line, read_file
from flowengine.errors import CannotRunError
from flowengine.jsonvalue import JsonValue, NotJsonError, decode, decode_bounded
from flowengine.workflow.inputs.beginning import begin
from flowengine.workflow.inputs.json_schema import kinds_of
from flowengine.workflow.inputs.values import InputsInvalidError, Occasion
from flowengine.workflow.problems import Problem, quoted
from flowengine.workflow.validation import read_text

if TYPE_CHECKING:
    from flowengine.settings import Limits
    from flowengine.workflow.inputs.declared import Input
    from flowengine.workflow.plan import Plan


class GivenInputs(msgspec.Struct, frozen=True):
    """What the user said: `NAME=VALUE` pairs, and a file."""

    pairs: tuple[str, ...] = ()
    file: Path | None = None

    def read(self, plan: Plan, limits: Limits) -> dict[str, JsonValue]:
        """The inputs, checked against the workflow.

        Raises InputsInvalidError, VarsInvalidError, CannotRunError.
        """
        values = {} if self.file is None else _read_file(self.file, limits)
        for pair in self.pairs:
            name, value = _split(pair)
            values[name] = _parsed(name, value, plan.inputs)
        # Times and ids that defaults may read are not known yet: what they give is checked when it starts.
        now = int(time.time() * 1000)
        begin(plan, values, Occasion({**_ANY_EXECUTION, "name": plan.name}, now))
        return values


_ANY_EXECUTION: dict[str, JsonValue] = {
    "id": "0" * 27,
    "name": "",
    "run": 1,
    "created_at": "2026-01-01T00:00:00.000Z",
    "started_at": "2026-01-01T00:00:00.000Z",
    "correlation_id": "0" * 32,
}


def _split(pair: str) -> tuple[str, str]:
    name, sign, value = pair.partition("=")
    if not name or not sign:
        message = f"{quoted(pair)} is no input: write --input NAME=VALUE"
        raise InputsInvalidError((Problem(code="invalid_input", pointer="/inputs", message=message),))
    return name, value


def _parsed(name: str, text: str, declared: Mapping[str, Input] | None) -> JsonValue:
    """The value that a text means for an input: by its type, where the workflow says one."""
    kinds = None
    if declared is not None and name in declared:
        schema = decode(bytes(declared[name].schema))
        kinds = kinds_of(schema, schema) if isinstance(schema, bool | dict) else None
    if kinds == frozenset({"string"}):
        return text
    try:
        value = decode_bounded(text)
    except NotJsonError:
        return text
    # A text that could also be a number is a text where the input may be one, unless it may be a number too.
    return text if kinds is not None and "string" in kinds and not _is_one_of(value, kinds) else value


def _is_one_of(value: JsonValue, kinds: frozenset[str]) -> bool:
    if value is None or isinstance(value, bool):
        return ("null" if value is None else "boolean") in kinds
    if isinstance(value, int | float):
        return "number" in kinds or ("integer" in kinds and value == int(value))
    if isinstance(value, str):
        return False
    return ("array" if isinstance(value, list) else "object") in kinds


def _read_file(path: Path, limits: Limits) -> dict[str, JsonValue]:
    body = read_file(path, limits)
    text = read_text(body, "json" if is_json(path, body) else "yaml", limits)
    if isinstance(text, Problem):
        raise CannotRunError(f"cannot read the inputs: {problem_line(path, text)}")
    if not isinstance(text.value, dict):
        raise CannotRunError(f"cannot read the inputs: {path} holds no object")
    return text.value
