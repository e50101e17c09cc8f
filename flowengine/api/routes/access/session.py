"""`/session`: a page signs in with a key, and out again. From then on a cookie stands for the key."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, delete, post
from litestar.handlers import HTTPRouteHandler

from flowengine.access.acting import Note, act
from flowengine.access.records import ApiKey
from flowengine.api.access.api_keys import digest_of
from flowengine.api.access.key_guard import KEY_ID, NEEDS_NO_KEY, actor_of, not_let_in
from flowengine.api.access.page_sessions import LASTS_S, session_cookie, token_of
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, BodyExample, Operation, RequestBody, ViewResponse
from flowengine.api.openapi.schemas import SIGN_IN
from flowengine.api.routes.access.sign_in_body import read_sign_in
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.execution.views.access import EndedSessionView, SessionView
from flowengine.execution.views.executions import moment

SIGN_IN_BODY: Final = RequestBody(
    description="The key.",
    schema=SIGN_IN,
    media_types=("application/json",),
    examples={"key": BodyExample("A key", {"key": "fe_..."})},
)
START_SESSION: Final = Operation(
    summary="Sign in",
    description="For pages in a browser: the answer sets a cookie, which stands for the key for 12 hours, or "
    "as long as the key is valid. No script can read it, and no page of another site has it sent. Open "
    "without a key.",
    body=SIGN_IN_BODY,
    responses={
        201: ViewResponse(
            "Signed in",
            SessionView,
            {"session": SessionView(key="ci", role="run", expires_at=example.moment(LASTS_S))},
        )
    },
    refusals=(
        "unauthorized",
        "not_supported",
        "malformed_document",
        "request_timeout",
        "body_too_large",
        "unsupported_media_type",
        "invalid_body",
        "unknown_parameter",
    ),
    tag="access",
)
END_SESSION: Final = Operation(
    summary="Sign out",
    description="Ends the session that the cookie names, and takes the cookie away. Open without a key.",
    responses={
        200: ViewResponse(
            "There is no session any more",
            EndedSessionView,
            {"ended": EndedSessionView(ended=True), "none": EndedSessionView(ended=False)},
        )
    },
    refusals=("not_supported", "unknown_parameter"),
    tag="access",
)


def start_route(backend: Backend) -> HTTPRouteHandler:
    """The start, over this backend."""

    @post("/session", opt={OPERATION: START_SESSION, NEEDS_NO_KEY: True})
    async def start_session(request: Request[Any, Any, Any]) -> Response[bytes]:
        secret = await read_sign_in(request, backend)
        key = await backend.keys.find(digest_of(secret))
        if key is None:
            raise not_let_in("The key is not valid.", was_sent=True)
        _tell("start_session", request, key)
        token, lasts_s = await backend.sessions.start(key)
        ends_at = await backend.keys.now() + lasts_s * 1000
        view = SessionView(key=key.id, role=key.role, expires_at=moment(ends_at))
        cookie = session_cookie(request, token, lasts_s)
        return json_response(msgspec.json.encode(view), 201, {"Set-Cookie": cookie})

    return start_session


def end_route(backend: Backend) -> HTTPRouteHandler:
    """The end, over this backend."""

    @delete("/session", opt={OPERATION: END_SESSION, NEEDS_NO_KEY: True}, status_code=200)
    async def end_session(request: Request[Any, Any, Any]) -> Response[bytes]:
        ended, token = False, token_of(request)
        if token is not None:
            _tell("end_session", request, await backend.sessions.key_of(request))
            ended = await backend.sessions.end(token)
        cookie = session_cookie(request, "", 0)
        return json_response(
            msgspec.json.encode(EndedSessionView(ended=ended)), headers={"Set-Cookie": cookie}
        )

    return end_session


def _tell(action: str, request: Request[Any, Any, Any], key: ApiKey | None) -> None:
    """To the audit and to the log."""
    key_id = None if key is None else key.id
    act(Note(action=action, actor=actor_of(request, key_id), target=key_id))
    if key_id is not None:
        request.scope["state"][KEY_ID] = key_id
