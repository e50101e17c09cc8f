"""Workflow documents: reading them, finding every problem in them, compiling them. Pure.

`check` is the one validator that the API, the tool and the tests share. What reads documents is imported
when it is first asked for: processes that only run workflows need their plans, not YAML.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from flowengine.workflow.plan import Plan, PlanNode
from flowengine.workflow.problems import Problem

if TYPE_CHECKING:
    from flowengine.workflow.checking.validation import Checked, Form, check, check_document
    from flowengine.workflow.graph import Graph
    from flowengine.workflow.schema import document_schema

__all__ = [
    "Checked",
    "Form",
    "Graph",
    "Plan",
    "PlanNode",
    "Problem",
    "check",
    "check_document",
    "document_schema",
]

_HOMES = {
    "Graph": "graph",
    "document_schema": "schema",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES.get(name, 'checking.validation')}")
    return getattr(home, name)
