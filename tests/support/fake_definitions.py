"""Definitions in memory, for tests of the API: the contract of `DefinitionStore`, of one process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, cast

from msgspec.structs import replace

from flowengine.engine.definitions.definitions import Start, StoredDefinitions
from flowengine.engine.definitions.ports import Content, Definition
from flowengine.engine.ports import CommandStore
from flowengine.execution.definitions.records import Armed, KeptDefinition, VersionRecord
from flowengine.execution.schedules.records import Outcome
from flowengine.execution.views.executions import StartedView
from flowengine.workflow.chains.circles import Lead
from flowengine.workflow.chains.declared import Links
from flowengine.workflow.labels import merged
from flowengine.workflow.plan import Plan, decode_plan

NOW_MS = 1_772_352_000_000
StartPlan = Callable[[Plan, Start, Mapping[str, str]], StartedView]


class FakeDefinitionStore:
    """Definitions in memory. `used_versions`: those of which executions are kept, by name and number."""

    def __init__(self) -> None:
        self.names: dict[str, KeptDefinition] = {}
        self.contents: dict[tuple[str, int], Content] = {}
        self.used_versions: set[tuple[str, int]] = set()
        self.outcomes: dict[tuple[str, str], list[Outcome]] = {}
        self.guard = threading.Lock()

    def definition(self, name: str, version: int | None = None) -> Definition | None:
        kept = self.kept(name)
        if kept.current is None:
            return None
        record = kept.current if version is None else kept.versions.get(version)
        if record is None:
            return None
        content = self.contents[name, record.number]
        plan = decode_plan(content.plan)
        return Definition(name, record, kept.current.number, plan, content.document)

    def begin(self, name: str) -> FakeDefinitionUnit:
        return FakeDefinitionUnit(self, name, self.kept(name))

    def used(self, name: str, versions: Sequence[int]) -> set[int]:
        return {number for number in versions if (name, number) in self.used_versions}

    @contextlib.contextmanager
    def letting_in(self, size: int) -> Iterator[None]:
        yield

    def page(self, after: str, limit: int) -> tuple[Sequence[tuple[str, VersionRecord]], str | None]:
        there = {name: kept.current for name, kept in self.names.items() if kept.current is not None}
        names = sorted((name for name in there if name > after), key=str.encode)
        shown = names[:limit]
        return [(name, there[name]) for name in shown], shown[-1] if len(names) > limit else None

    def kept(self, name: str) -> KeptDefinition:
        return self.names.get(name, KeptDefinition())

    def following(self, name: str, most: int) -> list[str]:
        """Nothing follows here."""
        return []

    def kept_of(self, names: Sequence[str]) -> list[KeptDefinition]:
        return [self.kept(name) for name in names]


class FakeDefinitionUnit:
    """What one apply or one deletion writes."""

    now = NOW_MS

    def __init__(self, store: FakeDefinitionStore, name: str, kept: KeptDefinition) -> None:
        self.kept = kept
        self._store = store
        self._name = name

    def put(
        self,
        current: VersionRecord,
        content: Content | None,
        dropped: Collection[int],
        armed: Armed,
        links: Links,
    ) -> bool:
        with self._store.guard:
            if self._store.kept(self._name) != self.kept:
                return False
            versions = {
                number: record for number, record in self.kept.versions.items() if number not in dropped
            }
            known = versions.get(current.number, current)
            versions[current.number] = replace(known, stored=current.stored)
            last = max(self.kept.last, current.number)
            self._store.names[self._name] = KeptDefinition(
                current, last, versions, {one.schedule.id: one for one in armed.schedules}, links
            )
            if content is not None:
                self._store.contents[self._name, current.number] = content
        return True

    def leads(self, names: Sequence[str]) -> dict[str, list[Lead]]:
        found: dict[str, list[Lead]] = {name: [] for name in names}
        for name, kept in self._store.names.items():
            for one in kept.links.after:
                found.setdefault(one.workflow, []).append(Lead(name, True))
            found.setdefault(name, []).extend([Lead(one, False) for one in kept.links.runs])
        return found

    def remove(self) -> bool:
        with self._store.guard:
            if self._store.kept(self._name) != self.kept:
                return False
            self._store.names[self._name] = KeptDefinition(last=self.kept.last)
        return True

    def abandon(self) -> None:
        pass


class FakeDefinitions(StoredDefinitions):
    """Definitions over that store. `enter` is called in every call, and may raise; `start_plan` starts."""

    def __init__(self, store: FakeDefinitionStore, enter: Callable[[], None], start_plan: StartPlan) -> None:
        super().__init__(store, cast(CommandStore, None), kept_versions=3)
        self.store = store
        self._enter = enter
        self._start_plan = start_plan

    def __getattribute__(self, name: str) -> Any:
        if name in ("apply", "delete", "list", "show", "graph", "versions", "start", "diff", "changes"):
            super().__getattribute__("_enter")()
        return super().__getattribute__(name)

    def start(self, name: str, asked: Start) -> StartedView:
        found = self._find(name, asked.version)
        view = self._start_plan(found.plan, asked, merged(found.record.labels, asked.labels))
        return replace(view, version=found.version)
