"""What a workflow says of an input, as the plan stores it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

MAX_BYTES: Final = 1024 * 1024
"""What all inputs of an execution may take as JSON, and all schemas of a document."""

MIN_SECRET_CHARS: Final = 8
"""A shorter text could not be kept out of results: it would be found everywhere."""

MASK: Final = "***"
"""What is shown of a secret one."""

NO_DEFAULT: Final = msgspec.Raw()


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input.

    `schema` is its JSON Schema, without what the language adds. `default` is JSON with templates in it, empty
    where there is none. Without one, an input that is `required` must be given. A `secret` one is shown as
    `***`.
    """

    schema: msgspec.Raw
    required: bool = True
    secret: bool = False
    default: msgspec.Raw = NO_DEFAULT

    @property
    def has_default(self) -> bool:
        """Whether it has a value where none is given."""
        return bool(bytes(self.default))

    @property
    def must_be_given(self) -> bool:
        """Whether there is no value without the caller."""
        return self.required and not self.has_default


class Var(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value with a name, JSON with templates in it. A `secret` one reads a secret, and is never stored."""

    value: msgspec.Raw
    secret: bool = False


Declared: TypeAlias = Mapping[str, Input] | None
"""The inputs of a workflow; None: it says nothing of them, and any may be given."""


def secret_names(declared: Declared) -> tuple[str, ...]:
    """The names of the secret ones."""
    return tuple(name for name, one in (declared or {}).items() if one.secret)
