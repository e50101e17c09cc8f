"""The built-in handlers, for `load_registry` to collect.

Importing this imports no HTTP library: a process that only validates workflows needs the handlers' names and
schemas, and no client.
"""

from flowengine.handlers.builtin.aggregate import aggregate
from flowengine.handlers.builtin.assertion import assert_that
from flowengine.handlers.builtin.calling import workflow
from flowengine.handlers.builtin.compute import compute
from flowengine.handlers.builtin.ending import end
from flowengine.handlers.builtin.http_request import call_external_service, http_request
from flowengine.handlers.builtin.set_values import set_values
from flowengine.handlers.builtin.transform import transform
from flowengine.handlers.builtin.waiting import approval, signal, wait
from flowengine.handlers.llm.llm_service import llm_service

__all__ = [
    "aggregate",
    "approval",
    "assert_that",
    "call_external_service",
    "compute",
    "end",
    "http_request",
    "llm_service",
    "set_values",
    "signal",
    "transform",
    "wait",
    "workflow",
]
