"""Definitions that workflows run, and workflows that run them."""

from __future__ import annotations

from typing import Any

from flowengine.engine.definitions.definitions import NewVersion, Start
from flowengine.jsonvalue import encode
from flowengine.workflow.posting.posted_document import JSON, PostedDocument
from tests.support.group_plans import plan_from
from tests.support.rigs.harness import Harness


def calls(node: str, name: str, after: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A node that runs this definition. `config`: what else its config says."""
    config = {"name": name, **more.pop("config", {})}
    return {"id": node, "handler": "workflow", "config": config, "dependencies": list(after), **more}


def apply(harness: Harness, name: str, **document: Any) -> int:
    """Apply a document under this name; returns its version."""
    plan = plan_from(name=name, **document)
    text = encode({"name": name, **document})
    new = NewVersion(plan=plan, document=PostedDocument(text, JSON), value=text.decode())
    return harness.api.executions.definitions.apply(new).view.version


def start(harness: Harness, name: str, **inputs: Any) -> str:
    """Start an execution of a definition; returns its id."""
    asked = Start(correlation_id="c1", inputs=inputs)
    return harness.api.executions.definitions.start(name, asked).execution_id
