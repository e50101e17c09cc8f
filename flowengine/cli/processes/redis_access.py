"""Whether the server lets this process work, asked once at its start.

A server that does not answer is no reason to refuse: it may come. One that answers that the password, the
database or the rights are wrong will say so for ever, and then the start stops with one clear line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowengine.errors import SettingsError

if TYPE_CHECKING:
    import redis

    from flowengine.settings import Settings

_TIMEOUT_S = 2.0
SPARE_CONNECTIONS: Final = 8
"""Of a process, besides one for each thread: one for each queue, its own loops', and a few for moments."""


def check_access(settings: Settings, *, threads: int = 0) -> None:
    """Return if the server lets us write a key of ours, or does not answer.

    `threads`: of a service's process, each of which keeps a connection; 0: not asked about. Raises
    SettingsError if there may not be as many. Its message has no part of REDIS_URL.
    """
    import redis

    from flowengine.store.connection.sessions import connect
    from flowengine.store.keys import HEALTH

    try:
        with connect(settings.redis_url, socket_timeout=_TIMEOUT_S) as client:
            client.set(HEALTH, "1", ex=60)
            if threads:
                _check_connections(client, threads)
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
    if "permission" in lowered or lowered.startswith("noperm"):
        return (
            "its user has no rights on the keys fe:* or on a command that is needed (see ACL on the server)"
        )
    if "wrongpass" in lowered or "invalid username" in lowered or "invalid password" in lowered:
        return "the server refuses its user name or password"
    if "noauth" in lowered or "authentication required" in lowered:
        return "the server asks for a password: redis://:PASSWORD@HOST"
    if "without any password configured" in lowered or "no password is set" in lowered:
        return "it has a password, and the server asks for none"
    return None
