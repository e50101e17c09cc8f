"""What the API and the tool show of definitions. Pure data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flowengine.execution.definitions.records import VersionRecord
from flowengine.execution.views.executions import Moment, moment
from flowengine.layout.drawing import Drawing
from flowengine.workflow.definitions.comparison import Difference
from flowengine.workflow.problems import Problem

Change: TypeAlias = Literal["new", "changed", "rewritten", "same"]


class AppliedView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to an apply: the version that is in force. `previous`: the one before; null: there was none.
    `warnings`: what may go wrong with it, if anything may."""

    name: str
    version: int
    previous: int | None
    applied_at: Moment
    warnings: tuple[Problem, ...] | msgspec.UnsetType = msgspec.UNSET


class DefinitionSummaryView(msgspec.Struct, frozen=True, kw_only=True):
    """A definition in a list: its version in force. `nodes`: how many main nodes it has. `applied_at`: when
    it came into force; `applied_by`: the id of the key of who applied it, null without keys."""

    name: str
    version: int
    description: str
    labels: dict[str, str]
    nodes: int
    applied_at: Moment
    applied_by: str | None


class DefinitionListView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of definitions, by name. `next_cursor` asks for the next page; null: there is none."""

    items: tuple[DefinitionSummaryView, ...]
    next_cursor: str | None


class DefinitionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a definition. `current`: the version in force. `document`: its text, as it was applied
    last, in the form `media_type`. `input_schema`: the JSON Schema of the inputs of its executions. `graph`:
    its picture. `followers`: the definitions that start when its executions end, now, by name."""

    name: str
    version: int
    current: int
    description: str
    labels: dict[str, str]
    nodes: int
    applied_at: Moment
    applied_by: str | None
    media_type: str
    document: str
    input_schema: dict[str, msgspec.Raw]
    graph: Drawing
    followers: tuple[str, ...] = ()


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version in a list. `current`: it is in force. `applied_at`: when it was applied first."""

    version: int
    current: bool
    description: str
    labels: dict[str, str]
    nodes: int
    applied_at: Moment
    applied_by: str | None


class VersionListView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of versions, the newest first."""

    items: tuple[VersionView, ...]
    next_cursor: str | None


class DeletedDefinitionView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to the deletion of a definition. `version`: the one that was in force."""

    name: str
    version: int


class DefinitionDiffView(msgspec.Struct, frozen=True, kw_only=True):
    """What an apply of a document would do. `value`: the same text for all documents that say the same.
    `version`: the one in force; null: there is none. `becomes`: the version that it would be; another one if
    somebody applies something before.

    `new`: the name has no version. `changed`: another version. `rewritten`: the same version, with another
    text, comments for example. `same`: nothing. `differences`: what differs from the version in force.
    """

    name: str
    value: str
    change: Change
    version: int | None
    becomes: int
    differences: tuple[Difference, ...]


class DiffView(msgspec.Struct, frozen=True, kw_only=True):
    """What an apply of documents would do, in their order. `warnings`: what may go wrong with them."""

    items: tuple[DefinitionDiffView, ...]
    warnings: tuple[Problem, ...]


class ChangesView(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two versions of a definition. `since`: the earlier one; null: `version` is the
    first that is kept, and there is nothing to compare it with."""

    name: str
    version: int
    since: int | None
    differences: tuple[Difference, ...]


def summary_view(name: str, record: VersionRecord) -> DefinitionSummaryView:
    """A definition as a list shows it."""
    return DefinitionSummaryView(
        name=name,
        version=record.number,
        description=record.description,
        labels=dict(record.labels),
        nodes=record.nodes,
        applied_at=moment(record.at),
        applied_by=record.by,
    )


def version_view(record: VersionRecord, current: int) -> VersionView:
    """A version as a list shows it."""
    return VersionView(
        version=record.number,
        current=record.number == current,
        description=record.description,
        labels=dict(record.labels),
        nodes=record.nodes,
        applied_at=moment(record.at),
        applied_by=record.by,
    )
