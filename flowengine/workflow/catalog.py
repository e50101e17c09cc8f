"""What the validator asks of the handlers: a name, the type of a config, and how outputs are read."""

from __future__ import annotations

from typing import Protocol

import msgspec


class HandlerFacts(Protocol):
    """What a document can be held to (`flowengine.plugin.Handler` has it)."""

    @property
    def name(self) -> str: ...
    @property
    def config_type(self) -> type[msgspec.Struct]: ...
    @property
    def summary(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def primary(self) -> str | None: ...
    @property
    def secrets(self) -> bool: ...


class HandlerCatalog(Protocol):
    """Handlers by name (`flowengine.plugin.Registry` is one)."""

    def get(self, name: str) -> HandlerFacts | None:
        """The handler called `name`, or None."""

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
