"""The commands that ask a stack, in the order in which a newcomer meets them."""

from __future__ import annotations

from typing import Final

import click

from flowengine.cli.stack.dead_letters import dead_letters
from flowengine.cli.stack.definitions.applying import apply, diff
from flowengine.cli.stack.definitions.listing import definitions
from flowengine.cli.stack.definitions.schedules import schedules
from flowengine.cli.stack.history import events, logs
from flowengine.cli.stack.listing import list_executions
from flowengine.cli.stack.service import limits, queues, stats, workers
from flowengine.cli.stack.showing import results, show
from flowengine.cli.stack.starting import submit, trigger
from flowengine.cli.stack.steering.answering import approve, reject, signal
from flowengine.cli.stack.steering.bulk import bulk
from flowengine.cli.stack.steering.overruling import complete, fail, skip
from flowengine.cli.stack.steering.rerunning import rerun
from flowengine.cli.stack.steering.stopping import cancel, delete, pause, resume

STACK_COMMANDS: Final[tuple[click.Command, ...]] = (
    submit,
    trigger,
    apply,
    diff,
    definitions,
    schedules,
    list_executions,
    show,
    results,
    logs,
    events,
    cancel,
    pause,
    resume,
    delete,
    rerun,
    bulk,
    signal,
    approve,
    reject,
    skip,
    complete,
    fail,
    dead_letters,
    queues,
    workers,
    limits,
    stats,
)
