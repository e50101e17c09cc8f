"""A group that holds one node alone, in its place and under its id: what runs apart is such a node. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.node_policy import PolicyFields
from flowengine.workflow.children.reading import GroupDraft
from flowengine.workflow.draft import DraftNode


def sole_group(node: DraftNode, of_group: PolicyFields, of_node: PolicyFields) -> DraftNode:
    """The group, which says `of_group` and is mapped as the node was; the node in it says `of_node`."""
    fields = node.fields
    inner = replace(fields, place=0, dependencies=[], policy=of_node, stage="main", map=None)
    outer = NodeFields(
        fields.place,
        fields.pointer,
        fields.id,
        fields.dependencies,
        fields.timeout_s,
        of_group,
        stage=fields.stage,
        map=fields.map,
    )
    return DraftNode(outer, GroupDraft((replace(node, fields=inner),), sole=True))
