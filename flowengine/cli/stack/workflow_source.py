"""What is started on a stack: a workflow file, with the lines of what is refused in it, or a definition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from flowengine.cli.stack.reaching import InvalidInputError
from flowengine.cli.workflow_files import is_json, problem_line
from flowengine.client import RefusedError
from flowengine.settings import Limits
from flowengine.workflow.problems import Problem
from flowengine.workflow.validation import Text, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowengine.client import Client
    from flowengine.execution.views.executions import StartedView
    from flowengine.jsonvalue import JsonValue
    from flowengine.workflow.priority import Priority

_ENVELOPE: Final = "/workflow"


class WorkflowSource:
    """A file that can be read. Raises InvalidInputError for another."""

    def __init__(self, path: Path, body: bytes) -> None:
        found = read_text(body, "json" if is_json(path, body) else "yaml", Limits())
        if isinstance(found, Problem):
            raise _invalid(path, "malformed_document", (found,))
        self._path = path
        self._body = body
        self._text: Text = found

    @property
    def schemas(self) -> Mapping[str, JsonValue]:
        """What the workflow says of its inputs, by name."""
        document = self._text.value
        if isinstance(document, dict) and isinstance(document.get("workflow"), dict):
            document = document["workflow"]
        declared = document.get("inputs") if isinstance(document, dict) else None
        return declared if isinstance(declared, dict) else {}

    def start(
        self,
        client: Client,
        inputs: Mapping[str, JsonValue],
        labels: Mapping[str, str],
        idempotency_key: str | None,
        callback_url: str | None = None,
        priority: Priority | None = None,
    ) -> StartedView:
        """Start it. Raises InvalidInputError with the lines of what is wrong."""
        try:
            return client.start(
                self._body,
                inputs=inputs,
                labels=labels,
                idempotency_key=idempotency_key,
                callback_url=callback_url,
                priority=priority,
            )
        except RefusedError as error:
            if error.code != "invalid_workflow":
                raise
            in_envelope = bool(inputs or labels or priority) or callback_url is not None
            problems = self._located(error.problems) if in_envelope else error.problems
            raise _invalid(self._path, error.code, problems) from error

    def _located(self, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        """By the lines of the file: those of the API are of the envelope that it was sent in."""
        document = self._text.value
        has_own = isinstance(document, dict) and "workflow" in document
        added = "" if has_own else _ENVELOPE
        return self._text.located(
            tuple(
                Problem(
                    code=problem.code, pointer=problem.pointer.removeprefix(added), message=problem.message
                )
                for problem in problems
            )
        )


class AppliedSource:
    """A definition of a stack. Raises RefusedError where there is none."""

    def __init__(self, client: Client, name: str, version: int | None) -> None:
        self._name = name
        self._version = version
        self._schema = client.definition(name, version=version).input_schema

    @property
    def schemas(self) -> Mapping[str, JsonValue]:
        """What the workflow says of its inputs, by name."""
        declared = msgspec.json.decode(self._schema.get("properties", b"{}"))
        return declared if isinstance(declared, dict) else {}

    def start(
        self,
        client: Client,
        inputs: Mapping[str, JsonValue],
        labels: Mapping[str, str],
        idempotency_key: str | None,
        callback_url: str | None = None,
        priority: Priority | None = None,
    ) -> StartedView:
        """Start it."""
        return client.start_definition(
            self._name,
            version=self._version,
            inputs=inputs,
            labels=labels,
            idempotency_key=idempotency_key,
            callback_url=callback_url,
            priority=priority,
        )


def _invalid(path: Path, code: str, problems: tuple[Problem, ...]) -> InvalidInputError:
    """The lines of all problems, as editors read them."""
    lines = "".join(f"\n{problem_line(path, problem)}" for problem in problems)
    return InvalidInputError(code, f"the workflow has problems{lines}", ())
