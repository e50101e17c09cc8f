"""What the routes work with. Made once for the app; every route gets it."""

from __future__ import annotations

import msgspec

from flowengine.api.access.current_keys import CurrentKeys
from flowengine.api.access.page_sessions import PageSessions
from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.api.edge.large_body_memory import MemoryBudget
from flowengine.api.ports import Access, Executions
from flowengine.api.routes.definitions.checked_documents import CheckedDocuments
from flowengine.api.watching.live_reader import LiveReader
from flowengine.plugin import Registry
from flowengine.settings import Limits, Settings


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """`registry`: the handlers that workflows may name. `request_budget`: of large request bodies;
    `response_budget`: of large answers. `live`: what reads for those who watch.
    `checked`: documents that are applied."""

    executions: Executions
    access: Access
    keys: CurrentKeys
    sessions: PageSessions
    registry: Registry
    settings: Settings
    limits: Limits
    calls: BlockingCalls
    request_budget: MemoryBudget
    response_budget: MemoryBudget
    live: LiveReader
    checked: CheckedDocuments
