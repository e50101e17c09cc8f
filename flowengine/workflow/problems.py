"""A problem in a workflow document: what is wrong, where, and what to do. Pure data."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One problem.

    `pointer` is an RFC 6901 JSON pointer into the document ("" is the whole document). `line` and
    `column` count from 1 and are known for YAML, and for JSON that does not parse.
    """

    code: str
    pointer: str
    message: str
    line: int | None = None
    column: int | None = None
