"""Reads a document's `inputs`: each is a JSON Schema, and what the language adds to it (LANGUAGE section 2).

Every wrong one is reported, with its place. A default is checked against its schema where it is a literal;
one with templates in it is checked when it has been rendered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, encode, pointer_to
from flowengine.template import is_template
from flowengine.template.json_values import type_name
from flowengine.template.reference import EXECUTION, EXECUTION_FIELDS, INPUTS, TRIGGER, TRIGGER_FIELDS
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import MAX_ID_CHARS, NODE_ID
from flowengine.workflow.inputs.declared import MAX_BYTES, MIN_SECRET_CHARS, NO_DEFAULT, Input
from flowengine.workflow.inputs.json_schema import misfits, wrong_with_schema
from flowengine.workflow.inputs.subschemas import CheckWork, count_patterns
from flowengine.workflow.inputs.template_work import TemplateWork
from flowengine.workflow.problems import did_you_mean, quoted

MAX_INPUTS: Final = 200
MAX_WORK_OF_DEFAULTS: Final = 200_000
"""What it may take to check the defaults of a document, in the units of `subschemas.work_of`."""

MAX_PATTERNS: Final = 500
"""Regular expressions in all schemas of a document: each is compiled when it is accepted."""

OWN_FIELDS: Final = ("default", "required", "secret")
"""What an input may say beside its JSON Schema. A `required` that is a list is the schema's own."""

_FIELDS: Final = {EXECUTION: EXECUTION_FIELDS, TRIGGER: TRIGGER_FIELDS}

Inputs = dict[str, Input]


def read_inputs(document: JsonObject, report: Report, work: TemplateWork) -> Inputs | None:
    """The inputs of a document; None where it says nothing of them. Whatever is wrong is reported."""
    declared = document.get("inputs")
    if declared is None:
        return None
    if not isinstance(declared, dict):
        report.add("wrong_type", "/inputs", f"'inputs' must be an object, it is {type_name(declared)}")
        return {}
    if len(declared) > MAX_INPUTS:
        report.add("out_of_range", "/inputs", f"at most {MAX_INPUTS} inputs, these are {len(declared)}")
        return {}
    size = len(encode(declared))
    if size > MAX_BYTES:
        report.add(
            "schema_too_large", "/inputs", f"the inputs take {size} bytes of JSON, the limit is {MAX_BYTES}"
        )
        return {}
    patterns = sum(map(count_patterns, declared.values()))
    if patterns > MAX_PATTERNS:
        message = f"the schemas hold {patterns} regular expressions, the limit is {MAX_PATTERNS}"
        report.add("schema_too_large", "/inputs", message)
        return {}
    found: Inputs = {}
    for name, said in declared.items():
        read = _read(name, said, report)
        if read is not None:
            found[name] = read
    _check_defaults(found, declared, report, work)
    return found


def _read(name: str, said: JsonValue, report: Report) -> Input | None:
    pointer = pointer_to("/inputs", name[:MAX_ID_CHARS])
    if NODE_ID.fullmatch(name) is None or len(name) > MAX_ID_CHARS or name.startswith("__"):
        report.add(
            "invalid_name",
            pointer,
            f"{quoted(name)} is no name of an input: letters, digits, _ and -, beginning with a letter or _",
        )
        return None
    if not isinstance(said, dict):
        report.add(
            "wrong_type",
            pointer,
            f"an input is a JSON Schema, as in {{type: string}}; this is {type_name(said)}",
        )
        return None
    schema = {key: value for key, value in said.items() if not _is_own(key, value)}
    wrong = wrong_with_schema(schema)
    for misfit in wrong:
        report.add("invalid_schema", pointer + misfit.pointer, misfit.message)
    secret = _flag(said, "secret", pointer, report)
    if secret:
        _check_secret(said, pointer, report)
    return Input(
        schema=msgspec.Raw(encode({} if wrong else schema)),
        required=_flag(said, "required", pointer, report, default=True),
        secret=secret,
        default=msgspec.Raw(encode(said["default"])) if "default" in said and not secret else NO_DEFAULT,
    )


def _is_own(key: str, value: JsonValue) -> bool:
    return key in OWN_FIELDS and not (key == "required" and isinstance(value, list))


def _flag(said: JsonObject, key: str, pointer: str, report: Report, *, default: bool = False) -> bool:
    value = said.get(key, default)
    if isinstance(value, bool):
        return value
    if not (key == "required" and isinstance(value, list)):
        message = f"'{key}' must be true or false, it is {type_name(value)}"
        report.add("wrong_type", pointer_to(pointer, key), message)
    return default


def _check_secret(said: JsonObject, pointer: str, report: Report) -> None:
    if said.get("type") != "string":
        report.add(
            "invalid_secret", pointer_to(pointer, "type"), "a secret input is a text: say 'type: string'"
        )
    if "default" in said:
        report.add(
            "invalid_secret",
            pointer_to(pointer, "default"),
            "a secret input has no default: anyone who reads the document would know it",
        )
    if isinstance(least := said.get("maxLength"), int) and least < MIN_SECRET_CHARS:
        report.add(
            "invalid_secret",
            pointer_to(pointer, "maxLength"),
            f"a secret has {MIN_SECRET_CHARS} characters or more: no shorter one can be kept out of results",
        )


def _check_defaults(inputs: Inputs, declared: JsonObject, report: Report, work: TemplateWork) -> None:
    reads: dict[str, tuple[str, ...]] = {}
    left = CheckWork(MAX_WORK_OF_DEFAULTS)
    for name, one in inputs.items():
        if not one.has_default:
            continue
        said = declared[name]
        default = said["default"] if isinstance(said, dict) else None
        pointer = f"{pointer_to('/inputs', name)}/default"
        texts = list(templates_in(default, pointer))
        reads[name] = _reads(inputs, texts, report, work)
        if texts:
            continue
        for misfit in misfits(bytes(one.schema), default, len(bytes(one.default)), left):
            report.add(
                "invalid_default", pointer + misfit.pointer, f"the default does not fit: {misfit.message}"
            )
    for name in _circular(reads):
        report.add(
            "cycle",
            f"{pointer_to('/inputs', name)}/default",
            f"the default of {quoted(name)} reads itself, by way of: {', '.join(reads[name])}",
        )


def templates_in(value: JsonValue, pointer: str) -> Iterator[tuple[str, str]]:
    """The templates in a value, each with the pointer to it."""
    pending = [(pointer, value)]
    for place, item in pending:
        if isinstance(item, str) and is_template(item):
            yield place, item
        elif isinstance(item, dict):
            pending.extend((pointer_to(place, key), part) for key, part in item.items())
        elif isinstance(item, list):
            pending.extend((pointer_to(place, at), part) for at, part in enumerate(item))


def _reads(
    inputs: Inputs, texts: list[tuple[str, str]], report: Report, work: TemplateWork
) -> tuple[str, ...]:
    """The inputs that a default reads. What it may not read is reported."""
    found: dict[str, None] = {}
    for pointer, text in texts:
        analysis = work.analysed(pointer, text)
        if analysis is None:
            continue
        for other in (*analysis.nodes, *analysis.fates):
            report.add(
                "unknown_node_reference", pointer, f"a default can read no node: it reads {quoted(other)}"
            )
        if analysis.secrets:
            report.add("secret_not_allowed", pointer, "a default takes no secrets: inputs are shown")
        for root, name in analysis.given:
            if root in _FIELDS:
                _check_field(root, name, pointer, report)
            elif root == INPUTS and _may_be_read(inputs, name, pointer, report):
                found[name] = None
    return tuple(found)


def _may_be_read(inputs: Mapping[str, Input], name: str, pointer: str, report: Report) -> bool:
    if not name:
        report.add(
            "template_forbidden", pointer, "a default names each input that it reads: {{ inputs.NAME }}"
        )
        return False
    if name not in inputs:
        hint = did_you_mean(report.nearest(name, tuple(inputs))) or "."
        report.add("unknown_field", pointer, f"there is no input {quoted(name)}{hint}")
        return False
    if inputs[name].secret:
        report.add("secret_not_allowed", pointer, "a default takes no secrets: inputs are shown")
        return False
    return True


def _check_field(root: str, name: str, pointer: str, report: Report) -> None:
    known = _FIELDS[root]
    if name and name not in known:
        hint = did_you_mean(report.nearest(name, known)) or "."
        message = f"'{root}' has no field {quoted(name)}{hint} Its fields: {', '.join(known)}"
        report.add("unknown_field", pointer, message)


def _circular(reads: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The inputs whose defaults lead back to themselves."""
    left = {name: set(others) & set(reads) for name, others in reads.items()}
    while free := [name for name, others in left.items() if not others & set(left)]:
        for name in free:
            del left[name]
    return list(left)
