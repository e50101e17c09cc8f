"""Plans with groups, made of documents as callers write them."""

from __future__ import annotations

from typing import Any

from flowengine.settings import Limits
from flowengine.workflow.plan import Plan
from flowengine.workflow.validation import check_document
from tests.support.rigs.harness import registry


def plan_from(**document: Any) -> Plan:
    """The plan of a document over the harness's handlers, which must be right."""
    checked = check_document({"name": "test", **document}, registry(), Limits())
    assert checked.plan is not None, checked.problems
    return checked.plan


def adds(node: str, *reads: str, after: tuple[str, ...] | None = None, **more: Any) -> dict[str, Any]:
    """A node that gives one more than the sum of what these nodes give. `after`: what it depends on, if that
    is something else."""
    config = {"inputs": [f"{{{{ {read}.result }}}}" for read in reads]}
    dependencies = list(reads if after is None else after)
    return {"id": node, "handler": "sum", "config": config, "dependencies": dependencies, **more}


def group(node: str, *nodes: dict[str, Any], after: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A group of these nodes."""
    return {"id": node, "nodes": list(nodes), "dependencies": list(after), **more}
