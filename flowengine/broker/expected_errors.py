"""Lets an actor name the exceptions that are no news to Dramatiq's log.

Dramatiq reads the option `throws`, but only its Retries middleware, which has no place here, admits it.
"""

from __future__ import annotations

from dramatiq.middleware import Middleware


class ExpectedErrors(Middleware):
    """Admits the actor option `throws`."""

    @property
    def actor_options(self) -> set[str]:
        """The options that actors may carry."""
        return {"throws"}
