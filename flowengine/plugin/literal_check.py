"""A check of a config's field that its type cannot express, made when a workflow is validated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class LiteralCheck(msgspec.Struct, frozen=True):
    """Stands in `Annotated[str, LiteralCheck(check)]`; the validator asks it about a value without templates.

    `check` returns what is wrong with the value, which has the field's type and is not null, or None. The
    handler still has to check what it gets, since a value with templates is not known before it is rendered.
    """

    check: Callable[[Any], str | None]
