"""Steps for messages that most stacks never send: each is imported and built by the first that needs it.

An orchestrator that has seen no bulk, no schedule and no chain of workflows keeps none of them in memory.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowengine.engine.advancing.steps.bulk_step import BulkStep
    from flowengine.engine.chains.chain_step import ChainStep
    from flowengine.engine.held import Held
    from flowengine.engine.schedules.schedule_step import ScheduleStep
    from flowengine.execution.messages import RunBulk, ScheduleDue, StartFollowers
    from flowengine.store.maintenance.sweep_reads import RedisSweepState


class RareSteps:
    """Of one orchestrator process. Threads share it; two may build a step at once, and one is kept."""

    def __init__(self, state: RedisSweepState) -> None:
        self._state = state

    def run_bulk(self, held: Held[RunBulk]) -> None:
        """Go on with a bulk."""
        self._bulks.fire(held)

    def fire_schedule(self, held: Held[ScheduleDue]) -> None:
        """Start what a schedule says is due."""
        self._schedules.fire(held)

    def start_followers(self, held: Held[StartFollowers]) -> None:
        """Start the definitions that follow an execution."""
        self._chains.start(held)

    @cached_property
    def _bulks(self) -> BulkStep:
        from flowengine.engine.advancing.steps.bulk_step import BulkStep
        from flowengine.store.bulks import RedisBulks

        return BulkStep(RedisBulks(self._state))

    @cached_property
    def _schedules(self) -> ScheduleStep:
        from flowengine.engine.schedules.schedule_step import ScheduleStep
        from flowengine.store.api_state import RedisApiState
        from flowengine.store.definitions.redis_definitions import RedisDefinitions
        from flowengine.store.schedules.redis_schedules import RedisSchedules

        return ScheduleStep(
            RedisSchedules(self._state), RedisDefinitions(self._state), RedisApiState(self._state)
        )

    @cached_property
    def _chains(self) -> ChainStep:
        from flowengine.engine.chains.chain_step import ChainStep
        from flowengine.store.api_state import RedisApiState
        from flowengine.store.chains.redis_chains import RedisChains
        from flowengine.store.definitions.redis_definitions import RedisDefinitions

        executions = RedisApiState(self._state)
        return ChainStep(RedisChains(self._state, executions), RedisDefinitions(self._state), executions)
