"""Servers as other versions of the engine left them: fixtures of stored formats.

Each holds a failed and a completed execution, one whose first node waits for a worker, one that was
triggered and not started, and one that was never triggered. From format 3 on, their plan is that of
`branches`, and another one waits for its first node's second try. How one is made: `dump`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from flowengine.workflow.plan import Plan
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import plan_of

FIXTURES: Final = Path(__file__).parents[1] / "fixtures"


SAYS: Final = {
    "a": Says(tries=2),
    "b": Says(when=False),
    "c": Says(tolerates=True),
    "d": Says("none_failed_min_one_success"),
    "early": Says("one_success"),
}


def branches() -> Plan:
    """A plan that uses what format 3 has: rules, conditions, retries, tolerated failures, schemas."""
    graph = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "early": ("a", "c")}
    plan = plan_of(graph, says=SAYS)
    first = plan.policies[0]
    assert first.retry is not None
    asking = replace(first.retry, when="{{ error.code == 'boom' and attempt < 3 }}")
    policies = {**plan.policies, 0: replace(first, retry=asking, output_schema='{"type":"integer"}')}
    return replace(plan, policies=policies)


class StoredFormat(msgspec.Struct, frozen=True):
    """What one version stored: the commands that write it again, and its executions by what they are."""

    format: int
    executions: dict[str, str]
    commands: list[list[str]]


def load(client: Any, version: int) -> StoredFormat:
    """Write the fixture of a format to a server."""
    text = (FIXTURES / f"stored_format_{version}.json").read_text()
    found = msgspec.json.decode(text, type=StoredFormat)
    for command in found.commands:
        client.execute_command(*command)
    return found


def dump(client: Any, version: int, executions: dict[str, str]) -> str:
    """The fixture of what a server holds, without lifetimes: one command a line."""
    commands = [command for key in sorted(client.keys("fe:*")) for command in _commands(client, key)]
    lines = ",\n".join(map(json.dumps, commands))
    named = json.dumps(executions)
    return f'{{"format": {version},\n"executions": {named},\n"commands": [\n{lines}\n]}}\n'


def _commands(client: Any, key: bytes) -> list[list[str]]:
    name = key.decode()
    match client.type(key):
        case b"string":
            return [["SET", name, client.get(key).decode()]]
        case b"hash":
            return [["HSET", name, *_flat(sorted(client.hgetall(key).items()))]]
        case b"zset":
            rows = client.zrange(key, 0, -1, withscores=True)
            return [
                ["ZADD", name, *(part for member, at in rows for part in (str(int(at)), member.decode()))]
            ]
        case b"stream":
            entries = [
                ["XADD", name, entry.decode(), *_flat(fields.items())] for entry, fields in client.xrange(key)
            ]
            groups = client.xinfo_groups(key)
            return [*entries, *(["XGROUP", "CREATE", name, group["name"].decode(), "0"] for group in groups)]
        case other:
            raise AssertionError(f"{name} is a {other}")


def _flat(pairs: Any) -> list[str]:
    return [part.decode() for pair in pairs for part in pair]
