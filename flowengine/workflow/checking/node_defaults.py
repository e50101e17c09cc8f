"""Reads a document's `defaults`: what holds for each node that says nothing else (LANGUAGE section 1)."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.jsonvalue import pointer_to
from flowengine.workflow.checking.config_defaults import POINTER, ConfigDefaults
from flowengine.workflow.checking.node_fields import read_timeout
from flowengine.workflow.checking.node_policy import NO_POLICY, PolicyFields, read_on_error, read_retry
from flowengine.workflow.checking.object_fields import JsonObject, read_object, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import DEFAULT_TIMEOUT_S, NODE_SPELLINGS

FIELDS: Final = ("node", "config")
NODE_FIELDS: Final = ("timeout_seconds", "retry", "on_error")


class NodeDefaults(msgspec.Struct, frozen=True):
    """What a node has that does not say."""

    timeout_s: float = DEFAULT_TIMEOUT_S
    policy: PolicyFields = NO_POLICY
    configs: ConfigDefaults = msgspec.field(default_factory=lambda: ConfigDefaults({}))


def read_defaults(document: JsonObject, report: Report) -> NodeDefaults:
    """The document's defaults. Whatever is wrong with them is reported once, here."""
    defaults = read_object(document, "defaults", "", report)
    if not defaults:
        return NodeDefaults()
    refuse_unknown_fields(defaults, FIELDS, "/defaults", report)
    node = read_object(defaults, "node", "/defaults", report) or {}
    pointer = "/defaults/node"
    refuse_unknown_fields(node, NODE_FIELDS, pointer, report, NODE_SPELLINGS)
    retry = node.get("retry")
    return NodeDefaults(
        read_timeout(node, pointer, report),
        PolicyFields(
            retry=None if retry is None else read_retry(retry, pointer_to(pointer, "retry"), report),
            tolerates=read_on_error(node.get("on_error"), pointer_to(pointer, "on_error"), report),
            retry_pointer=pointer_to(pointer, "retry"),
        ),
        _read_configs(defaults, report),
    )


def _read_configs(defaults: JsonObject, report: Report) -> ConfigDefaults:
    """The configs by handler. Whether there are such handlers is checked elsewhere."""
    given = read_object(defaults, "config", "/defaults", report) or {}
    found = {handler: read_object(given, handler, POINTER, report) for handler in given}
    configs = ConfigDefaults({handler: config for handler, config in found.items() if config is not None})
    report.place_of = configs.place_of
    return configs
