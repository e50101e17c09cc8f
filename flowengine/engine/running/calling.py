"""What a node of the handler `workflow` begins: the definition found and allowed, its inputs checked, and all
rendered that its execution begins with."""

from __future__ import annotations

from collections.abc import Container
from typing import Final, Protocol

from flowengine import jsonvalue
from flowengine.access.scope import covers
from flowengine.engine.definitions.ports import Definition
from flowengine.engine.starting.preparing import prepare
from flowengine.execution import error_codes as codes
from flowengine.execution.messages import RunNode
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.rules.children.opening import child_id, id_apart
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from flowengine.plugin.waiting import RunWorkflow
from flowengine.template import is_template, reads_secret
from flowengine.workflow.inputs.beginning import VarsInvalidError
from flowengine.workflow.inputs.values import InputsInvalidError

MOST_PROBLEMS: Final = 5


class CallStore(Protocol):
    """What is asked of the store about what a node begins."""

    def definition(self, name: str, version: int | None = None) -> Definition | None: ...
    def home_and_root(self, task: RunNode) -> tuple[ExecutionRecord | None, ExecutionRecord | None]:
        """The records of the execution of the task's document, and of that at the top."""


def prepared_call(
    store: CallStore, task: RunNode, asked: RunWorkflow, secret: Container[tuple[str, str]], now: int
) -> Prepared:
    """What the execution begins with. `secret`: what is given to the task and is secret.

    Raises HandlerError: `unknown_definition`, `definition_not_allowed`, `secret_not_allowed`,
    `child_inputs_invalid`, `output_invalid`.
    """
    written = jsonvalue.decode(bytes(task.config))
    said = written if isinstance(written, dict) else {}
    _refuse_unallowed(store, task, asked.name, is_literal=not _is_rendered(said.get("name")))
    found = store.definition(asked.name, asked.version)
    if found is None:
        what = "" if asked.version is None else f"version {asked.version} of "
        text = f"there is no {what}definition '{asked.name}': apply it first"
        raise HandlerError(codes.UNKNOWN_DEFINITION.code, text, permanent=True)
    if task.output_schema is not None:
        _refuse_without_outputs(found, waits=asked.waits)
    _refuse_secrets(found, said.get("inputs"), secret)
    named = child_id if asked.waits else id_apart
    execution = named(task.execution, task.node, task.dispatch, now)
    try:
        return prepare(found, execution, asked.inputs, task.correlation_id, now, task.execution)
    except (InputsInvalidError, VarsInvalidError) as error:
        shown = "; ".join(f"{each.pointer}: {each.message}" for each in error.problems[:MOST_PROBLEMS])
        more = len(error.problems) - MOST_PROBLEMS
        text = f"'{asked.name}' does not take these inputs: {shown}{f'; and {more} more' if more > 0 else ''}"
        raise HandlerError(codes.CHILD_INPUTS_INVALID.code, text, permanent=True) from error


def _is_rendered(name: JsonValue) -> bool:
    return isinstance(name, str) and is_template(name)


def _refuse_unallowed(store: CallStore, task: RunNode, name: str, *, is_literal: bool) -> None:
    """A key for some definitions begins others only where an applied one names them."""
    home, root = store.home_and_root(task)
    if is_literal and home is not None and home.version is not None:
        return
    if root is None or covers(root.allowed, name):
        return
    patterns = ", ".join(f"'{pattern}'" for pattern in root.allowed)
    text = (
        f"the key that asked for this run is for the definitions {patterns} only, and not for '{name}': an "
        "applied definition may name it without a template"
    )
    raise HandlerError(codes.DEFINITION_NOT_ALLOWED.code, text, permanent=True)


def _refuse_without_outputs(found: Definition, *, waits: bool) -> None:
    """What outputs must be can be said only where there are any: said before anything runs."""
    if not waits:
        text = "with 'wait: false' it gives an id, and output_schema says what outputs are: take that out"
    elif not found.plan.stages.outputs:
        text = (
            f"version {found.version} of definition '{found.name}' has no 'outputs', and output_schema says "
            "what they are: add them there"
        )
    else:
        return
    raise HandlerError(codes.OUTPUT_INVALID.code, text, permanent=True)


def _refuse_secrets(found: Definition, inputs: JsonValue, secret: Container[tuple[str, str]]) -> None:
    """A secret goes only into an input that is secret there as well: else it would be shown."""
    if not isinstance(inputs, dict):
        if reads_secret(inputs, secret):
            raise _secret_refused("/config/inputs reads a secret: give each input by its name")
        return
    declared = found.plan.inputs or {}
    for name, value in inputs.items():
        known = declared.get(name)
        if (known is None or not known.secret) and reads_secret(value, secret):
            raise _secret_refused(
                f"/config/inputs/{name} reads a secret, and '{found.name}' does not declare this input as "
                "`secret: true`: it would be shown"
            )


def _secret_refused(text: str) -> HandlerError:
    return HandlerError(codes.SECRET_NOT_ALLOWED.code, text, permanent=True)
