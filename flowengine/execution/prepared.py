"""An execution of a definition that is ready to begin, as a message carries it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from flowengine.workflow.limits.declared import MadeKeys


class Prepared(msgspec.Struct, frozen=True, omit_defaults=True):
    """An execution that is to begin: whatever needs templates has been rendered.

    `execution`: its id; `name` and `version`: of its definition; `at`: the time that its templates were told,
    in milliseconds since the epoch. `inputs`: what it is given, of which `secret` names what is secret;
    `vars`: those that are made, `late` those that are made where they are read. `conditions`: what the `when`
    of nodes gives that reads nothing else. `key`: that of its `concurrency`, where it had to be made; `keys`:
    those of nodes' limits.
    """

    execution: str
    name: str
    version: int
    at: int
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    secret: tuple[str, ...] = ()
    vars: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    late: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    conditions: Mapping[str, bool] = {}
    key: str | None = None
    keys: Mapping[str, MadeKeys] = {}
    labels: Mapping[str, str] = {}
