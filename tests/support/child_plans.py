"""Definitions that workflows run, and workflows that run them."""

from __future__ import annotations

from typing import Any

from flowengine.engine.definitions.definitions import NewVersion, Start
from flowengine.jsonvalue import encode
from flowengine.settings import Limits
from flowengine.workflow import check_document
from flowengine.workflow.posting.posted_document import JSON, PostedDocument
from tests.support.rigs.harness import Harness, registry


def calls(node: str, name: str, after: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A node that runs this definition. `config`: what else its config says."""
    config = {"name": name, **more.pop("config", {})}
    return {"id": node, "handler": "workflow", "config": config, "dependencies": list(after), **more}


def apply(harness: Harness, name: str, **document: Any) -> int:
    """Apply a document under this name; returns its version."""
    written = {"name": name, **document}
    checked = check_document(written, registry(), Limits())
    assert checked.plan is not None, checked.problems
    text = encode(written)
    new = NewVersion(
        plan=checked.plan,
        document=PostedDocument(text, JSON),
        value=text.decode(),
        after=checked.after,
        runs=tuple([each.name for each in checked.calls if not each.follows]),
    )
    return harness.api.executions.definitions.apply(new).view.version


def start(harness: Harness, name: str, **inputs: Any) -> str:
    """Start an execution of a definition; returns its id."""
    asked = Start(correlation_id="c1", inputs=inputs)
    return harness.api.executions.definitions.start(name, asked).execution_id
