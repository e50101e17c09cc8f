"""The part of the schema that says when a node runs and what becomes of its failure, and a document's
`defaults`."""

from __future__ import annotations

from typing import Final

from flowengine.workflow.checking.execution_policy import MAX_S, MIN_S, ON_FAILURE
from flowengine.workflow.checking.node_policy import CODE, MAX_ATTEMPTS, MAX_CODES, RETRY_LIMITS
from flowengine.workflow.checking.stage_fields import HOOKS_TIMEOUT_S
from flowengine.workflow.children.called import WORKFLOW
from flowengine.workflow.document import DEFAULT_TIMEOUT_S, MAX_ID_CHARS, MAX_TIMEOUT_S, MIN_TIMEOUT_S
from flowengine.workflow.kinds.config_schema import Schema
from flowengine.workflow.policy import RULES_WITHOUT_DEPENDENCIES, TRIGGER_RULES, Retry
from flowengine.workflow.priority import NORMAL, PRIORITIES
from flowengine.workflow.repeating.repeat_schema import repeat_schema
from flowengine.workflow.stages import DEFAULT_HOOKS_TIMEOUT_MS
from flowengine.workflow.waits.wait_policy import DEFAULT_TIMEOUT_S as WAIT_S
from flowengine.workflow.waits.wait_policy import MAX_TIMEOUT_S as MAX_WAIT_S
from flowengine.workflow.waits.wait_policy import WAIT_HANDLERS

RETRY: Final = "Retry"
ON_ERROR: Final = "OnError"

_WORDS: Final = {
    "delay_seconds": "The wait after the first try.",
    "multiplier": "How many times longer each wait is than the one before.",
    "max_delay_seconds": "The longest wait.",
    "jitter": "The share of each wait by which it is longer or shorter by chance.",
    "max_seconds": "No try begins later than this after the first.",
}


def definitions(max_template_chars: int) -> dict[str, Schema]:
    """What nodes and `defaults` refer to."""
    return {RETRY: _retry(max_template_chars), ON_ERROR: _on_error()}


def properties(max_template_chars: int) -> dict[str, Schema]:
    """The fields of a node."""
    return {
        "timeout_seconds": {**_timeout(), "maximum": MAX_WAIT_S},
        "when": _condition(
            max_template_chars, "One expression that gives true or false; if false, the node is skipped."
        ),
        "trigger_rule": {
            "type": "string",
            "enum": list(TRIGGER_RULES),
            "default": "all_success",
            "description": "Which ends of its dependencies the node runs after.",
        },
        "retry": _reference(RETRY),
        "on_error": _reference(ON_ERROR),
        "repeat": repeat_schema(max_template_chars),
    }


def conditions() -> list[Schema]:
    """Rules that ask about dependencies need some. Only nodes that wait or run as executions may take
    longer than an hour."""
    waiting: Schema = {"properties": {"handler": {"enum": list(WAIT_HANDLERS)}}, "required": ["handler"]}
    calling: Schema = {"properties": {"handler": {"const": WORKFLOW}}, "required": ["handler"]}
    asking = [rule for rule in TRIGGER_RULES if rule not in RULES_WITHOUT_DEPENDENCIES]
    return [
        {
            "if": {"properties": {"trigger_rule": {"enum": asking}}, "required": ["trigger_rule"]},
            "then": {"properties": {"dependencies": {"minItems": 1}}, "required": ["dependencies"]},
        },
        {
            "if": waiting,
            "then": {"properties": {"timeout_seconds": {"default": WAIT_S}}},
            "else": {
                "if": {"anyOf": [{"required": ["nodes"]}, calling]},
                "else": {"properties": {"timeout_seconds": {"maximum": MAX_TIMEOUT_S}}},
            },
        },
    ]


def defaults(configs: Schema) -> Schema:
    """The document's `defaults`; `configs` is the schema of those for configs."""
    node = {"timeout_seconds": _timeout(), "retry": _reference(RETRY), "on_error": _reference(ON_ERROR)}
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "What holds where nothing else is said.",
        "properties": {
            "node": {
                "type": "object",
                "additionalProperties": False,
                "properties": node,
                "description": "For each node that does not say it itself.",
            },
            "config": configs,
        },
    }


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _condition(max_chars: int, description: str) -> Schema:
    return {
        "type": ["string", "null"],
        "pattern": r"^\{\{[\s\S]*\}\}$",
        "maxLength": max_chars,
        "description": description,
    }


def _timeout() -> Schema:
    return {
        "type": "number",
        "minimum": MIN_TIMEOUT_S,
        "maximum": MAX_TIMEOUT_S,
        "default": DEFAULT_TIMEOUT_S,
        "description": "The node fails when it has run for longer; each try has so long.",
    }


def _retry(max_template_chars: int) -> Schema:
    plain = Retry()
    given = {
        "delay_seconds": plain.delay_ms / 1000,
        "multiplier": plain.multiplier,
        "max_delay_seconds": plain.max_delay_ms / 1000,
        "jitter": plain.jitter,
        "max_seconds": plain.max_ms / 1000,
    }
    numbers = {name: _number(name, default) for name, default in given.items()}
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "description": "How often the node is tried, and how long it waits between tries.",
        "properties": {
            "max_attempts": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_ATTEMPTS,
                "default": plain.max_attempts,
                "description": "All tries, the first one too.",
            },
            **numbers,
            "only": _codes("Tried again are these errors alone; `all` is every error."),
            "except": _codes("Not tried again are these errors."),
            "when": _condition(
                max_template_chars, "One expression over `error` and `attempt`; if false, it is the last try."
            ),
        },
    }


def _number(name: str, default: float) -> Schema:
    lowest, highest = RETRY_LIMITS[name]
    return {
        "type": "number",
        "minimum": lowest,
        "maximum": highest,
        "default": int(default) if default == int(default) else default,
        "description": _WORDS[name],
    }


def _codes(description: str) -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_CODES,
        "items": {"type": "string", "pattern": f"^{CODE.pattern}$"},
        "description": description,
    }


def _on_error() -> Schema:
    listed = {
        "type": "object",
        "additionalProperties": False,
        "required": ["continue"],
        "properties": {"continue": _codes("The execution goes on after these errors.")},
    }
    return {
        "anyOf": [{"type": "string", "enum": ["fail", "continue"]}, listed, {"type": "null"}],
        "default": "fail",
        "description": "Whether the execution goes on after a failure of the node.",
    }


def execution() -> dict[str, Schema]:
    """The fields of a document that speak of its executions as a whole."""
    return {
        "timeout_seconds": {
            "type": ["number", "null"],
            "minimum": MIN_S,
            "maximum": MAX_S,
            "description": "How long the whole execution may take, from each trigger; then it is stopped.",
        },
        "on_node_failure": {
            "type": "string",
            "enum": list(ON_FAILURE),
            "default": ON_FAILURE[0],
            "description": "Whether the other branches go on after a failure that is not tolerated.",
        },
    }


def priority() -> Schema:
    """The field of a document that says how soon its nodes run."""
    return {
        "type": ["string", "null"],
        "enum": [*PRIORITIES, None],
        "description": "How soon the nodes of its executions run where more wait than can run. By default "
        f"`{NORMAL}`.",
    }


def stages(max_nodes: int) -> dict[str, Schema]:
    """The fields of a document that say what follows its main nodes."""
    hooks = {"type": ["array", "null"], "maxItems": max_nodes, "items": {"$ref": "#/$defs/Node"}}
    lowest, highest = HOOKS_TIMEOUT_S
    return {
        "hooks_timeout_seconds": {
            "type": ["number", "null"],
            "minimum": lowest,
            "maximum": highest,
            "default": DEFAULT_HOOKS_TIMEOUT_MS // 1000,
            "description": "How long `on_failure` and `finally` may take together.",
        },
        "on_failure": {**hooks, "description": "Nodes that run once the execution has failed."},
        "finally": {**hooks, "description": "Nodes that run at the end, however it ends."},
        "outputs": {
            "type": ["object", "null"],
            "propertyNames": {"minLength": 1, "maxLength": MAX_ID_CHARS},
            "description": "What the execution gives, by name; computed when all nodes have completed.",
        },
    }
