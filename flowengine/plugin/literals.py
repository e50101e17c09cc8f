"""A check of a config's field that types cannot express, for values that are known before a node runs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class LiteralCheck(msgspec.Struct, frozen=True):
    """In `Annotated[str, LiteralCheck(check)]`, it lets the validator ask about a text without templates.

    `check` returns what is wrong, or None. The handler itself still meets every value once it is rendered.
    """

    check: Callable[[str], str | None]
