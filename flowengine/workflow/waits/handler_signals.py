"""The signals that nodes wait for because their handler says so: `@handler(..., signals=[...])`.

Whether a node waits is known once its handler has returned. That it may is known here, so that signals have
literal names, may come early, and are checked when they come.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from msgspec.structs import replace

from flowengine.jsonvalue import pointer_to
from flowengine.plugin import Handler
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.output_fields import DeclaredOutput
from flowengine.workflow.limits.declared import CACHE_FIELD
from flowengine.workflow.output_schema import FIELD as OUTPUT_SCHEMA
from flowengine.workflow.waits.callback_reading import FIELD as CALLBACK
from flowengine.workflow.waits.wait_policy import WaitPolicy


class SignalOutput(msgspec.Struct, frozen=True):
    """The output of a node that has taken a signal, or whose time was over."""

    result: Any
    timed_out: bool


def waiting_by_handler(node: NodeFields, handler: Handler, report: Report) -> NodeFields:
    """The fields of a node whose handler may have it wait. What it cannot have as well is reported, once: a
    node that runs apart comes here twice."""
    if handler.signals is None or (node.waits is not None and node.waits.kind == "signal"):
        return node
    if node.waits is not None:
        message = f"the handler '{handler.name}' waits for signals: take '{CALLBACK}' out"
        report.add("not_with_callback", pointer_to(node.pointer, CALLBACK), message)
    if node.cache is not None:
        message = "what a node gives that may wait for a signal is kept for no other: take 'cache' out"
        report.add("not_with_cache", pointer_to(node.pointer, CACHE_FIELD), message)
    if node.output_schema is not None:
        message = f"what a signal carries is checked by the `payload` of the handler '{handler.name}'"
        report.add("not_with_wait", pointer_to(node.pointer, OUTPUT_SCHEMA), f"{message}: declare it there")
    names = handler.signals or (() if node.id is None else (node.id,))
    schema = None if handler.payload is None else _schema_of(handler.payload)
    return replace(node, waits=WaitPolicy("signal", names=names, several=len(names) > 1, schema=schema))


def signal_output(handler: Handler) -> DeclaredOutput:
    """What is known of the output of a node whose handler may have it wait, before it has run."""
    return DeclaredOutput(handler.name, SignalOutput if handler.always_waits else None, "result")


@cache
def _schema_of(payload: type[msgspec.Struct]) -> str:
    return msgspec.json.encode(msgspec.json.schema(payload)).decode()
