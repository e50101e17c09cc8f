"""A document as far as it can be drawn, right or wrong: its nodes, their places, and its inputs.

For who looks at a document while it is written. Reports nothing: what is wrong is the validator's word.
Leaves out what has no id, and of a circle the edges in it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.settings import Limits
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.children.group import GROUP
from flowengine.workflow.children.reading import is_group
from flowengine.workflow.document import MAX_ID_CHARS, NODE_ID
from flowengine.workflow.graph import Graph
from flowengine.workflow.inputs.declared import Declared
from flowengine.workflow.inputs.reading import read_inputs
from flowengine.workflow.inputs.template_work import TemplateWork
from flowengine.workflow.plan import Plan, PlanNode, Task
from flowengine.workflow.policy import PLAIN, TRIGGER_RULES, Policy
from flowengine.workflow.stages import HOOKS, Stage, Stages

_MAX_HANDLER_CHARS: Final = 200
_MAX_CONDITION_CHARS: Final = 2000
_NOTHING: Final = msgspec.Raw(b"{}")


class SketchedNode(msgspec.Struct, frozen=True):
    """A node, and the pointer to it in the document."""

    id: str
    pointer: str
    stage: Stage
    value: JsonObject


class Sketch(msgspec.Struct, frozen=True):
    """`plan`: fit to be drawn, and for nothing else; None where no node can be read.

    `has_inputs`: whether `inputs` could be read without a problem.
    """

    plan: Plan | None
    nodes: tuple[SketchedNode, ...] = ()
    has_inputs: bool = False
    inputs: Declared = None


def sketch(document: JsonValue, limits: Limits) -> Sketch:
    """What can be drawn of a document. Takes any JSON value, and raises nothing."""
    if not isinstance(document, dict):
        return Sketch(None)
    report = Report()
    inputs = read_inputs(document, report, TemplateWork(report, limits.max_template_chars))
    nodes = _nodes(document, limits)
    plan = _plan(nodes) if any(node.stage == "main" for node in nodes) else None
    return Sketch(plan, nodes, not report, inputs)


def _nodes(document: JsonObject, limits: Limits) -> tuple[SketchedNode, ...]:
    """The nodes that have an id, each id once, one stage after the other."""
    found: dict[str, SketchedNode] = {}
    lists: dict[Stage, str] = {"main": "nodes", **{stage: stage for stage in HOOKS}}
    for stage, field in lists.items():
        listed = document.get(field)
        for place, node in enumerate(listed if isinstance(listed, list) else []):
            node_id = node.get("id") if isinstance(node, dict) else None
            if isinstance(node, dict) and isinstance(node_id, str) and _can_be_drawn(node_id):
                pointer = pointer_to(f"/{field}", place)
                found.setdefault(node_id, SketchedNode(node_id, pointer, stage, node))
    return tuple(found.values()) if len(found) <= limits.max_nodes else ()


def _can_be_drawn(node_id: str) -> bool:
    return len(node_id) <= MAX_ID_CHARS and NODE_ID.fullmatch(node_id) is not None


def _plan(nodes: tuple[SketchedNode, ...]) -> Plan:
    parents = _parents(nodes)
    drawn = tuple(
        PlanNode(node.id, parents[place], Task(_handler(node.value), _NOTHING, (), 0, ""))
        for place, node in enumerate(nodes)
    )
    policies = {place: _policy(node.value) for place, node in enumerate(nodes)}
    counts = {stage: sum(node.stage == stage for node in nodes) for stage in HOOKS}
    return Plan(
        "",
        drawn,
        {place: policy for place, policy in policies.items() if policy != PLAIN},
        stages=Stages(0, counts["on_failure"], counts["finally"]),
    )


def _parents(nodes: tuple[SketchedNode, ...]) -> list[tuple[int, ...]]:
    places = {(node.stage, node.id): place for place, node in enumerate(nodes)}
    parents: list[tuple[int, ...]] = []
    for place, node in enumerate(nodes):
        listed = node.value.get("dependencies")
        names = {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
        known = {places.get((node.stage, name), place) for name in names}
        parents.append(tuple(sorted(known - {place})))
    ordered = {place for layer in Graph(tuple(parents)).layers for place in layer}
    # Of what is on or after a circle only the edges are left that lead into it.
    return [
        found if place in ordered else tuple(parent for parent in found if parent in ordered)
        for place, found in enumerate(parents)
    ]


def _handler(node: JsonObject) -> str:
    if is_group(node):
        return GROUP
    handler = node.get("handler")
    return handler[:_MAX_HANDLER_CHARS] if isinstance(handler, str) else ""


def _policy(node: JsonObject) -> Policy:
    rule, when = node.get("trigger_rule"), node.get("when")
    return Policy(
        trigger_rule=rule if rule in TRIGGER_RULES else "all_success",
        when=when if isinstance(when, str) and len(when) <= _MAX_CONDITION_CHARS else None,
    )
