"""Which maps have items that run as executions of one node.

An item that waits, repeats, stands in a line or is an execution itself needs a record, timers and messages of
its own: all that a node of an execution has. So does one that is a group and is repeated or tried again. So
each of these items becomes an execution of this one node, under the same id, and what it gives and fails with
is the item's. Pure.
"""

from __future__ import annotations

from msgspec.structs import replace

from flowengine.workflow.checking.node_policy import PolicyFields
from flowengine.workflow.children.reading import GroupDraft
from flowengine.workflow.children.sole import sole_group
from flowengine.workflow.draft import DraftNode
from flowengine.workflow.kinds.task import TaskDraft


def items_apart(node: DraftNode) -> DraftNode:
    """The node; in place of such a map, a map of a group that holds its node alone."""
    said = node.fields.policy
    if node.fields.map is None or not _needs_node(node):
        return node
    of_group = PolicyFields(said.trigger_rule, said.when, tolerates=said.tolerates)
    return sole_group(node, of_group, replace(said, trigger_rule="all_success", when=None, tolerates=False))


def _needs_node(node: DraftNode) -> bool:
    fields, policy = node.fields, node.fields.policy
    parts = (fields.waits, fields.calls, policy.repeat, policy.concurrency, policy.rate_limit)
    match node.work:
        case TaskDraft():
            return any(part is not None for part in parts)
        case GroupDraft(sole=False):
            return any(part is not None for part in (*parts, policy.retry))
        case _:
            return False
