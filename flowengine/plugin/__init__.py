"""All that the author of a handler imports. Stable; the built-in handlers use the same interface.

import msgspec
from flowengine.plugin import Context, handler

class Greet(msgspec.Struct):
    name: str

@handler("greet")
def greet(config: Greet, context: Context) -> dict[str, str]:
    '''Says hello.'''
    return {"result": f"Hello, {config.name}"}
"""

from flowengine.plugin.context import Cancellation, Context, Log
from flowengine.plugin.errors import AttemptError, HandlerError, HandlerTimeoutError, Later, ModelCall
from flowengine.plugin.literal_check import LiteralCheck
from flowengine.plugin.registry import AnyObject, Handler, Registry, handler
from flowengine.plugin.waiting import Wait
from flowengine.settings.model import HttpSettings, LlmSettings

__all__ = [
    "AnyObject",
    "AttemptError",
    "Cancellation",
    "Context",
    "Handler",
    "HandlerError",
    "HandlerTimeoutError",
    "HttpSettings",
    "Later",
    "LiteralCheck",
    "LlmSettings",
    "Log",
    "ModelCall",
    "Registry",
    "Wait",
    "handler",
]
