"""Checks of a config that its types cannot express, made when a workflow is validated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec


class LiteralCheck(msgspec.Struct, frozen=True):
    """Stands in `Annotated[str, LiteralCheck(check)]`; the validator asks it about a value without templates.

    `check` returns what is wrong with the value, which has the field's type and is not null, or None. The
    handler still has to check what it gets, since a value with templates is not known before it is rendered.
    """

    check: Callable[[Any], str | None]


@runtime_checkable
class ChecksConfig(Protocol):
    """A struct with a rule about several of its fields at once: a config, or an object inside one."""

    @classmethod
    def wrong_with(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Each field that is wrong, and why; "" for the object itself.

        `config` is what the workflow gives. It has the right types, but its texts may be templates still.
        """
