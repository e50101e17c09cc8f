"""The API, put together: Litestar with our routes, keys and problem documents, inside our middleware."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from litestar import Litestar, Request, Response
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from flowengine.api.access.api_keys import key_of_entry
from flowengine.api.access.current_keys import CurrentKeys
from flowengine.api.access.host_rules import needs_keys, served_hosts_only
from flowengine.api.access.key_guard import Guard, key_guard
from flowengine.api.access.page_sessions import PageSessions
from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.api.edge.correlation_id import correlation_id_of
from flowengine.api.edge.outer_middleware import OuterMiddleware, path_of
from flowengine.api.edge.problem_documents import MEDIA_TYPE, problem_response, refusal_for
from flowengine.api.edge.request_bodies import request_budget
from flowengine.api.edge.responses import response_budget
from flowengine.api.edge.unsupported_parts import refuse_unsupported
from flowengine.api.openapi.document import openapi_document
from flowengine.api.ports import Access, Executions
from flowengine.api.routes.all_routes import ROUTES
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.checked_documents import CheckedDocuments
from flowengine.api.routes.service.documentation_pages import documentation_routes
from flowengine.api.routes.service.page_files import page_routes
from flowengine.api.watching.live_reader import LiveReader
from flowengine.engine.ports import Cursor, Seen
from flowengine.plugin import Registry
from flowengine.settings import Settings
from flowengine.workflow.schema import document_schema

WORKFLOW_SCHEMA: Final = "workflow.schema.json"


def create_app(
    executions: Executions,
    registry: Registry,
    settings: Settings,
    access: Access,
    schemas: Mapping[str, Callable[[], object]] = MappingProxyType({}),
) -> Application:
    """The API over a store and the handlers that workflows may name. Starts nothing.

    `schemas`: what is served to editors below /docs beside the schema of workflows, by the names of files.
    """
    calls = BlockingCalls(store_timeout_s=settings.api_timeout_s)
    keys = CurrentKeys(
        map(key_of_entry, settings.api_keys),
        access.keys,
        calls,
        always_asks=needs_keys(settings, settings.api_host, insecure=settings.insecure),
    )
    sessions = PageSessions(access, keys, calls)

    async def look(cursors: Sequence[Cursor]) -> Sequence[Seen]:
        return await calls.store(lambda: executions.look(cursors))

    async def catch_up(cursors: Sequence[Cursor]) -> Sequence[Seen]:
        return await calls.watch(lambda: executions.look(cursors))

    live = LiveReader(look, catch_up)
    backend = Backend(
        executions=executions,
        access=access,
        keys=keys,
        sessions=sessions,
        registry=registry,
        settings=settings,
        limits=settings.limits,
        calls=calls,
        request_budget=request_budget(settings.limits),
        response_budget=response_budget(settings.limits),
        live=live,
        checked=CheckedDocuments(registry, settings.limits),
    )
    routes = [make(backend) for make in ROUTES]
    documentation = documentation_routes(
        lambda asks: openapi_document(routes, registry, asks_for_keys=asks),
        {WORKFLOW_SCHEMA: lambda: document_schema(registry, settings.limits), **schemas},
        keys,
        calls,
    )

    async def definition_of(execution_id: str) -> tuple[bool, str | None]:
        return await calls.store(lambda: executions.definition_of(execution_id))

    guard = key_guard(keys, sessions, definition_of)
    is_served = served_hosts_only(settings, lambda: keys.asks_now)
    return Application([*routes, *documentation, *page_routes(calls)], guard, is_served, backend)


class Application(Litestar):
    """Litestar inside our middleware: its own would see requests to known routes only."""

    def __init__(
        self,
        routes: Sequence[HTTPRouteHandler],
        guard: Guard,
        is_served: Callable[[str], bool],
        backend: Backend,
    ) -> None:
        self.live = backend.live
        """What reads for those who watch: the server ends their streams before it waits for connections."""
        self._outer = OuterMiddleware(is_served, backend.response_budget, backend.calls)
        super().__init__(
            routes,
            guards=[guard],
            before_request=refuse_unsupported,
            exception_handlers={Exception: _refuse},
            on_shutdown=[backend.calls.close],
            openapi_config=None,
            logging_config=None,
            request_max_body_size=None,
            debug=False,
        )

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        if scope["type"] == ScopeType.HTTP:
            await self._outer(super().__call__, scope, receive, send)  # type: ignore[arg-type]  # an http scope comes with an http receive and send
        else:
            await super().__call__(scope, receive, send)


def _refuse(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    sent = problem_response(
        refusal_for(error), path=path_of(request.scope), correlation_id=correlation_id_of(request.scope)
    )
    return Response(sent.body, status_code=sent.status, headers=sent.headers, media_type=MEDIA_TYPE)
