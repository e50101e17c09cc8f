"""A node that is a handler's task: all that is particular to its fields `handler` and `config`.

Its handler must be known, and its config must be one that the handler would take, as far as that can be known
before its templates are rendered.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.jsonvalue import pointer_to
from flowengine.plugin import AnyObject, Handler, Registry
from flowengine.settings import Limits
from flowengine.workflow.checking.config_defaults import POINTER as DEFAULTS
from flowengine.workflow.checking.config_defaults import ConfigDefaults
from flowengine.workflow.checking.node_config import check_config, encode_config
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.object_fields import JsonObject, read_object, read_text
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.output_fields import DeclaredOutput
from flowengine.workflow.checking.templates.template_references import Reads
from flowengine.workflow.checking.templates.templated_texts import SecretRule
from flowengine.workflow.kinds.config_schema import Schema, WorkSchema, config_schemas
from flowengine.workflow.kinds.document_context import DocumentContext
from flowengine.workflow.output_schema import OutputSchema
from flowengine.workflow.plan import Task
from flowengine.workflow.problems import did_you_mean, quoted
from flowengine.workflow.waits.handler_signals import signal_output

FIELDS: Final = ("handler", "config")
MAX_LISTED: Final = 20


class TaskDraft(msgspec.Struct, frozen=True):
    """What could be read of a task; None where the field is missing or of a wrong type.

    `has_defaults`: the document's defaults are in the config.
    """

    handler: str | None
    config: JsonObject | None
    has_defaults: bool = False


def read_task(node: JsonObject, pointer: str, report: Report, defaults: ConfigDefaults) -> TaskDraft:
    """The task's own fields, with the defaults of its handler under its config. Wrong types are reported."""
    handler = read_text(node, "handler", pointer, report)
    config = read_object(node, "config", pointer, report)
    place = pointer_to(pointer, "config")
    if handler is not None and config is not None:
        config = defaults.under(config, handler, place, report)
    return TaskDraft(handler, config, defaults.is_under(place))


def compile_task(node: NodeFields, task: TaskDraft, document: DocumentContext) -> tuple[Task, Reads] | None:
    """The plan's task and what its templates read, or None. What is wrong with the handler, the config or its
    templates is reported."""
    report = document.report
    pointer = pointer_to(node.pointer, "config")
    handler = (
        None
        if task.handler is None
        else _handler(task.handler, pointer_to(node.pointer, "handler"), document.registry, report)
    )
    config = task.config
    max_bytes = max(document.limits.max_config_bytes, 0 if handler is None else handler.max_config_bytes)
    if config is None:
        return None
    encoded = encode_config(config, pointer, max_bytes, report, has_defaults=task.has_defaults)
    if encoded is None:
        return None
    secret_rule = _secret_rule(handler, document.limits)
    reads = document.templates.reads(node, config, pointer, secret_rule)
    if handler is None:
        return None
    if handler.config_type is not AnyObject:
        templates = document.templates
        check_config(config, handler.config_type, pointer, report, templates.is_sole, templates.kinds)
    compiled = Task(
        handler=handler.name,
        config=msgspec.Raw(encoded),
        reads=reads.outputs,
        timeout_ms=round(node.timeout_s * 1000),
        queue=handler.queue,
        primary=handler.primary,
    )
    return compiled, reads


def declared_output(
    task: TaskDraft, registry: Registry, schema: OutputSchema | None
) -> DeclaredOutput | None:
    """What the task's handler declares of its output, and the node of its primary value; None where there is
    no such handler."""
    handler = None if task.handler is None else registry.get(task.handler)
    if handler is None:
        return None
    if handler.signals is not None:
        return signal_output(handler)
    known = None if schema is None else schema.schema
    return DeclaredOutput(handler.name, handler.output_type, handler.primary, known)


def task_schema(registry: Registry) -> WorkSchema:
    """What an editor may know of tasks: the names of the handlers and, by name, what their configs hold."""
    handlers = [handler for handler in registry if handler.config_type is not AnyObject]
    configs, definitions = config_schemas([handler.config_type for handler in handlers])
    return WorkSchema(
        choices=[{"required": ["handler"]}],
        properties={
            "handler": {
                "enum": [handler.name for handler in registry],
                "description": "\n".join(f"{handler.name}: {handler.summary}" for handler in registry),
            },
            "config": {"type": "object", "description": "What the handler is told.", "default": {}},
        },
        conditions=[
            _for_handler(handler, {"properties": {"config": config.part}})
            for handler, config in zip(handlers, configs, strict=True)
        ],
        whole=[
            _for_handler(handler, {"properties": {"config": config.whole}, "required": ["config"]})
            for handler, config in zip(handlers, configs, strict=True)
            if config.whole
        ],
        defaults={
            "type": "object",
            "additionalProperties": False,
            "description": "For the config of each node of a handler; what the node says goes before it.",
            "properties": {
                **{handler.name: {"type": "object"} for handler in registry},
                **{handler.name: config.part for handler, config in zip(handlers, configs, strict=True)},
            },
        },
        definitions=definitions,
    )


def check_defaults(defaults: ConfigDefaults, document: DocumentContext) -> None:
    """Report what is wrong with the defaults for configs, whether a node has them or not."""
    for name, config in defaults.configs.items():
        pointer = pointer_to(DEFAULTS, name)
        handler = _handler(name, pointer, document.registry, document.report)
        if name not in defaults.used:
            document.templates.look_over(config, pointer)
        if handler is not None and handler.config_type is not AnyObject:
            is_sole = document.templates.is_sole
            check_config(config, handler.config_type, pointer, document.report, is_sole, is_part=True)


def _handler(name: str, pointer: str, registry: Registry, report: Report) -> Handler | None:
    found = registry.get(name)
    if found is None:
        nearest = did_you_mean(report.nearest(name, registry.names())) or _all_handlers(registry)
        report.add(
            "unknown_handler",
            pointer,
            f"no handler called {quoted(name)}{nearest} See: flowengine handlers",
        )
    return found


def _all_handlers(registry: Registry) -> str:
    """The end of a message about a name that is like no other."""
    names = registry.names()
    listed = ", ".join(names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")
    return f"; there are {listed}. Your own are found through FLOWENGINE_HANDLERS."


def _secret_rule(handler: Handler | None, limits: Limits) -> SecretRule:
    """For each field of the config: why it may read no secret, or None."""
    if handler is None:
        return lambda field: None
    if not handler.secrets:
        reason = _no_secrets(handler)
        return lambda field: reason
    closed = () if limits.secrets_in_prompts else handler.no_secrets_in
    return lambda field: _no_secrets_in(handler, field) if field in closed else None


def _no_secrets_in(handler: Handler, field: str) -> str:
    return (
        f"{quoted(field)} of the handler {quoted(handler.name)} takes no secrets: the service would see "
        "them; the operator can allow them (FLOWENGINE_SECRETS_IN_PROMPTS)"
    )


def _no_secrets(handler: Handler) -> str:
    return (
        f"the handler {quoted(handler.name)} takes no secrets: its result is made of its config, "
        "and would show them altered; read the secret in the config of the node that sends it"
    )


def _for_handler(handler: Handler, then: Schema) -> Schema:
    return {
        "if": {"properties": {"handler": {"const": handler.name}}, "required": ["handler"]},
        "then": then,
    }
