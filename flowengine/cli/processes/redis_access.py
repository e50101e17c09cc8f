"""Whether the server lets this process work, asked once at its start.

A server that does not answer is no reason to refuse: it may come. One that answers that the password, the
database or the rights are wrong, or that is of a kind on which no state can be kept, will say so for ever.
Then the start stops with one clear line.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from flowengine.errors import SettingsError, UnfitServerError
from flowengine.settings.redis_url import named_files

if TYPE_CHECKING:
    import redis

    from flowengine.settings import Settings
    from flowengine.store.server_checks.needed_commands import Service

_TIMEOUT_S = 2.0
SPARE_CONNECTIONS: Final = 8
"""Of a process, besides one for each thread: one for each queue, its own loops', and a few for moments."""


def check_access(settings: Settings, *services: Service, waits: bool = False, threads: int = 0) -> None:
    """Return if the server lets these services do their work, or does not answer.

    `waits`: the caller waits by itself for what may pass, a fail-over for example.

    `threads`: of a service's process, each of which keeps a connection; 0: not asked about. Raises
    SettingsError if there may not be as many. Its message has no part of REDIS_URL.
    """
    import redis

    from flowengine.store.connection.sessions import connect
    from flowengine.store.server_checks.start_check import inspect_server

    for option, path in named_files(settings.redis_url):
        if not os.access(path, os.R_OK):
            raise SettingsError(
                f"REDIS_URL: its option {option} names {path}, which is not there or cannot be read"
            )
    try:
        with connect(settings.redis_url, socket_timeout=_TIMEOUT_S) as client:
            inspect_server(client, services)
            if threads:
                _check_connections(client, threads)
    except UnfitServerError as error:
        if not (waits and error.may_pass):
            raise SettingsError(f"REDIS_URL: {error}") from error
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError, redis.ResponseError) as error:
        reason = _reason(str(error))
        if reason is not None:
            raise SettingsError(f"REDIS_URL: {reason}") from error
    except (redis.RedisError, OSError):
        return
    except (TypeError, ValueError) as error:
        raise SettingsError("REDIS_URL: redis-py does not take it: check its options") from error


def _check_connections(client: redis.Redis, threads: int) -> None:
    """Without this, some threads would get no connection, and what they are given would come back."""
    needed = threads + SPARE_CONNECTIONS
    limits = [(client.connection_pool.max_connections, "its option max_connections allows")]
    if taken := _most_clients(client):
        limits.append((taken, "the server's maxclients allows"))
    for most, allows in limits:
        if needed > most:
            raise SettingsError(
                f"REDIS_URL: {allows} {most} connections, and a process of {threads} threads needs {needed}: "
                "raise that, or lower --threads"
            )


def _most_clients(client: redis.Redis) -> int | None:
    """How many clients the server takes; None if it does not say, or must not be asked."""
    import redis

    try:
        found = client.info("clients").get("maxclients")
    except redis.ResponseError:
        return None
    return int(found) if found else None


def _reason(said: str) -> str | None:
    """What is wrong for good; None for a state that passes, such as a server that is still loading."""
    lowered = said.lower()
    if "db index" in lowered or "invalid database" in lowered:
        return "the server has no database of that number (its setting `databases` says how many there are)"
    if "permission" in lowered:
        found = re.search("'([^']*)' command", lowered)
        command = found[1] if found else "a command with which a connection begins"
        return f"its user may not run {command}: on the server, say ACL SETUSER USER +{command}"
    if "wrongpass" in lowered or "invalid username" in lowered or "invalid password" in lowered:
        return "the server refuses its user name or password"
    if "noauth" in lowered or "authentication required" in lowered:
        return "the server asks for a password: redis://:PASSWORD@HOST"
    if "without any password configured" in lowered or "no password is set" in lowered:
        return "it has a password, and the server asks for none"
    return None
