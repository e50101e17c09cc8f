"""Which nodes that repeat have iterations that run as executions of one node.

An iteration that waits needs a wait of its own: a token, a timer, a decision. One that runs a definition
needs a child of its own. So each becomes an execution of this one node, under the same id, as it would if it
stood in a group that repeats. What it gives is the iteration's, and what it fails with too. Pure.
"""

from __future__ import annotations

from msgspec.structs import replace

from flowengine.workflow.checking.node_policy import PolicyFields
from flowengine.workflow.children.sole import sole_group
from flowengine.workflow.draft import DraftNode
from flowengine.workflow.kinds.task import TaskDraft


def iterations_apart(node: DraftNode) -> DraftNode:
    """The node; in place of such a one, a group that repeats and holds its node alone."""
    fields, said = node.fields, node.fields.policy
    apart = fields.waits is not None or fields.calls is not None
    if said.repeat is None or not apart or fields.map is not None:
        return node
    if not isinstance(node.work, TaskDraft):
        return node
    of_group = PolicyFields(said.trigger_rule, said.when, tolerates=said.tolerates, repeat=said.repeat)
    of_iteration = replace(said, trigger_rule="all_success", when=None, tolerates=False, repeat=None)
    return sole_group(node, of_group, of_iteration)
