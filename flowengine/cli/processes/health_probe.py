"""The health check of an orchestrator's or worker's container: does anything here read its queue?

Asks Redis, since only Redis sees that. Speaks its protocol itself, in one short exchange: a client library
would take longer to import than all the rest. Looks at connections, not at the queue's consumers: before
7.2, Redis moves their `idle` only when there is a message. Understands `redis://` only, as compose.yaml has.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

SILENT_S = 10
TIMEOUT_S = 3.0


def main() -> int:
    """0 if a connection from this host waits for messages or did so just now, else 1."""
    try:
        address, reply = _ask(_url())
    except (OSError, ValueError) as error:
        print(f"Redis does not answer: {error}")  # noqa: T201 - the container engine keeps it
        return 1
    said = reply.decode("utf-8", "replace")
    if reads(said, address=address):
        return 0
    if "-NOPERM" in said:
        print("its user may not ask: on the server, say ACL SETUSER USER +client|list")  # noqa: T201 - the container engine keeps it
        return 1
    print(f"nothing at {address} reads a queue")  # noqa: T201 - the container engine keeps it
    return 1


def reads(client_list: str, *, address: str) -> bool:
    """Whether CLIENT LIST's reply has a connection of that address that read a stream within SILENT_S."""
    for line in client_list.splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split())
        host = fields.get("addr", "").rpartition(":")[0].strip("[]")
        if host == address and fields.get("cmd") == "xreadgroup" and int(fields["idle"]) < SILENT_S:
            return True
    return False


def _url() -> str:
    """Where Redis is, by the same variables as the settings."""
    if file := os.environ.get("REDIS_URL_FILE"):
        return Path(file).read_text(encoding="utf-8").strip()
    return os.environ.get("REDIS_URL") or "redis://localhost:6379/0"


def _ask(url: str) -> tuple[str, bytes]:
    parts = urlsplit(url)
    if parts.scheme != "redis":
        raise ValueError("the probe understands redis:// only")
    credentials = [unquote(word) for word in (parts.username, parts.password) if word]
    commands = [["AUTH", *credentials]] if credentials else []
    commands += [["CLIENT", "LIST"], ["QUIT"]]
    with socket.create_connection((parts.hostname or "localhost", parts.port or 6379), TIMEOUT_S) as link:
        link.sendall(b"".join(map(_encode, commands)))
        return link.getsockname()[0], b"".join(iter(lambda: link.recv(65536), b""))


def _encode(words: list[str]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)


if __name__ == "__main__":
    sys.exit(main())
