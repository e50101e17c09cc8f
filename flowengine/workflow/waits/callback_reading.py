"""Reads the `wait_for_callback` of a node: LANGUAGE section 7. Looks at one node at a time."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from flowengine.jsonvalue import decode, pointer_to
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.node_fields import read_timeout
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.output_fields import DeclaredOutput
from flowengine.workflow.kinds.config_schema import Schema
from flowengine.workflow.output_schema import FIELD as OUTPUT_SCHEMA
from flowengine.workflow.output_schema import OutputSchemas
from flowengine.workflow.waits.reading import BOUNDS, SCHEMA, is_literal, read_on_timeout
from flowengine.workflow.waits.wait_policy import (
    DEFAULT_TIMEOUT_S,
    MAX_TIMEOUT_S,
    MIN_TIMEOUT_S,
    WAIT_HANDLERS,
    WaitPolicy,
)

FIELD: Final = "wait_for_callback"
ON_TIMEOUT: Final = "on_timeout"
FIELDS: Final = ("timeout_seconds", SCHEMA, ON_TIMEOUT)
NOT_BESIDE: Final = (*WAIT_HANDLERS, "end", "workflow")
"""Handlers whose nodes do not end with what their handler has given."""


class CallbackOutput(msgspec.Struct, frozen=True):
    """The output: what the callback carries, and what the handler has given."""

    result: Any
    response: Any
    timed_out: bool


def read_callback(
    node: JsonObject, pointer: str, report: Report, schemas: OutputSchemas, public_url: str | None
) -> WaitPolicy | None:
    """What the node at `pointer` says of its callback; None where it waits for none. What is wrong is
    reported.

    `public_url`: the base of the URLs; empty: there is none, so that no node can wait; None: it is not known.
    """
    said = node.get(FIELD)
    if said is None:
        return None
    place = pointer_to(pointer, FIELD)
    if not isinstance(said, dict):
        message = f"'{FIELD}' is an object, as in {{timeout_seconds: 3600}}; this is {type_name(said)}"
        report.add("wrong_type", place, message)
        return None
    refuse_unknown_fields(said, FIELDS, place, report)
    _refuse_beside(node, pointer, report)
    if public_url == "":
        message = (
            "this service does not know the URL at which others reach it: set FLOWENGINE_PUBLIC_URL for the "
            "API (one that listens on loopback uses its own address)"
        )
        report.add("no_public_url", place, message)
    schema = schemas.read(said, place, SCHEMA) if is_literal(said, SCHEMA, place, report) else None
    return WaitPolicy(
        "callback",
        round(1000 * read_timeout(said, place, report, DEFAULT_TIMEOUT_S, BOUNDS)),
        schema=None if schema is None else schema.encoded.decode(),
        continues=read_on_timeout(said, place, report),
        url=public_url or "",
    )


def callback_output(said: WaitPolicy) -> DeclaredOutput:
    """What is known of the node's output before it has run."""
    schema: JsonObject | None = None
    if said.schema is not None and not said.continues:
        found = decode(said.schema.encode())
        schema = found if isinstance(found, dict) else None
    return DeclaredOutput("", CallbackOutput, "result", schema)


def callback_schema() -> Schema:
    """The field of a node."""
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "description": "Once its handler has run, the node waits for a POST to its `callback_url`.",
        "properties": {
            "timeout_seconds": {
                "type": "number",
                "minimum": MIN_TIMEOUT_S,
                "maximum": MAX_TIMEOUT_S,
                "default": DEFAULT_TIMEOUT_S,
                "description": "How long it waits after its handler has run.",
            },
            SCHEMA: {
                "type": ["object", "null"],
                "description": "The JSON Schema of what the callback carries.",
            },
            ON_TIMEOUT: {
                "enum": ["fail", "continue", None],
                "default": "fail",
                "description": "Whether the node fails when nothing has come in time.",
            },
        },
    }


def _refuse_beside(node: JsonObject, pointer: str, report: Report) -> None:
    """Report what a node that waits for a callback cannot have as well."""
    handler = node.get("handler")
    if handler in NOT_BESIDE:
        message = f"a node of the handler '{handler}' waits for no callback: take '{FIELD}' out"
        report.add("not_with_callback", pointer_to(pointer, FIELD), message)
    if node.get(OUTPUT_SCHEMA) is not None:
        message = f"what a callback carries is checked by the 'schema' of '{FIELD}': put it there"
        report.add("not_with_callback", pointer_to(pointer, OUTPUT_SCHEMA), message)
