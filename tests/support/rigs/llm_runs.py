"""Running `llm_service` in a test against a scripted server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from tests.support.rigs.handler_runs import Runs
from tests.support.servers.model_server import ModelServer

ASK: dict[str, JsonValue] = {"prompt": "Hi", "model": "m"}


def ask(
    runs: Runs,
    server: ModelServer,
    config: Mapping[str, JsonValue] = ASK,
    *,
    timeout_s: float = 10.0,
    base: str = "/v1",
    **settings: str,
) -> dict[str, Any]:
    """The output of `llm_service`."""
    environment = {
        "LLM_BASE_URL": server.base_url(base),
        "FLOWENGINE_RETRY_BASE_SECONDS": "0.01",
        **settings,
    }
    return runs.run("llm_service", config, timeout_s=timeout_s, environment=environment)


def failing(
    runs: Runs,
    server: ModelServer,
    config: Mapping[str, JsonValue] = ASK,
    *,
    timeout_s: float = 10.0,
    base: str = "/v1",
    **settings: str,
) -> HandlerError:
    """What `llm_service` fails with."""
    with pytest.raises(HandlerError) as caught:
        ask(runs, server, config, timeout_s=timeout_s, base=base, **settings)
    return caught.value
