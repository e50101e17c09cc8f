"""What the engine asks of the store about definitions. Every method may raise StoreUnavailableError."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from flowengine.execution.definitions.records import Armed, KeptDefinition, VersionRecord
from flowengine.workflow.chains.circles import Lead
from flowengine.workflow.chains.declared import Links
from flowengine.workflow.plan import Plan


class Definition(msgspec.Struct, frozen=True):
    """A version of a definition with its content, as an execution is made of it.

    `plan.inputs` says what may be given to it; `document` is the text, packed; `record.labels` are those of
    each of its executions. `current`: the version in force.
    """

    name: str
    record: VersionRecord
    current: int
    plan: Plan
    document: bytes

    @property
    def version(self) -> int:
        """Its number."""
        return self.record.number


class DefinitionSource(Protocol):
    """Definitions, for those who start executions of them."""

    def definition(self, name: str, version: int | None = None) -> Definition | None:
        """The version in force, or this one; None where there is none.

        Raises StoredFormatError: its plan is of a format that this process does not know.
        """


class Content(msgspec.Struct, frozen=True):
    """What is stored of a version: its plan, encoded, and its document, packed."""

    plan: bytes
    document: bytes

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return len(self.plan) + len(self.document)


class DefinitionUnit(Protocol):
    """One optimistic transaction about one name. `now`: in milliseconds since the epoch."""

    @property
    def kept(self) -> KeptDefinition: ...
    @property
    def now(self) -> int: ...
    def put(
        self,
        current: VersionRecord,
        content: Content | None,
        dropped: Collection[int],
        armed: Armed,
        links: Links,
    ) -> bool:
        """Let this version be in force, with this content if it is not stored yet, with these schedules and
        these links to others, and drop others. False if the definition, a schedule or a link that was read
        has changed meanwhile: nothing was written."""

    def leads(self, names: Sequence[str]) -> Mapping[str, Sequence[Lead]]:
        """WATCH and read what each of these definitions leads to."""

    def remove(self) -> bool:
        """Let the name have no version and no schedule any more. False as `put`."""

    def abandon(self) -> None:
        """Write nothing."""


class DefinitionStore(DefinitionSource, Protocol):
    """Definitions as the API needs them."""

    def begin(self, name: str) -> DefinitionUnit:
        """WATCH and read what is kept under a name."""

    def used(self, name: str, versions: Sequence[int]) -> set[int]:
        """Those of the versions of which executions are kept."""

    def letting_in(self, size: int) -> AbstractContextManager[None]:
        """Around the storing of so many bytes. Raises StoreFullError when they may not come in."""

    def page(self, after: str, limit: int) -> tuple[Sequence[tuple[str, VersionRecord]], str | None]:
        """At most so many of the names that come after this one, each with its version in force, by name; and
        the name after which the next ones come, if there are more."""

    def kept(self, name: str) -> KeptDefinition:
        """What is kept under a name."""

    def following(self, name: str, most: int) -> Sequence[str]:
        """The definitions that follow this one, so many at most, by name."""

    def kept_of(self, names: Sequence[str]) -> Sequence[KeptDefinition]:
        """What is kept under each of these names."""
