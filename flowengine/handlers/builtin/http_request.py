"""`http_request` and `call_external_service`: one HTTP call, and its answer as data."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from flowengine.execution.error_codes import INVALID_RESPONSE, RESPONSE_TOO_LARGE
from flowengine.jsonvalue import JsonValue, NotJsonError
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.literal_check import LiteralCheck
from flowengine.plugin.registry import handler
from flowengine.settings.model import HttpSettings

Scalar = str | int | float | bool


def _wrong_with_url(url: str) -> str | None:
    from flowengine.handlers.http.outgoing_request import wrong_with_url

    return wrong_with_url(url)


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request."""

    url: Annotated[
        str,
        msgspec.Meta(description="Where to: an http:// or https:// address."),
        LiteralCheck(_wrong_with_url),
    ]
    method: Annotated[str, msgspec.Meta(description="GET, POST, PUT, PATCH, DELETE, ...")] = "GET"
    headers: Annotated[
        dict[str, Scalar],
        msgspec.Meta(
            description="X-Correlation-ID and Idempotency-Key are added where they are not set here."
        ),
    ] = {}
    body: Annotated[
        Any, msgspec.Meta(description="Text is sent as it is, anything else as JSON; null is no body.")
    ] = None
    params: Annotated[
        dict[str, Scalar | list[Scalar] | None],
        msgspec.Meta(description="Added to the address's query; a list repeats its name."),
    ] = {}


class HttpOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `data` is the parsed JSON, else the text; header names are lower-cased."""

    status_code: int
    headers: dict[str, str]
    data: JsonValue


@handler("http_request", primary="data", output=HttpOutput)
def http_request(config: HttpConfig, context: Context, settings: HttpSettings) -> HttpOutput:
    """Makes one HTTP request; retries 5xx, 429, timeouts and connection failures by itself."""
    return _request(config, context, settings)


@handler("call_external_service", primary="data", output=HttpOutput)
def call_external_service(config: HttpConfig, context: Context, settings: HttpSettings) -> HttpOutput:
    """Calls an external HTTP service; retries 5xx, 429, timeouts and connection failures by itself."""
    return _request(config, context, settings)


def _request(config: HttpConfig, context: Context, settings: HttpSettings) -> HttpOutput:
    # Imported at the first call, since processes that only validate workflows need no HTTP client.
    from flowengine.handlers.http.answer import AnswerTooLargeError, data_of
    from flowengine.handlers.http.outgoing_request import prepare_request
    from flowengine.handlers.http.retries import call

    request = prepare_request(
        method=config.method, url=config.url, headers=config.headers, params=config.params, body=config.body
    )
    answer = call(request, context, retry_base_s=settings.retry_base_s)
    try:
        data = data_of(answer, settings.max_result_bytes)
    except AnswerTooLargeError as error:
        raise HandlerError(RESPONSE_TOO_LARGE.code, f"{request.label}: {error}") from error
    except NotJsonError as error:
        raise HandlerError(
            INVALID_RESPONSE.code, f"{request.label}: the answer says it is JSON and is not: {error}"
        ) from error
    return HttpOutput(status_code=answer.status_code, headers=answer.headers, data=data)
