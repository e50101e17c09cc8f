"""The calls that answer nodes which wait: signals."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from flowengine.client.call import Call
from flowengine.execution.views import SignalledView
from flowengine.jsonvalue import JsonValue


def signal(execution_id: str, name: str, payload: JsonValue = None) -> Call[SignalledView]:
    """Send an execution a signal, with what it carries. It is kept until a node takes it."""
    return Call(
        method="POST",
        path=f"/workflows/{quote(execution_id, safe='')}/signals/{quote(name, safe='')}",
        answer=SignalledView,
        body=msgspec.json.encode(payload),
    )
