"""The environment that each service of one stack starts with: its own credentials, and not the others'.

A process that has no use for a secret must not be able to show it: the API faces the network, and the
orchestrator runs no handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SECRETS: Final = "FLOWENGINE_SECRET_"
_NEEDED_BY: Final = {
    "LLM_API_KEY": ("worker",),
    "FLOWENGINE_API_KEYS": ("api",),
    "FLOWENGINE_WEBHOOK_KEY": ("api", "worker"),
}


def service_environment(service: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what other services need. Workflows' secrets are for workers only.

    A credential is set to nothing and not left out, so that the service does not read it from `.env`.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if service == "worker" or not name.startswith(_SECRETS)
    }
    for name, owners in _NEEDED_BY.items():
        if service not in owners:
            kept |= {name: "", f"{name}_FILE": ""}
    return kept
