"""Reads what nodes say that wait: LANGUAGE section 7. Looks at one node at a time.

Names, schemas and choices are literals: they hold for every execution of the document.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.plugin.registry import SIGNAL_NAME
from flowengine.template import is_template
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.checking.node_fields import NodeFields, read_timeout
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.output_schema import FIELD as OUTPUT_SCHEMA
from flowengine.workflow.output_schema import OutputSchema, OutputSchemas
from flowengine.workflow.problems import quoted
from flowengine.workflow.waits.wait_policy import (
    DEFAULT_TIMEOUT_S,
    MAX_TIMEOUT_S,
    MIN_TIMEOUT_S,
    WAIT_HANDLERS,
    WaitHandler,
    WaitPolicy,
)

MAX_NAMES: Final = 20
SCHEMA: Final = "schema"
BOUNDS: Final = (MIN_TIMEOUT_S, MAX_TIMEOUT_S)


def read_waiting(
    node: JsonObject, node_id: str | None, pointer: str, report: Report, schemas: OutputSchemas
) -> WaitPolicy | None:
    """What the node at `pointer` waits for; None where it is no node that waits. What is wrong is
    reported."""
    handler = node.get("handler")
    kind = WAIT_HANDLERS.get(handler) if isinstance(handler, str) else None
    if kind is None:
        return None
    timeout_ms = round(1000 * read_timeout(node, pointer, report, DEFAULT_TIMEOUT_S, BOUNDS))
    given = node.get("config")
    config = given if isinstance(given, dict) else {}
    place = pointer_to(pointer, "config")
    if kind == "wait":
        _check_length(config, timeout_ms / 1000, place, report)
        return WaitPolicy(kind, timeout_ms)
    if node.get(OUTPUT_SCHEMA) is not None:
        message = f"what a `{kind}` takes is checked by the 'schema' of its config: put it there"
        report.add("not_with_wait", pointer_to(pointer, OUTPUT_SCHEMA), message)
    return _read(kind, config, node_id, place, timeout_ms, report, schemas)


def carried_schema(node: JsonObject, waits: WaitPolicy | None) -> OutputSchema | None:
    """The schema of the primary value of a node that waits for one signal, if that is certain to match it."""
    config = node.get("config")
    if waits is None or waits.kind != "signal" or waits.several or waits.continues or waits.schema is None:
        return None
    schema = config.get(SCHEMA) if isinstance(config, dict) else None
    return OutputSchema(schema, waits.schema.encode()) if isinstance(schema, dict) else None


def check_signals(nodes: Iterable[NodeFields], report: Report) -> None:
    """Nodes that wait for the same signal say the same of what it carries."""
    known: dict[str, tuple[str, str | None]] = {}
    for node in nodes:
        waits = node.waits
        for name in () if waits is None else waits.names:
            first, schema = known.setdefault(name, (node.said, None if waits is None else waits.schema))
            if waits is not None and schema != waits.schema:
                message = (
                    f"the signal {quoted(name)} carries what '{first}' says: say the same 'schema' here, or "
                    "wait for a signal of another name"
                )
                report.add("signal_schema_differs", pointer_to(node.pointer, "config"), message)


def _read(
    kind: WaitHandler,
    config: JsonObject,
    node_id: str | None,
    place: str,
    timeout_ms: int,
    report: Report,
    schemas: OutputSchemas,
) -> WaitPolicy:
    schema = None
    if is_literal(config, SCHEMA, place, report):
        schema = schemas.read(config, place, SCHEMA)
    return WaitPolicy(
        kind,
        timeout_ms,
        names=_names(config, node_id, place, report) if kind == "signal" else (),
        several=config.get("names") is not None,
        schema=None if schema is None else schema.encoded.decode(),
        continues=_continues(config, "on_timeout", place, report),
        takes_rejections=kind == "approval" and _continues(config, "on_reject", place, report),
    )


def _check_length(config: JsonObject, timeout_s: float, pointer: str, report: Report) -> None:
    seconds = config.get("seconds")
    if is_number(seconds) and timeout_s < seconds <= MAX_TIMEOUT_S:
        report.add(
            "out_of_range",
            pointer_to(pointer, "seconds"),
            f"the node would wait for {seconds:g} s, and its timeout_seconds is {timeout_s:g}: say a longer "
            f"timeout_seconds, up to {MAX_TIMEOUT_S} (30 days)",
        )


def _names(config: JsonObject, node_id: str | None, place: str, report: Report) -> tuple[str, ...]:
    """The names of the signals that the node takes: its own id, where it says nothing."""
    name, several = config.get("name"), config.get("names")
    if name is not None and several is not None:
        message = "a signal has a 'name' or several 'names': take one of them out"
        report.add("invalid_config", pointer_to(place, "names"), message)
        return ()
    if several is None:
        own = () if node_id is None else (node_id,)
        return own if name is None else _checked([name], [pointer_to(place, "name")], report)
    at = pointer_to(place, "names")
    if not isinstance(several, list):
        return ()  # reported with the rest of the config
    if not 0 < len(several) <= MAX_NAMES:
        report.add("out_of_range", at, f"'names' has 1 to {MAX_NAMES} names, not {len(several)}")
        return ()
    found = _checked(several, [pointer_to(at, index) for index in range(len(several))], report)
    if len(set(found)) < len(found):
        report.add("invalid_config", at, "a name is there twice: take one out")
    return found


def _checked(names: list[JsonValue], places: list[str], report: Report) -> tuple[str, ...]:
    found = []
    for name, place in zip(names, places, strict=True):
        if not isinstance(name, str):
            continue  # reported with the rest of the config
        if SIGNAL_NAME.fullmatch(name) is None:
            report.add(
                "invalid_config",
                place,
                f"{quoted(name)} is no name of a signal: letters, digits, _, - and ., up to 200, beginning "
                "with a letter or _; and no template, since callers send signals by their names",
            )
        else:
            found.append(name)
    return tuple(found)


def read_on_timeout(config: JsonObject, place: str, report: Report) -> bool:
    """Whether what waits goes on when nothing has come in time."""
    given = config.get("on_timeout")
    if is_literal(config, "on_timeout", place, report) and given not in (None, "fail", "continue"):
        said = quoted(given) if isinstance(given, str) else type_name(given)
        report.add(
            "invalid_value", pointer_to(place, "on_timeout"), f"'on_timeout' is fail or continue, not {said}"
        )
    return given == "continue"


def _continues(config: JsonObject, field: str, place: str, report: Report) -> bool:
    if not is_literal(config, field, place, report):
        return False
    return config.get(field) == "continue"


def is_literal(config: JsonObject, field: str, place: str, report: Report) -> bool:
    """Whether a field holds no template; one is reported."""
    value = config.get(field)
    pending = [value]
    for item in pending:
        if isinstance(item, str) and is_template(item):
            message = (
                f"'{field}' takes no templates: it holds for every execution, this is {type_name(value)}"
            )
            report.add("invalid_config", pointer_to(place, field), message)
            return False
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return True
