"""Dramatiq's signals to its middleware, of which there are six for each message and most are heard by nobody.

Dramatiq calls every middleware at each of them. Here one that no middleware does anything at costs a look-up.
Nor do actors tell the log what they were called with.
"""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.middleware import Middleware


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
        """Tell the middleware what is about to happen."""
        heard = self._heard_before.get(signal)
        if heard is None:
            heard = self._heard_before[signal] = self._is_heard(f"before_{signal}")
        if heard:
            super().emit_before(signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Tell the middleware what has happened."""
        heard = self._heard_after.get(signal)
        if heard is None:
            heard = self._heard_after[signal] = self._is_heard(f"after_{signal}")
        if heard:
            super().emit_after(signal, *args, **kwargs)

    def _is_heard(self, signal: str) -> bool:
        """Whether some middleware does anything at this."""
        nothing = getattr(Middleware, signal, None)
        return any(getattr(type(each), signal, None) is not nothing for each in self.middleware)


class QuietActor(dramatiq.Actor[..., Any]):
    """An actor that neither logs its arguments, which are payloads, nor takes the time."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call its function."""
        return self.fn(*args, **kwargs)
