"""The calls about definitions, each told once: for `Client` and `AsyncClient` alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from flowengine.client.call import Call, Query, given_query, new_key, paging, path_part, until_end
from flowengine.client.calls import PAGE, Inputs, Labels, Workflow
from flowengine.client.workflow_text import posted
from flowengine.execution.definitions.views import (
    AppliedView,
    ChangesView,
    DefinitionListView,
    DefinitionView,
    DeletedDefinitionView,
    DiffView,
    VersionListView,
)
from flowengine.execution.views.executions import ResultsView, StartedView
from flowengine.jsonvalue import JsonValue
from flowengine.layout.drawing import Drawing
from flowengine.workflow.priority import Priority


def apply(name: str, document: Workflow) -> Call[AppliedView]:
    """Let a document be in force under its name: its text, YAML or JSON, or the document itself.

    The same document is the same version, so that it is done once, however often it is sent.
    """
    body, media_type = posted(document, inputs=None, labels=None)
    return Call(method="PUT", path=_path(name), answer=AppliedView, body=body, media_type=media_type)


def definitions_page(*, limit: int = PAGE, cursor: str | None = None) -> Call[DefinitionListView]:
    """Definitions, by name."""
    return Call(method="GET", path="/definitions", answer=DefinitionListView, query=paging(limit, cursor))


def definition(name: str, *, version: int | None = None) -> Call[DefinitionView]:
    """The version of a definition that is in force, or another one."""
    return Call(method="GET", path=_path(name), answer=DefinitionView, query=_of_version(version))


def definition_graph(name: str, *, version: int | None = None) -> Call[Drawing]:
    """Where the nodes and edges of a definition stand in a picture."""
    return Call(method="GET", path=f"{_path(name)}/graph", answer=Drawing, query=_of_version(version))


def versions_page(name: str, *, limit: int = PAGE, cursor: str | None = None) -> Call[VersionListView]:
    """The versions of a definition, the newest first."""
    path = f"{_path(name)}/versions"
    return Call(method="GET", path=path, answer=VersionListView, query=paging(limit, cursor))


def definition_changes(
    name: str, *, version: int | None = None, since: int | None = None
) -> Call[ChangesView]:
    """What differs in a version, by default the one in force, from another one, by default the one before."""
    query = (*_of_version(version), *given_query(since=None if since is None else str(since)))
    return Call(method="GET", path=f"{_path(name)}/changes", answer=ChangesView, query=query)


def delete_definition(name: str) -> Call[DeletedDefinitionView]:
    """Delete a definition with all its versions. Its executions stay."""
    return Call(method="DELETE", path=_path(name), answer=DeletedDefinitionView)


def diff_definitions(documents: Sequence[str | bytes | Mapping[str, JsonValue]]) -> Call[DiffView]:
    """What an apply of these documents would change: each a text, YAML or JSON, or the document itself."""
    listed = [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in documents]
    body = msgspec.json.encode({"documents": listed})
    return Call(method="POST", path="/definitions/diff", answer=DiffView, body=body)


def start_definition(
    name: str,
    *,
    version: int | None = None,
    inputs: Inputs | None = None,
    labels: Labels | None = None,
    idempotency_key: str | None = None,
    callback_url: str | None = None,
    priority: Priority | None = None,
) -> Call[StartedView]:
    """Start an execution of a definition: of the version in force, or of another one.

    `idempotency_key` and `priority` as for `create`.
    """
    given = {"inputs": inputs, "labels": labels, "callback_url": callback_url, "priority": priority}
    body = {field: value for field, value in given.items() if value}
    return Call(
        method="POST",
        path=f"{_path(name)}/trigger",
        answer=StartedView,
        query=_of_version(version),
        body=msgspec.json.encode(body) if body else None,
        idempotency_key=idempotency_key or new_key(),
    )


def run_definition(
    name: str,
    *,
    version: int | None = None,
    inputs: Inputs | None = None,
    labels: Labels | None = None,
    wait_s: int = 30,
    idempotency_key: str | None = None,
) -> Call[ResultsView | StartedView]:
    """Start an execution of a definition, and wait for its end as `run` does."""
    started = start_definition(
        name, version=version, inputs=inputs, labels=labels, idempotency_key=idempotency_key
    )
    return until_end(started, wait_s)


def _path(name: str) -> str:
    return f"/definitions/{path_part(name)}"


def _of_version(version: int | None) -> Query:
    return given_query(version=None if version is None else str(version))
