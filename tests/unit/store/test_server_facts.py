"""What INFO tells of a server, and what of it is a reason to refuse."""

from __future__ import annotations

import pytest

from flowengine.store.server_checks.server_facts import facts_of, troubles_of, warnings_of

FIT = {
    "redis_version": "7.0.15",
    "redis_mode": "standalone",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "used_memory": "1",
}


def reasons(**figures: str) -> list[str]:
    """Why a server that is fit but for these figures is refused."""
    return [trouble.reason for trouble in troubles_of(facts_of({**FIT, **figures}))]


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"redis_mode": "cluster"}, "is a cluster"),
        ({"redis_mode": "sentinel"}, "is a Sentinel"),
        ({"redis_mode": "cluster", "server_mode": "cluster"}, "is a cluster"),
        ({"role": "slave"}, "is a replica"),
        ({"role": "replica"}, "is a replica"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru"),
        ({"maxmemory_policy": "volatile-ttl"}, "maxmemory-policy is volatile-ttl"),
        ({"redis_version": "6.2.14"}, "has version 6.2.14: 7.0 or later"),
        ({"redis_version": "6.9"}, "has version 6.9"),
        ({"redis_version": "2.8.24"}, "has version 2.8.24"),
    ],
)
def test_server_that_cannot_keep_state_is_refused(figures: dict[str, str], reason: str) -> None:
    """With the one reason that there is."""
    (found,) = reasons(**figures)
    assert reason in found


@pytest.mark.parametrize(
    "version", ["7.0.0", "7.0", "7.2.4", "8.0.2", "10.0.0", "255.255.255", "unstable", ""]
)
def test_newer_versions_and_unreadable_ones_are_no_reason(version: str) -> None:
    """Numbers are compared as numbers."""
    assert reasons(redis_version=version) == []


def test_valkey_has_a_name_of_its_own_for_the_mode() -> None:
    """Redis's is there in its compatible mode only."""
    for mode, expected in [("cluster", 1), ("sentinel", 1), ("standalone", 0)]:
        assert len(troubles_of(facts_of({"server_mode": mode, "redis_version": "7.2.4"}))) == expected


def test_what_is_not_told_is_no_reason() -> None:
    """Hosted servers may forbid INFO, or tell a part of it."""
    nothing = facts_of({})
    assert (troubles_of(nothing), warnings_of(nothing)) == ([], [])


def test_all_reasons_are_told_at_once() -> None:
    """After a fix of one, nobody has to start again to learn the next."""
    assert len(reasons(maxmemory_policy="allkeys-lfu", redis_version="5.0.7", role="slave")) == 3


def test_only_a_replica_may_be_in_order_soon() -> None:
    """A fail-over ends by itself; a cluster stays one."""
    found = {
        figure: troubles_of(facts_of({**FIT, name: figure}))[0].may_pass
        for name, figure in [
            ("role", "slave"),
            ("redis_mode", "cluster"),
            ("maxmemory_policy", "allkeys-lru"),
        ]
    }
    assert found == {"slave": True, "cluster": False, "allkeys-lru": False}


@pytest.mark.proves("redis-forgets")
def test_missing_append_only_file_is_a_warning() -> None:
    """Some servers keep what they are told in another way; a server of a test keeps nothing."""
    assert reasons(aof_enabled="0") == []
    (warning,) = warnings_of(facts_of({**FIT, "aof_enabled": "0"}))
    assert "appendonly yes" in warning
    assert warnings_of(facts_of(FIT)) == []
