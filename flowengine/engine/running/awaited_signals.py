"""What a node waits for whose handler has returned `Wait`."""

from __future__ import annotations

from flowengine.plugin import Handler, Wait
from flowengine.workflow.waits.wait_policy import DEFAULT_TIMEOUT_S, WaitPolicy


def policy_of(node: str, handler: Handler, asked: Wait) -> WaitPolicy:
    """What is stored of it. Without names the node waits for all signals that its handler declares."""
    declared = handler.signals or (node,)
    given = (asked.signal,) if isinstance(asked.signal, str) else asked.signal
    names = declared if given is None else tuple(dict.fromkeys(given))
    timeout_s = DEFAULT_TIMEOUT_S if asked.timeout_seconds is None else asked.timeout_seconds
    return WaitPolicy(
        "signal",
        round(timeout_s * 1000),
        names=names,
        several=len(names) > 1 if given is None else not isinstance(asked.signal, str),
        continues=asked.on_timeout == "continue",
    )
