"""The rules of DESIGN sections 2 and 3, by layer, each with a change to the code that breaks it."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations import (
    access,
    broker,
    chains,
    children,
    closing,
    deciding,
    definitions,
    deleting,
    deliveries,
    engine,
    execution,
    forking,
    history,
    idempotency,
    inputs,
    limits,
    lists,
    maps,
    operations,
    overruling,
    pausing,
    processes,
    queues,
    repeating,
    rerunning,
    schedules,
    stopping,
    store,
    threadless,
    waits,
)
from tests.fault.mutations.mutant import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = (
    *execution.MUTANTS,
    *deciding.MUTANTS,
    *definitions.MUTANTS,
    *engine.MUTANTS,
    *inputs.MUTANTS,
    *limits.MUTANTS,
    *forking.MUTANTS,
    *idempotency.MUTANTS,
    *store.MUTANTS,
    *lists.MUTANTS,
    *maps.MUTANTS,
    *broker.MUTANTS,
    *queues.MUTANTS,
    *stopping.MUTANTS,
    *closing.MUTANTS,
    *pausing.MUTANTS,
    *waits.MUTANTS,
    *deleting.MUTANTS,
    *rerunning.MUTANTS,
    *schedules.MUTANTS,
    *chains.MUTANTS,
    *repeating.MUTANTS,
    *overruling.MUTANTS,
    *processes.MUTANTS,
    *access.MUTANTS,
    *history.MUTANTS,
    *deliveries.MUTANTS,
    *children.MUTANTS,
    *operations.MUTANTS,
    *threadless.MUTANTS,
)

__all__ = ["MUTANTS", "Mutant"]
