"""What the role of a key lets its holder do: one table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

Role: TypeAlias = Literal["read", "decide", "run", "author", "operate", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

MAY: Final[Mapping[Role, str]] = MappingProxyType(
    {
        "read": "sees executions and their results",
        "decide": "answers what waits for a person",
        "run": "starts workflows that others have applied",
        "author": "posts workflows and triggers them: it can send any secret anywhere",
        "operate": "steers executions: cancel, for example",
        "admin": "sees to keys, settings and the audit, and may do all else",
    }
)
"""What each adds to the roles that it includes."""

INCLUDES: Final[Mapping[Role, tuple[Role, ...]]] = MappingProxyType(
    {
        "read": (),
        "decide": ("read",),
        "run": ("read",),
        "author": ("run",),
        "operate": ("run", "decide"),
        "admin": ("author", "operate"),
    }
)
"""The roles that each includes, with all that those include."""


def allows(role: Role, needed: Role) -> bool:
    """Whether a key of this role may do what needs the other."""
    return role == needed or any(allows(included, needed) for included in INCLUDES[role])


def markdown() -> str:
    """The table in the reference's page on the API."""
    rows = [f"| `{role}` | {MAY[role]} | {_codes(INCLUDES[role])} |" for role in ROLES]
    return "\n".join(["| role | what it may | includes |", "| --- | --- | --- |", *rows]) + "\n"


def _codes(roles: tuple[Role, ...]) -> str:
    return ", ".join(f"`{role}`" for role in roles)
