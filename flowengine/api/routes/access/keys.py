"""`/keys`: the keys of the API, listed and revoked. Made they are by `flowengine key new` alone."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, delete, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, Parameter, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.execution.views.access import KeysView, KeyView, RevokedKeyView, key_view

UNKNOWN_OUTCOME: Final = "The key may be revoked, or may still be. GET /keys tells."
_MAX_SHOWN_CHARS: Final = 64

KEY_ID_PARAMETER: Final = Parameter(
    component="KeyId",
    name="key_id",
    location="path",
    description="The `id` that GET /keys shows.",
    schema={"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"},
    example="ci",
)
LISTED: Final = KeysView(
    items=(
        KeyView(id="ops", role="admin", kept_in="settings"),
        KeyView(
            id="ci",
            role="run",
            kept_in="redis",
            created_at=example.moment(0),
            expires_at=example.moment(90 * 86_400),
            last_used_at=example.moment(3600),
        ),
    )
)
LIST_KEYS: Final = Operation(
    summary="List the keys",
    description="Those of the settings of the process that answers, then those in Redis, expired ones too. "
    "Nothing of the keys themselves is known. `flowengine key new` makes one.",
    responses={200: ViewResponse("All keys", KeysView, {"keys": LISTED})},
    refusals=("unknown_parameter",),
    tag="access",
)
REVOKE_KEY: Final = Operation(
    summary="Revoke a key",
    description="No process lets it in for longer than 15 seconds. The API goes on asking for a key when the "
    "last one is gone. A key of the settings is revoked there.",
    parameters=(KEY_ID_PARAMETER,),
    responses={200: ViewResponse("Revoked", RevokedKeyView, {"revoked": RevokedKeyView(id="ci")})},
    refusals=("not_supported", "key_not_found", "key_in_settings", "unknown_parameter"),
    tag="access",
)


def list_route(backend: Backend) -> HTTPRouteHandler:
    """The list, over this backend."""

    @get("/keys", opt={OPERATION: LIST_KEYS, NEEDS_ROLE: "admin"})
    async def list_keys(request: Request[Any, Any, Any]) -> Response[bytes]:
        found = await backend.calls.store(lambda: backend.access.keys({}))
        listed = (*backend.keys.fixed(), *found.keys)
        view = KeysView(items=tuple(key_view(key, found.now) for key in listed))
        return json_response(msgspec.json.encode(view))

    return list_keys


def revoke_route(backend: Backend) -> HTTPRouteHandler:
    """The revocation, over this backend."""

    @delete("/keys/{key_id:str}", opt={OPERATION: REVOKE_KEY, NEEDS_ROLE: "admin"}, status_code=200)
    async def revoke_key(key_id: FromPath[str]) -> Response[bytes]:
        with outcome_unknown(UNKNOWN_OUTCOME):
            was_there = await backend.calls.store(lambda: backend.access.revoke(key_id))
        if not was_there:
            raise _not_revoked(backend, key_id)
        backend.keys.forget()
        return json_response(msgspec.json.encode(RevokedKeyView(id=key_id)))

    return revoke_key


def _not_revoked(backend: Backend, key_id: str) -> RefusalError:
    if key_id in {key.id for key in backend.keys.fixed()}:
        return RefusalError(
            "key_in_settings",
            f"The key '{key_id}' is in FLOWENGINE_API_KEYS: take its entry out there, and restart the API.",
        )
    return RefusalError(
        "key_not_found", f"no key is called {key_id[:_MAX_SHOWN_CHARS]!r}; GET /keys lists them"
    )
