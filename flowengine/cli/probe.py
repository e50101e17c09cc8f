"""The health check of an orchestrator's or worker's container: does a process of it read its queue?

Asks Redis, since only Redis sees that, by hand in one short exchange: a client library would take
longer to import than all the rest. Understands `redis://` URLs only, as compose.yaml has.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import unquote, urlsplit

SILENT_MS = 10_000
TIMEOUT_S = 3.0


def main() -> int:
    """0 when a consumer of this host has read `sys.argv[1]`'s stream lately, else 1."""
    try:
        reply = _ask(os.environ.get("REDIS_URL", "redis://localhost:6379/0"), stream=sys.argv[1])
    except (OSError, ValueError) as error:
        print(f"Redis does not answer: {error}")  # noqa: T201 - the container engine keeps it
        return 1
    return 0 if reads(reply, host=socket.gethostname()) else 1


def reads(reply: bytes, *, host: str) -> bool:
    """Whether the reply to XINFO CONSUMERS lists a consumer of that host that has read lately."""
    return any(
        name.startswith(f"{host}-") and idle_ms < SILENT_MS for name, idle_ms in _consumers(reply.decode())
    )


def _consumers(reply: str) -> Iterator[tuple[str, int]]:
    words = [line for line in reply.split("\r\n") if line[:1] not in ("*", "$", "+")]
    name = ""
    for label, value in pairwise(words):
        if label == "name":
            name = value
        elif label == "idle" and value.startswith(":"):
            yield name, int(value[1:])


def _ask(url: str, *, stream: str) -> bytes:
    parts = urlsplit(url)
    if parts.scheme != "redis":
        raise ValueError("the probe understands redis:// only")
    credentials = [unquote(word) for word in (parts.username, parts.password) if word]
    commands = [["AUTH", *credentials]] if credentials else []
    commands += [["SELECT", parts.path.strip("/") or "0"], ["XINFO", "CONSUMERS", stream, "fe"], ["QUIT"]]
    with socket.create_connection((parts.hostname or "localhost", parts.port or 6379), TIMEOUT_S) as link:
        link.sendall(b"".join(map(_encode, commands)))
        return b"".join(iter(lambda: link.recv(65536), b""))


def _encode(words: list[str]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)


if __name__ == "__main__":
    sys.exit(main())
