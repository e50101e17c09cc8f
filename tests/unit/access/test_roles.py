"""Roles: which includes which, by the table alone."""

from __future__ import annotations

import pytest

from flowengine.access.roles import INCLUDES, MAY, ROLES, Role, allows

EXPECTED: dict[Role, set[Role]] = {
    "read": {"read"},
    "decide": {"read", "decide"},
    "run": {"read", "run"},
    "author": {"read", "run", "author"},
    "operate": {"read", "decide", "run", "operate"},
    "admin": {"read", "decide", "run", "author", "operate", "admin"},
}


@pytest.mark.parametrize("role", ROLES)
def test_role_allows_what_it_includes_and_nothing_else(role: Role) -> None:
    """Each role against each: an author steers nothing, and who steers posts nothing."""
    assert {needed for needed in ROLES if allows(role, needed)} == EXPECTED[role]


def test_table_has_a_row_for_every_role() -> None:
    """What it includes, and a sentence."""
    assert tuple(INCLUDES) == tuple(MAY) == ROLES
