"""The soak's chains: each client's definition is followed by one, which each of its executions starts once.

Reads keys as they are, without the store's code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import redis

ENDS: Final = ("completed", "failed", "cancelled")
AFTER: Final = "-after"
_FIELDS: Final = ("status", "version", "followed", "followers")


def follower_of(name: str) -> dict[str, Any]:
    """The document of what follows a definition. Its node fails where it does not know what started it."""
    known = "{{ trigger.status ~ ': ' ~ (trigger.execution_id | length) ~ (trigger.outputs | default('')) }}"
    return {
        "name": name + AFTER,
        "inputs": {"of": {"type": "string", "minLength": 1}},
        "after": [
            {"workflow": name, "status": [*ENDS], "inputs": {"of": "{{ trigger.execution_id }}"}},
        ],
        "nodes": [{"id": "seen", "handler": "set", "config": {"value": known}}],
    }


class Chains:
    """What has followed what, once all is quiet."""

    def __init__(self, client: redis.Redis) -> None:
        found = {
            key.decode().split(":")[2]: _fields(client, key)
            for key in client.execute_command("KEYS", "fe:x:*:control")
        }
        self._client = client
        self._started: dict[str, list[str]] = defaultdict(list)
        self._status = {execution: fields["status"] for execution, fields in found.items()}
        for execution, fields in found.items():
            if fields["followed"]:
                self._started[msgspec.json.decode(fields["followed"])["execution"]].append(execution)
        self._ended = {
            execution: msgspec.json.decode(fields["followers"] or "[]")
            for execution, fields in found.items()
            if fields["version"] and not fields["followed"] and fields["status"] in ENDS
        }

    @property
    def followed(self) -> int:
        """How many ends were to start another execution."""
        return len(self._ended)

    def mistakes(self) -> Iterator[str]:
        """What is wrong: each execution of a definition has to have started one, which has completed."""
        for execution, noted in self._ended.items():
            started = self._started[execution]
            if len(started) != 1 or [one.get("execution") for one in noted] != started:
                yield f"the end of {execution} has started {started}, and says {noted}"
                continue
            if self._status[started[0]] != "completed":
                yield f"{started[0]}, which follows {execution}, is {self._status[started[0]]}"
            given: bytes | None = self._client.execute_command("HGET", f"fe:x:{started[0]}:inputs", "values")
            if given is None or msgspec.json.decode(given) != {"of": execution}:
                yield f"{started[0]}, which follows {execution}, was given {given!r}"


def _fields(client: redis.Redis, key: bytes) -> dict[str, str]:
    """What is known of an execution; empty where nothing is said."""
    found: list[bytes | None] = client.execute_command("HMGET", key, *_FIELDS)
    return {name: (value or b"").decode() for name, value in zip(_FIELDS, found, strict=True)}
