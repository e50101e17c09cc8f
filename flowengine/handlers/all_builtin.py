"""The built-in handlers, for `load_registry` to collect.

Importing this imports no HTTP library: a process that only validates workflows needs the handlers' names and
schemas, and no client.
"""

from flowengine.handlers.builtin.aggregate import aggregate
from flowengine.handlers.builtin.compute import compute
from flowengine.handlers.builtin.http_request import call_external_service, http_request
from flowengine.handlers.builtin.transform import transform
from flowengine.handlers.llm.llm_service import llm_service

__all__ = ["aggregate", "call_external_service", "compute", "http_request", "llm_service", "transform"]
