"""What INFO tells of a server, and what of it keeps FlowEngine from working on it. Pure.

What a server does not tell is not known, and no reason to refuse: hosted servers may forbid INFO.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

LEAST_VERSION: Final = (7, 0)
"""Of Redis. Valkey tells the version of Redis that it is like, from 7.2 on."""
POLICY: Final = "noeviction"

_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})")


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What INFO says, in its own words; empty where it is not known."""

    version: str = ""
    mode: str = ""
    role: str = ""
    policy: str = ""
    append_only: str = ""


_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "version": ("redis_version",),
    "mode": ("redis_mode", "server_mode"),
    "role": ("role",),
    "policy": ("maxmemory_policy",),
    "append_only": ("aof_enabled",),
}
"""INFO's names of each fact: Redis's, and Valkey's where it has another one."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why FlowEngine must not work on a server.

    `blocks`: it takes none of our writes as it is. `may_pass`: it may be in order soon, by itself.
    """

    reason: str
    blocks: bool = False
    may_pass: bool = False


CLUSTER: Final = Trouble(
    reason="this Redis is a cluster, which is not supported yet: name a server that stands alone",
    blocks=True,
)
SENTINEL: Final = Trouble(
    reason="this is a Sentinel, which holds no data: name the primary that it watches, or an address that "
    "follows it",
    blocks=True,
)
REPLICA: Final = Trouble(
    reason="this Redis is a replica, which takes no writes: name the primary, or an address that follows it",
    blocks=True,
    may_pass=True,
)
NO_APPEND_ONLY_FILE: Final = (
    "Redis keeps no append-only file: when it restarts, it has lost what it stored since its last snapshot, "
    "if it has one. Set `appendonly yes`. See: flowengine help operating"
)


def facts_of(figures: Mapping[str, str]) -> ServerFacts:
    """The facts among the figures of an INFO reply."""
    return ServerFacts(
        **{
            fact: next((figures[name] for name in names if name in figures), "")
            for fact, names in _FIELDS.items()
        }
    )


def troubles_of(facts: ServerFacts) -> list[Trouble]:
    """Everything for which a server is refused."""
    return [trouble for rule in _RULES if (trouble := rule(facts)) is not None]


def warnings_of(facts: ServerFacts) -> list[str]:
    """What is no reason to refuse it, and should be known."""
    return [NO_APPEND_ONLY_FILE] if facts.append_only == "0" else []


def _mode(facts: ServerFacts) -> Trouble | None:
    return {"cluster": CLUSTER, "sentinel": SENTINEL}.get(facts.mode)


def _role(facts: ServerFacts) -> Trouble | None:
    return REPLICA if facts.role in ("slave", "replica") else None


def _policy(facts: ServerFacts) -> Trouble | None:
    """Whether there is a `maxmemory` now does not matter: it can be set at any time."""
    if facts.policy in ("", POLICY):
        return None
    return Trouble(
        reason=f"this Redis may throw keys away when its memory is full (maxmemory-policy is "
        f"{facts.policy[:40]}), and with them executions: set maxmemory-policy {POLICY}"
    )


def _version(facts: ServerFacts) -> Trouble | None:
    found = _VERSION.match(facts.version)
    if found is None or (int(found[1]), int(found[2])) >= LEAST_VERSION:
        return None
    least = ".".join(map(str, LEAST_VERSION))
    return Trouble(
        reason=f"this Redis has version {facts.version[:20]}: {least} or later is needed, or Valkey"
    )


_RULES: Final[tuple[Callable[[ServerFacts], Trouble | None], ...]] = (_mode, _role, _policy, _version)
