"""Which requests need a key, of which role, and whether they have one.

Each route says in its own `opt` which role it needs, or that it is open. The path of a request decides
nothing. A route that says nothing is for admins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from flowengine.access.acting import Note, act
from flowengine.access.records import Actor
from flowengine.access.roles import Role, allows
from flowengine.access.scope import covers
from flowengine.api.access.api_keys import digest_of
from flowengine.api.access.cross_site import SAFE_METHODS
from flowengine.api.access.current_keys import CurrentKeys
from flowengine.api.access.page_sessions import PageSessions
from flowengine.api.edge.correlation_id import correlation_id_of
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.errors import StoreUnavailableError
from flowengine.workflow.problems import quoted

NEEDS_NO_KEY: Final = "needs_no_key"
"""In the `opt` of a route that is open to everyone."""
NEEDS_ROLE: Final = "needs_role"
"""In the `opt` of any other route: the role of the keys that open it."""
NARROWS: Final = "narrows_to_definitions"
"""In the `opt` of a route that is neither about one execution nor about one definition, and open to keys for
some definitions: it tells nothing of others."""
KEY_ID: Final = "api_key"
"""In the state of a request: the id of the key that it carries."""
CALLER: Final = "caller"
"""In the state of a request that was let in: its Caller."""

EXECUTION: Final = "execution_id"
DEFINITION: Final = "name"
"""The parameters of the paths of routes that are about one execution, or about one definition."""

_MAX_CREDENTIAL_CHARS: Final = 1024
_WITHOUT_ROLE: Final[Role] = "admin"

Connection = ASGIConnection[Any, Any, Any, Any]
DefinitionOf = Callable[[str], Awaitable[tuple[bool, str | None]]]
"""Whether there is such an execution, and the name of the definition that it is of, if it is of one."""
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a request: the id of the key, None where the API has no keys, and what it lets them do.
    `made_at`: when the key was made, in milliseconds, if Redis holds it. `definitions`: patterns of those
    that the key is for; none: for all."""

    key: str | None
    role: Role
    made_at: int | None = None
    definitions: tuple[str, ...] = ()


def key_guard(keys: CurrentKeys, sessions: PageSessions, definition_of: DefinitionOf) -> Guard:
    """The guard of every route. If there are keys, a request without one reaches open routes only.

    A session's cookie stands for its key. `definition_of`: an execution.
    """

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        if handler.opt.get(NEEDS_NO_KEY) is True:
            return
        caller = await _caller(keys, sessions, connection)
        state = connection.scope["state"]
        state[CALLER] = caller
        if caller.key is not None:
            state[KEY_ID] = caller.key
        # What Litestar answers to OPTIONS by itself tells methods only.
        method = connection.scope.get("method")
        if method != "OPTIONS":
            _check_role(caller, role_of(handler))
            if caller.definitions:
                await _check_scope(caller, connection, handler, definition_of)
        if method not in SAFE_METHODS:
            act(Note(action=handler.handler_name, actor=_actor(connection, caller)))

    return guard


def caller_of(connection: Connection) -> Caller:
    """Who sends a request that was let in."""
    caller: Caller = connection.scope["state"][CALLER]
    return caller


def actor_of(connection: Connection, key: str | None, made_at: int | None = None) -> Actor:
    """What the audit tells of the sender."""
    return Actor(
        key=key,
        made_at=made_at,
        address=connection.client.host if connection.client is not None else None,
        correlation_id=correlation_id_of(connection.scope),
    )


def _actor(connection: Connection, caller: Caller) -> Actor:
    known = actor_of(connection, caller.key, caller.made_at)
    return msgspec.structs.replace(known, definitions=caller.definitions)


def role_of(route: BaseRouteHandler) -> Role:
    """The role that a route needs, if it is not open."""
    role: Role = route.opt.get(NEEDS_ROLE, _WITHOUT_ROLE)
    return role


async def is_still_let_in(
    keys: CurrentKeys, sessions: PageSessions, connection: Connection, route: BaseRouteHandler
) -> bool:
    """Whether a request that was let in would be let in now; True if nobody knows. For answers that last."""
    try:
        return allows((await _caller(keys, sessions, connection)).role, role_of(route))
    except RefusalError:
        return False
    except StoreUnavailableError:
        return True


def not_let_in(detail: str | None = None, *, was_sent: bool) -> RefusalError:
    """The refusal of a request without a valid key. `was_sent`: it has sent something for one."""
    challenge = 'Bearer realm="flowengine"' + (', error="invalid_token"' if was_sent else "")
    return RefusalError("unauthorized", detail, headers={"WWW-Authenticate": challenge})


async def _caller(keys: CurrentKeys, sessions: PageSessions, connection: Connection) -> Caller:
    if not await keys.asks():
        return Caller(key=None, role="admin")
    credential = _credential(connection)
    if credential is not None:
        found = await keys.find(digest_of(credential))
    elif "authorization" in connection.headers:
        found = None
    else:
        found = await sessions.key_of(connection)
    if found is None:
        raise not_let_in(was_sent=credential is not None)
    return Caller(key=found.id, role=found.role, made_at=found.created_at, definitions=found.definitions)


def _check_role(caller: Caller, needed: Role) -> None:
    if not allows(caller.role, needed):
        raise RefusalError(
            "role_missing",
            f"This needs the role '{needed}'; the key '{caller.key}' has the role '{caller.role}'. "
            "See: flowengine help api",
        )


async def _check_scope(
    caller: Caller, connection: Connection, handler: BaseRouteHandler, definition_of: DefinitionOf
) -> None:
    """Raises RefusalError where a key for some definitions asks for what belongs to none of them, or for what
    no single one is asked about."""
    if handler.opt.get(NARROWS) is True:
        return
    asked = connection.path_params
    if EXECUTION in asked:
        is_there, name = await definition_of(str(asked[EXECUTION]))
        if not is_there or covers(caller.definitions, name):
            return
        raise not_for(caller, "what this execution was started from")
    if DEFINITION in asked:
        if covers(caller.definitions, str(asked[DEFINITION])):
            return
        raise not_for(caller, f"the definition {quoted(str(asked[DEFINITION]))}")
    raise not_for(caller, "requests that are not about one of these")


def not_for(caller: Caller, what: str) -> RefusalError:
    """The refusal of what a key for some definitions is not for."""
    patterns = ", ".join(quoted(pattern) for pattern in caller.definitions)
    return RefusalError(
        "definition_missing",
        f"The key '{caller.key}' with the role '{caller.role}' is for the definitions {patterns} only: it is "
        f"not for {what}. See: flowengine help api",
    )


def _credential(connection: Connection) -> str | None:
    sent = connection.headers.getall("authorization", [])
    scheme, _, credential = (sent[0] if len(sent) == 1 else "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not 0 < len(credential) <= _MAX_CREDENTIAL_CHARS:
        return None
    return credential
