"""What a node says about when it runs, and about what becomes of its failure (LANGUAGE sections 3 and 4).

Pure data, stored with the plan. Most nodes say nothing and have the plain policy, which is not stored.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

from flowengine.workflow.children.called import Calls
from flowengine.workflow.children.group import Group, Outer
from flowengine.workflow.limits.declared import (
    CachePolicy,
    Concurrency,
    KeyTemplates,
    MadeKeys,
    NodeConcurrency,
    RateLimit,
)
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.priority import NORMAL, Priority
from flowengine.workflow.repeating.repeat import Repeat
from flowengine.workflow.waits.wait_policy import WaitPolicy

TriggerRule: TypeAlias = Literal[
    "all_success",
    "none_failed",
    "none_failed_min_one_success",
    "all_done_min_one_success",
    "one_success",
    "all_done",
    "one_failed",
    "all_failed",
]
TRIGGER_RULES: Final[tuple[TriggerRule, ...]] = get_args(TriggerRule)

RULES_WITHOUT_DEPENDENCIES: Final[tuple[TriggerRule, ...]] = ("all_success", "none_failed", "all_done")
"""The rules that a node may have that depends on nothing."""

ANY_CODE: Final = "all"
"""In `retry.only`: every error, also a permanent one."""


ERROR: Final = "error"
ATTEMPT: Final = "attempt"
"""What `retry.when` reads besides what the node reads: the error of the try, and its number."""


Within: TypeAlias = Literal["", "iteration", "previous"]


class Retry(msgspec.Struct, frozen=True, omit_defaults=True):
    """How often a node is tried, and how long it waits between tries.

    `max_attempts` counts all tries. The wait after try n is `delay_ms` times `multiplier` to the power of n -
    1, at most `max_delay_ms`, and up to the share `jitter` of it more or less. No try begins later than
    `max_ms` after the first. `only` and `exclude` are error codes and patterns of HTTP statuses (`http_5xx`).
    `when` is a template that the worker renders which reports the failure.
    """

    max_attempts: int = 3
    delay_ms: int = 1000
    multiplier: float = 2.0
    max_delay_ms: int = 60_000
    jitter: float = 0.0
    max_ms: int = 86_400_000
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    when: str | None = None


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One node's policy.

    `when` is a template that a worker renders.
    `tolerates`: which of its failures the execution goes on after: none, every one, or those with these
    codes. `sees` are the indexes of the ancestors of which its templates read what became of them, or that
    may not have completed when it runs. `output_schema` is the JSON Schema of its primary value, as JSON.
    `given`: what its templates read of what the execution is given, such as `inputs`. `ends`: it is an `end`,
    so that its own end stops the execution. `gives_outputs`: it gives the execution's outputs as well.
    `waits`: what it waits for once it has run. `repeat`: it runs again and again. `group`: it runs as a child
    execution. `outer`: what it reads of the executions around its own.
    `concurrency`: how many of its kind run at once; `rate_limit`: how often they start. `map`: it runs once
    for each item of a list. `calls`: it runs as an execution of a definition. `cache`: for how long what it
    has given is given again. `items`: what the items of maps are called that it reads, of maps around its
    group. `within`: what it reads of the iteration of a group around it that repeats: its number, or also
    what the iteration before has given. `late_keys`: the keys of its limits are made when
    it is due, by a worker.
    """

    trigger_rule: TriggerRule = "all_success"
    when: str | None = None
    tolerates: bool | tuple[str, ...] = False
    retry: Retry | None = None
    sees: tuple[int, ...] = ()
    output_schema: str | None = None
    given: tuple[str, ...] = ()
    ends: bool = False
    gives_outputs: bool = False
    waits: WaitPolicy | None = None
    repeat: Repeat | None = None
    group: Group | None = None
    outer: tuple[Outer, ...] = ()
    concurrency: NodeConcurrency | None = None
    rate_limit: RateLimit | None = None
    map: MapPolicy | None = None
    calls: Calls | None = None
    cache: CachePolicy | None = None
    items: tuple[str, ...] = ()
    within: Within = ""
    late_keys: bool = False

    def keys_to_make(self, made: MadeKeys | None) -> KeyTemplates | None:
        """What a worker is to make the keys of the node's limits of, once it is due; None: nothing, or they
        were `made`."""
        turn, pace = self.concurrency, self.rate_limit
        if made is not None or (turn is None and pace is None):
            return None
        wanted = KeyTemplates(
            turn.key if turn is not None and turn.makes_key else None,
            pace.key if pace is not None and pace.makes_key else None,
        )
        return None if wanted == NO_KEYS else wanted


NO_KEYS: Final = KeyTemplates()
PLAIN: Final = Policy()


class ExecutionPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a document says of its executions as a whole.

    `timeout_ms`: how long one run may take, waits included; 0: as long as it takes. `stops_on_failure`: the
    first failure that is not tolerated stops it. `concurrency`: how many of them run at once. `priority`: how
    soon their nodes run beside those of others.
    """

    timeout_ms: int = 0
    stops_on_failure: bool = False
    concurrency: Concurrency | None = None
    priority: Priority = NORMAL


PLAIN_EXECUTION: Final = ExecutionPolicy()
