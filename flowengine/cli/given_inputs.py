"""What `run` and `submit` give an execution: `--input NAME=VALUE`, `--inputs FILE`, `--label NAME=VALUE`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from flowengine.cli.workflow_files import is_json, problem_line, read_file
from flowengine.errors import CannotRunError
from flowengine.jsonvalue import JsonValue, NotJsonError, decode, decode_bounded
from flowengine.template.reference import TRIGGER_FIELDS
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.inputs.beginning import begin
from flowengine.workflow.inputs.json_schema import kinds_of
from flowengine.workflow.inputs.values import InputsInvalidError, Occasion
from flowengine.workflow.labels import FIELD, merged, read_labels
from flowengine.workflow.problems import Problem, quoted
from flowengine.workflow.validation import read_text

if TYPE_CHECKING:
    from flowengine.settings import Limits
    from flowengine.workflow.inputs.declared import Input
    from flowengine.workflow.plan import Plan


class Given(msgspec.Struct, frozen=True):
    """What the inputs and labels of the execution are."""

    inputs: dict[str, JsonValue]
    labels: dict[str, str]


class GivenInputs(msgspec.Struct, frozen=True):
    """What the user said: `NAME=VALUE` pairs, and a file. `labels` are such pairs too."""

    pairs: tuple[str, ...] = ()
    file: Path | None = None
    labels: tuple[str, ...] = ()

    def read(self, plan: Plan, limits: Limits, labels: Mapping[str, str]) -> Given:
        """The inputs and labels, checked against the workflow, which has these labels.

        Raises InputsInvalidError, VarsInvalidError, CannotRunError.
        """
        found = merged(labels, _labels(self.labels))
        values = {} if self.file is None else read_inputs(self.file, limits)
        for pair in self.pairs:
            name, value = split_pair(pair, "input")
            values[name] = value_of(value, _schema_of(name, plan.inputs))
        # Times and ids that defaults may read are not known yet: what they give is checked when it starts.
        now = int(time.time() * 1000)
        execution: dict[str, JsonValue] = {**_ANY_EXECUTION, "name": plan.name, "labels": {**found}}
        begin(plan, values, Occasion(execution, now, {**dict.fromkeys(TRIGGER_FIELDS), "kind": "api"}))
        return Given(values, found)


_ANY_EXECUTION: dict[str, JsonValue] = {
    "id": "0" * 27,
    "name": "",
    "run": 1,
    "created_at": "2026-01-01T00:00:00.000Z",
    "started_at": "2026-01-01T00:00:00.000Z",
    "correlation_id": "0" * 32,
}


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    report = Report()
    found: JsonValue = dict(split_pair(pair, "label") for pair in pairs)
    labels = read_labels({FIELD: found}, report)
    if report:
        raise InputsInvalidError(report.problems())
    return labels


def split_pair(pair: str, what: Literal["input", "label"], option: str | None = None) -> tuple[str, str]:
    """The name and the value of such a pair. `option`: by which it is given, where it is called otherwise.
    Raises InputsInvalidError."""
    name, sign, value = pair.partition("=")
    if not name or not sign:
        message = f"{quoted(pair)} is no {what}: write --{option or what} NAME=VALUE"
        raise InputsInvalidError((Problem(code=f"invalid_{what}", pointer=f"/{what}s", message=message),))
    return name, value


def _schema_of(name: str, declared: Mapping[str, Input] | None) -> JsonValue:
    return None if declared is None or name not in declared else decode(bytes(declared[name].schema))


def value_of(text: str, schema: JsonValue) -> JsonValue:
    """The value that a text means for an input with this schema: by its type, where that is known."""
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


def read_inputs(path: Path, limits: Limits) -> dict[str, JsonValue]:
    """The inputs in a file, JSON or YAML. Raises CannotRunError."""
    body = read_file(path, limits)
    text = read_text(body, "json" if is_json(path, body) else "yaml", limits)
    if isinstance(text, Problem):
        raise CannotRunError(f"cannot read the inputs: {problem_line(path, text)}")
    if not isinstance(text.value, dict):
        raise CannotRunError(f"cannot read the inputs: {path} holds no object")
    return text.value
