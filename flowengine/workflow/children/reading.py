"""Reads a group: a node that has nodes in place of a handler. Reports what is wrong with its own fields.

How its nodes are read is the caller's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.execution_policy import read_execution_policy
from flowengine.workflow.checking.node_policy import FIELDS as POLICY_FIELDS
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.stage_fields import read_outputs
from flowengine.workflow.maps.reading import FIELD as MAP
from flowengine.workflow.output_schema import FIELD as OUTPUT_SCHEMA
from flowengine.workflow.policy import PLAIN_EXECUTION, ExecutionPolicy

if TYPE_CHECKING:
    from flowengine.workflow.draft import DraftNode

NODES: Final = "nodes"
OWN_FIELDS: Final = (NODES, "outputs", "on_node_failure")
FIELDS: Final = (
    *("id", "description", *OWN_FIELDS, "dependencies", "timeout_seconds"),
    *POLICY_FIELDS,
    OUTPUT_SCHEMA,
    MAP,
)
MAX_NESTING: Final = 5


class GroupDraft(msgspec.Struct, frozen=True):
    """What could be read of a group. `nodes`: its own, and what computes its outputs behind them. `sole`: it
    is made of one node, whose items or iterations run apart."""

    nodes: tuple[DraftNode, ...]
    overall: ExecutionPolicy = PLAIN_EXECUTION
    outputs: JsonObject | None = None
    sole: bool = False


ReadNodes = Callable[[Sequence[JsonValue], JsonObject | None], "tuple[DraftNode, ...]"]
"""Reads the nodes of a group, and what computes its outputs, if it has some."""


def is_group(node: JsonObject) -> bool:
    """Whether a node is meant to be a group."""
    return NODES in node and "handler" not in node


def refuse_group_fields(node: JsonObject, pointer: str, report: Report) -> JsonObject:
    """The node without the fields that only a group has; each is reported."""
    found = [field for field in OWN_FIELDS if field in node]
    for field in found:
        message = (
            "a node has a handler, or nodes of its own: take one of them out"
            if field == NODES
            else f"'{field}' is a field of the workflow and of groups: this node has a handler"
        )
        report.add("handler_and_nodes", pointer_to(pointer, field), message)
    return {key: value for key, value in node.items() if key not in found} if found else node


def read_group(
    node: JsonObject, pointer: str, report: Report, depth: int, read_nodes: ReadNodes
) -> GroupDraft | None:
    """The group at `pointer`; None where its nodes cannot be read. `depth`: how many groups are around it."""
    place = pointer_to(pointer, NODES)
    listed = node[NODES]
    overall = read_execution_policy(node, report, pointer)
    outputs = read_outputs(node, report, pointer)
    if outputs is None and node.get(OUTPUT_SCHEMA) is not None:
        message = f"'{OUTPUT_SCHEMA}' says what the 'outputs' of a group are, and this one has none: add them"
        report.add("missing_field", pointer_to(pointer, "outputs"), message)
    if not isinstance(listed, list):
        report.add("wrong_type", place, f"'nodes' must be a list, it is {type_name(listed)}")
    elif not listed:
        report.add("empty_group", place, "a group has at least one node")
    elif depth >= MAX_NESTING:
        report.add(
            "nested_too_deep",
            place,
            f"groups are nested {MAX_NESTING} deep at most: let this one stand beside",
        )
    else:
        return GroupDraft(read_nodes(listed, outputs), overall, outputs)
    return None


def ids_inside(group: GroupDraft) -> Iterator[str]:
    """The ids of its nodes, and of those of groups in it."""
    for node in group.nodes:
        if node.fields.id is not None:
            yield node.fields.id
        if isinstance(node.work, GroupDraft):
            yield from ids_inside(node.work)


def count_nodes(lists: Iterable[Sequence[JsonValue]]) -> int:
    """How many nodes these lists hold, those of groups too."""
    total, waiting = 0, [list(listed) for listed in lists]
    while waiting:
        listed = waiting.pop()
        total += len(listed)
        waiting += [
            inner for node in listed if isinstance(node, dict) and isinstance(inner := node.get(NODES), list)
        ]
    return total
