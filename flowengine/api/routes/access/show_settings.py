"""`GET /settings`: how the process that answers is set up, without a secret."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.execution.views.access import SettingsView, SettingView
from flowengine.observability.logs import redacted
from flowengine.settings import Settings
from flowengine.settings.shown import shown_settings

SHOWN: Final = SettingsView(
    items=(
        SettingView(
            name="REDIS_URL",
            value="***",
            default="redis://localhost:6379/0",
            summary="Redis or Valkey: state and queues.",
            allowed="a URL that starts with redis://, rediss://, unix://",
        ),
        SettingView(
            name="FLOWENGINE_LEASE_SECONDS",
            value="12.0",
            default="12.0",
            summary="How long a silent worker keeps its nodes before others take them over.",
            allowed="a number from 0.5 to 3600",
        ),
    )
)
SHOW_SETTINGS: Final = Operation(
    summary="The settings",
    description="Those of the API process that answers; other services have their own. A secret that is set "
    "is `***`.",
    responses={200: ViewResponse("All settings", SettingsView, {"settings": SHOWN})},
    refusals=("unknown_parameter",),
    tag="access",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/settings", opt={OPERATION: SHOW_SETTINGS, NEEDS_ROLE: "admin"})
    async def show_settings(request: Request[Any, Any, Any]) -> Response[bytes]:
        return json_response(msgspec.json.encode(_view(backend.settings)))

    return show_settings


def _view(settings: Settings) -> SettingsView:
    return SettingsView(
        items=tuple(
            SettingView(
                name=shown.name,
                value=None if shown.value is None else redacted(shown.value),
                default=shown.default,
                summary=shown.summary,
                allowed=shown.allowed,
            )
            for shown in shown_settings(settings)
        )
    )
