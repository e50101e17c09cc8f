"""Definitions as the API and the tool see them: each call is one command or one query."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final, TypeAlias

import msgspec

from flowengine.access.acting import acting_key
from flowengine.access.scope import covers
from flowengine.engine.commands.create import New, answered_before, create_and_start
from flowengine.engine.definitions.ports import Content, Definition, DefinitionStore, DefinitionUnit
from flowengine.engine.definitions.refusals import WorkflowInvalidError
from flowengine.engine.drawn_graphs import DrawnGraph, DrawnGraphs
from flowengine.engine.ports import CommandStore
from flowengine.errors import BadCursorError, ConflictError, DefinitionNotFoundError
from flowengine.execution.chains.rules import MAX_FOLLOWERS
from flowengine.execution.definitions.records import (
    MAX_DESCRIPTION_CHARS,
    Decided,
    KeptDefinition,
    VersionRecord,
    armed,
    beyond,
    decide,
)
from flowengine.execution.definitions.views import (
    AppliedView,
    Change,
    ChangesView,
    DefinitionDiffView,
    DefinitionListView,
    DefinitionView,
    DeletedDefinitionView,
    DiffView,
    VersionListView,
    summary_view,
    version_view,
)
from flowengine.execution.requests.idempotency import IdempotentRequest
from flowengine.execution.views.executions import StartedView, moment
from flowengine.jsonvalue import JsonValue, encode
from flowengine.workflow.chains.circles import Lead, endless, told
from flowengine.workflow.chains.declared import After, Links
from flowengine.workflow.definitions.comparison import Difference, differences
from flowengine.workflow.inputs.input_schema import input_schema
from flowengine.workflow.plan import Plan, encode_plan
from flowengine.workflow.posting.posted_document import JSON, PostedDocument, pack, unpack
from flowengine.workflow.priority import Priority
from flowengine.workflow.problems import Problem, quoted
from flowengine.workflow.schedules.declared import Schedule

Labels: TypeAlias = Mapping[str, str]

TRIES: Final = 50
LOOKED_AT: Final = 20
"""Of the versions that may go, so many are looked at with each new one."""


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A right document that is applied under its name, which is its plan's. `value`: the digest of its value.
    `labels`: those of its executions. `schedules`: when these start by themselves; `after`: by whose
    ends; `runs`: the definitions that its nodes name. `warnings`: what may go
    wrong with it."""

    plan: Plan
    document: PostedDocument
    value: str
    description: str = ""
    labels: Labels = {}
    schedules: tuple[Schedule, ...] = ()
    after: tuple[After, ...] = ()
    runs: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution of a definition is given. `version`: of this one; None: of that in force. `request`:
    the idempotent one that starts it, if it is one. `callback_url`: where its results are sent. `priority`:
    in place of that of the document."""

    correlation_id: str
    version: int | None = None
    inputs: Mapping[str, JsonValue] = {}
    labels: Labels = {}
    request: IdempotentRequest | None = None
    callback_url: str | None = None
    priority: Priority | None = None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A right document that might be applied: its value, `written`, and the digest of that. `document`: its
    text, where it came as one."""

    plan: Plan
    value: str
    written: JsonValue
    document: PostedDocument | None = None

    @property
    def name(self) -> str:
        """Under which it would be applied."""
        return self.plan.name


class Applied(msgspec.Struct, frozen=True):
    """What was applied. `is_new`: it has become a version; another one was one before."""

    view: AppliedView
    is_new: bool


class StoredDefinitions:
    """Implements `flowengine.api.definition_ports.Definitions`.

    `kept_versions`: so many versions of each are kept at least; older ones go once no execution of them is
    kept.
    """

    def __init__(self, definitions: DefinitionStore, executions: CommandStore, *, kept_versions: int) -> None:
        self._definitions = definitions
        self._executions = executions
        self._kept_versions = kept_versions
        self._drawn = DrawnGraphs()

    def apply(self, new: NewVersion) -> Applied:
        """Let a document be in force under its name: as a new version, or as the one that it was.

        Raises WorkflowInvalidError, StoreFullError, ConflictError, StoreUnavailableError: then it may have
        been applied.
        """
        content = Content(encode_plan(new.plan), pack(new.document))
        for _ in range(TRIES):
            unit = self._definitions.begin(new.plan.name)
            applied = self._put(unit, new, content)
            if applied is not None:
                return applied
        raise ConflictError(f"others keep applying definition '{new.plan.name}'; try again")

    def delete(self, name: str) -> DeletedDefinitionView:
        """Let a name have no version any more. Its executions stay. Raises DefinitionNotFoundError."""
        for _ in range(TRIES):
            unit = self._definitions.begin(name)
            current = unit.kept.current
            if current is None:
                unit.abandon()
                raise DefinitionNotFoundError.of(name)
            if unit.remove():
                return DeletedDefinitionView(name=name, version=current.number)
        raise ConflictError(f"others keep applying definition '{name}'; try again")

    def start(self, name: str, asked: Start) -> StartedView:
        """Store an execution of a definition that has begun already: one transaction.

        It has a copy of the version's plan and document: whatever becomes of the definition is nothing to it.
        Raises DefinitionNotFoundError, and what `create_and_start` does.
        """
        if asked.request is not None:
            answered_before(self._executions, asked.request)
        found = self._find(name, asked.version)
        labels = found.record.labels
        if asked.labels:
            # Imported where there are some: an orchestrator, which loads this too, knows no templates.
            from flowengine.workflow.labels import merged

            labels = merged(labels, asked.labels)
        new = New(
            plan=found.plan if asked.priority is None else found.plan.prioritised(asked.priority),
            correlation_id=asked.correlation_id,
            inputs=asked.inputs,
            labels=labels,
            document=found.document,
            request=asked.request,
            callback_url=asked.callback_url,
            version=found.version,
        )
        return create_and_start(self._executions, new)

    def definition(self, name: str, version: int | None = None) -> Definition | None:
        """The version in force, or this one; None where there is none."""
        return self._definitions.definition(name, version)

    def list(self, *, limit: int, cursor: str = "", patterns: tuple[str, ...] = ()) -> DefinitionListView:
        """A page of definitions, by name, with those that fit one of the patterns, if there are some. Raises
        BadCursorError."""
        found, last = self._definitions.page(_name_of(cursor) if cursor else "", limit)
        items = tuple(summary_view(name, record) for name, record in found if covers(patterns, name))
        return DefinitionListView(items=items, next_cursor=None if last is None else _cursor_of(last))

    def unknown(self, names: Sequence[str]) -> set[str]:
        """Those of these names under which nothing is applied."""
        kept = self._definitions.kept_of(names)
        return {name for name, each in zip(names, kept, strict=True) if each.current is None}

    def show(self, name: str, version: int | None = None, patterns: tuple[str, ...] = ()) -> DefinitionView:
        """A version with its document, its picture and what it is given; of those that follow it, those that
        fit one of the patterns, if there are some. Raises DefinitionNotFoundError."""
        from flowengine.layout.plan_drawing import draw

        found = self._find(name, version)
        followers = self._definitions.following(name, MAX_FOLLOWERS)
        record, document = found.record, unpack(found.document)
        return DefinitionView(
            name=name,
            version=found.version,
            current=found.current,
            description=record.description,
            labels=dict(record.labels),
            nodes=record.nodes,
            applied_at=moment(record.at),
            applied_by=record.by,
            media_type=document.media_type,
            document=document.text.decode("utf-8", "replace"),
            input_schema={
                field: msgspec.Raw(encode(value)) for field, value in input_schema(found.plan.inputs).items()
            },
            graph=draw(found.plan),
            followers=tuple([each for each in followers if covers(patterns, each)]),
        )

    def graph(self, name: str, version: int | None = None) -> DrawnGraph:
        """The picture of a version. Raises DefinitionNotFoundError."""
        return self._drawn.of(self._find(name, version).plan)

    def versions(self, name: str, *, limit: int, cursor: str = "") -> VersionListView:
        """A page of versions, the newest first. Raises DefinitionNotFoundError, BadCursorError."""
        if cursor and not (cursor.isascii() and cursor.isdecimal()):
            raise BadCursorError(f"{cursor[:40]!r} is no cursor of a page of versions")
        kept = self._definitions.kept(name)
        if kept.current is None:
            raise DefinitionNotFoundError.of(name)
        numbers = sorted((n for n in kept.versions if not cursor or n < int(cursor)), reverse=True)
        shown = numbers[:limit]
        items = tuple(version_view(kept.versions[number], kept.current.number) for number in shown)
        return VersionListView(items=items, next_cursor=str(shown[-1]) if len(numbers) > limit else None)

    def diff(self, documents: Sequence[Compared], warnings: tuple[Problem, ...] = ()) -> DiffView:
        """What an apply of these would do."""
        kept = self._definitions.kept_of([document.name for document in documents])
        items = tuple(self._compare(*pair) for pair in zip(documents, kept, strict=True))
        return DiffView(items=items, warnings=warnings)

    def changes(self, name: str, version: int | None = None, since: int | None = None) -> ChangesView:
        """What differs in a version, by default the one in force, from another one, by default the one
        before.

        Raises DefinitionNotFoundError.
        """
        kept = self._definitions.kept(name)
        shown = version if version is not None or kept.current is None else kept.current.number
        if shown is None or shown not in kept.versions:
            raise DefinitionNotFoundError.of(name, version)
        if since is not None and since not in kept.versions:
            raise DefinitionNotFoundError.of(name, since)
        earlier = since if since is not None else max((n for n in kept.versions if n < shown), default=None)
        found: tuple[Difference, ...] = ()
        if earlier is not None:
            found = differences(self._written(name, earlier), self._written(name, shown))
        return ChangesView(name=name, version=shown, since=earlier, differences=found)

    def _compare(self, document: Compared, kept: KeptDefinition) -> DefinitionDiffView:
        current, same = kept.current, kept.version_of(document.value)
        becomes = kept.last + 1 if same is None else same.number
        change: Change = "new" if current is None else "changed"
        found: tuple[Difference, ...] = ()
        if current is not None and current.number == becomes:
            change = "rewritten" if _is_rewritten(document, current) else "same"
        elif current is not None:
            found = differences(self._written(document.name, current.number), document.written)
        return DefinitionDiffView(
            name=document.name,
            value=document.value,
            change=change,
            version=None if current is None else current.number,
            becomes=becomes,
            differences=found,
        )

    def _written(self, name: str, version: int) -> JsonValue:
        """What a version says; nothing where it has gone meanwhile."""
        found = self._definitions.definition(name, version)
        return None if found is None else value_of(unpack(found.document))

    def _put(self, unit: DefinitionUnit, new: NewVersion, content: Content) -> Applied | None:
        """None when somebody else changed the definition meanwhile."""
        kept, previous = unit.kept, unit.kept.current
        decided = decide(kept, _record(new, content, unit.now))
        # Of what was applied by a version that wrote no links, they are written now.
        ties = (kept.links.after, kept.links.runs) == (new.after, new.runs)
        if decided.changes_nothing and ties and previous is not None:
            unit.abandon()
            return Applied(_applied(new, previous, previous), is_new=False)
        writes = content if decided.writes_content else None
        with ExitStack() as admitted:
            try:
                links = _links(unit, new, decided.current.number)
                dropped = self._dropped(unit, decided, new.plan.name)
                admitted.enter_context(self._definitions.letting_in(0 if writes is None else writes.size))
            except BaseException:
                unit.abandon()
                raise
            schedules = armed(kept, new.schedules, decided.current.number, unit.now)
            if not unit.put(decided.current, writes, dropped, schedules, links):
                return None
        return Applied(_applied(new, decided.current, previous), decided.is_new)

    def _dropped(self, unit: DefinitionUnit, decided: Decided, name: str) -> tuple[int, ...]:
        """The versions that go with a new one. An execution that begins meanwhile has copies of its own."""
        if not decided.is_new:
            return ()
        candidates = beyond(unit.kept, decided.current.number, self._kept_versions)[:LOOKED_AT]
        if not candidates:
            return ()
        used = self._definitions.used(name, candidates)
        return tuple(number for number in candidates if number not in used)

    def _find(self, name: str, version: int | None) -> Definition:
        found = self._definitions.definition(name, version)
        if found is None:
            raise DefinitionNotFoundError.of(name, version)
        return found


def value_of(document: PostedDocument) -> JsonValue:
    """What a document says that was checked before; nothing where it cannot be read any more."""
    # Imported where documents are compared: an orchestrator, which loads this too, reads none.
    from flowengine.settings import Limits
    from flowengine.workflow.validation import read_text

    size = len(document.text)
    limits = Limits(max_body_bytes=size, max_yaml_bytes=size)
    found = read_text(document.text, "json" if document.media_type == JSON else "yaml", limits)
    return None if isinstance(found, Problem) else found.value


def _links(unit: DefinitionUnit, new: NewVersion, version: int) -> Links:
    """What ties this version to others. Raises WorkflowInvalidError where it would have no end."""
    links, name = Links(version, new.after, new.runs), new.plan.name
    if not new.after and not new.runs:
        return links
    others = dict.fromkeys(one.workflow for one in new.after)
    if others:
        for other, found in unit.leads(list(others)).items():
            followers = {lead.to for lead in found if lead.by_end} - {name}
            if len(followers) >= MAX_FOLLOWERS:
                message = f"{len(followers)} definitions follow {quoted(other)} already, which is the limit"
                raise _refused("too_many_followers", new, other, message)

    def leads(names: Sequence[str]) -> Mapping[str, list[Lead]]:
        stored = unit.leads(names)
        found: dict[str, list[Lead]] = {}
        for each in names:
            kept = [lead for lead in stored.get(each, ()) if not (lead.to == name and lead.by_end)]
            if each == name:
                kept = [lead for lead in kept if lead.by_end] + [Lead(one, False) for one in new.runs]
            found[each] = [*kept, *([Lead(name, True)] if each in others else [])]
        return found

    way = endless(name, leads)
    if way is not None:
        raise _refused("chain_cycle", new, way[-2], told(way))
    return links


def _refused(code: str, new: NewVersion, other: str, message: str) -> WorkflowInvalidError:
    """`other`: what it follows that is wrong; where it follows no such one, the document as a whole is."""
    places = [at for at, one in enumerate(new.after) if one.workflow == other]
    pointer = f"/after/{places[0]}/workflow" if places else ""
    return WorkflowInvalidError((Problem(code=code, pointer=pointer, message=message),))


def _record(new: NewVersion, content: Content, now: int) -> VersionRecord:
    document = new.document.tag
    return VersionRecord(
        number=0,
        value=new.value,
        stored=_digest(content.plan, document),
        nodes=len(new.plan.main),
        at=now,
        by=acting_key(),
        description=_cut(new.description),
        labels=dict(new.labels),
    )


def _is_rewritten(document: Compared, current: VersionRecord) -> bool:
    """Whether it says the same in another text, or is compiled to another plan."""
    if document.document is None:
        return False
    return _digest(encode_plan(document.plan), document.document.tag) != current.stored


def _digest(plan: bytes, document: str) -> str:
    return hashlib.blake2b(document.encode() + plan, digest_size=16).hexdigest()


def _cut(text: str) -> str:
    most = MAX_DESCRIPTION_CHARS
    return text if len(text) <= most else text[: most - 3] + "..."


def _applied(new: NewVersion, current: VersionRecord, previous: VersionRecord | None) -> AppliedView:
    return AppliedView(
        name=new.plan.name,
        version=current.number,
        previous=None if previous is None else previous.number,
        applied_at=moment(current.at),
        warnings=new.warnings or msgspec.UNSET,
    )


def _cursor_of(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _name_of(cursor: str) -> str:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise BadCursorError(f"{cursor[:40]!r} is no cursor of a page of definitions") from error
