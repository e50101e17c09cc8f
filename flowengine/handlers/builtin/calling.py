"""`workflow`: its node runs as an execution of an applied definition.

The handler reads the config; the worker looks at the definition, and no worker holds the node after that.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from flowengine.plugin.context import Context
from flowengine.plugin.registry import handler
from flowengine.plugin.waiting import RunWorkflow
from flowengine.workflow.document import MAX_NAME_CHARS


class WorkflowConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which definition runs, and what it is given."""

    name: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=MAX_NAME_CHARS, description="The name of an applied definition."
        ),
    ]
    version: (
        Annotated[int, msgspec.Meta(ge=1, description="Which version; without it, the one in force.")] | None
    ) = None
    inputs: Annotated[dict[str, Any], msgspec.Meta(description="What it is given, by name.")] = {}
    wait: Annotated[
        bool,
        msgspec.Meta(
            description="Whether the node ends as the execution does, and gives its outputs; else the node "
            "completes at once with its id."
        ),
    ] = True


class WorkflowResult(msgspec.Struct, frozen=True):
    """The output: `result` is what the execution's `outputs` are, or its id with `wait: false`."""

    result: Any


@handler("workflow", primary="result", output=WorkflowResult, no_secrets_in=("name", "version", "wait"))
def workflow(config: WorkflowConfig, context: Context) -> RunWorkflow:
    """Runs an applied definition as a child execution, and gives its outputs."""
    return RunWorkflow(config.name, config.version, config.inputs, config.wait)
