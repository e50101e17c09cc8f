"""Dramatiq's signals to its middleware, of which there are six for each message and most are heard by nobody.

Dramatiq calls every middleware at each of them. Here one that no middleware does anything at costs a look-up,
and the broker itself hears when a thread begins with a message and when it ends. Nor do actors tell the log
what they were called with.
"""

from __future__ import annotations

from typing import Any, Final

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware

_PROCESSED: Final = frozenset(("process_message", "skip_message"))
"""One of these follows each message that a thread has begun with."""


class QuietSignals(dramatiq.Broker):
    """A broker whose middleware are asked only about what some of them listens to."""

    def __init__(self, middleware: list[Middleware]) -> None:
        self._heard_before: dict[str, bool] = {}
        self._heard_after: dict[str, bool] = {}
        super().__init__(middleware=middleware)

    def add_middleware(
        self,
        middleware: Middleware,
        *,
        before: type[Middleware] | None = None,
        after: type[Middleware] | None = None,
    ) -> None:
        """Add it behind the others, or beside one of them."""
        super().add_middleware(middleware, before=before, after=after)
        self._heard_before.clear()
        self._heard_after.clear()

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Tell the middleware what is about to happen. They hear of a message that has begun."""
        if signal == "process_message":
            self.begin(args[0])
        heard = self._heard_before.get(signal)
        if heard is None:
            heard = self._heard_before[signal] = self._is_heard(f"before_{signal}")
        if heard:
            super().emit_before(signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Tell the middleware what has happened. The message ends once they have heard of it."""
        heard = self._heard_after.get(signal)
        if heard is None:
            heard = self._heard_after[signal] = self._is_heard(f"after_{signal}")
        if heard:
            super().emit_after(signal, *args, **kwargs)
        if signal in _PROCESSED:
            self.end()

    def begin(self, message: MessageProxy) -> None:
        """The calling thread starts to process a message."""

    def end(self) -> None:
        """The calling thread has processed its message, or skipped it."""

    def _is_heard(self, signal: str) -> bool:
        """Whether some middleware does anything at this."""
        nothing = getattr(Middleware, signal, None)
        return any(getattr(type(each), signal, None) is not nothing for each in self.middleware)


class QuietActor(dramatiq.Actor[..., Any]):
    """An actor that neither logs its arguments, which are payloads, nor takes the time."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call its function."""
        return self.fn(*args, **kwargs)
