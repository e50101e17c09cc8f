"""What a template reads: outputs of nodes, secrets, and what functions are given. Pure data."""

from __future__ import annotations

import msgspec

NODES = "nodes"
STATUSES = "statuses"
ERRORS = "errors"
SECRETS = "secrets"

JINJA_WORDS = frozenset(
    ("and", "else", "false", "if", "in", "is", "none", "not", "or", "true", "False", "None", "True")
)
"""The words of Jinja2's expressions: a template cannot read a node that is called so."""

FATES = {STATUSES: "status", ERRORS: "error"}
"""The names under which templates ask what became of a node, and the kind of such a reference."""

FATE_KINDS = frozenset({*FATES, *FATES.values()})

INPUTS = "inputs"
EXECUTION = "execution"
VARS = "vars"
TRIGGER = "trigger"
GIVEN = {INPUTS: "input", VARS: "var", EXECUTION: "execution field", TRIGGER: "trigger field"}
"""What an execution is given: the names under which templates read it, and the kind of a reference to one
member of it. All of it together has its own name as the kind."""

GIVEN_KINDS = {kind: root for root, kind in GIVEN.items()} | {root: root for root in GIVEN}
"""The kinds of such references: the name of what they read of."""

EXECUTION_FIELDS = (
    "id",
    "name",
    "run",
    "created_at",
    "started_at",
    "scheduled_at",
    "correlation_id",
    "labels",
    "version",
    "group_id",
)
"""What `execution` has. `scheduled_at`: the time of the schedule that has started it, or the one that a rerun
has made it of; null without one.
`group_id`: the id of the child execution that reads it, null outside of groups."""

TRIGGER_FIELDS = ("kind", "execution_id", "workflow", "status", "outputs", "schedule", "scheduled_at")
"""What `trigger` has: what has started the execution, as the API tells it. What another kind has is null."""

OUTCOME_FIELDS = ("status", "error", "failed_nodes", "counts")
"""What it has besides in hooks: how the main nodes have ended."""

PREVIOUS = "previous"
"""What the iteration before has given, of a node that repeats."""

CALLBACK_URL = "callback_url"
"""Where the callback of a node is posted to."""

ROOTS = frozenset(
    (
        *(NODES, SECRETS, STATUSES, ERRORS, INPUTS, EXECUTION, VARS, CALLBACK_URL, TRIGGER),
        *("item", "item_index", "item_key", "iteration", PREVIOUS, "attempt", "error"),
    )
)
"""What templates read besides nodes, or will: those that have no value yet are kept free for it."""

RESERVED_NAMES = ROOTS | JINJA_WORDS
"""Names that mean something in templates, and so can be no node's.

A function's name is not among them: `{{ range(3) }}` is a call, and `{{ range.result }}` reads a node.
"""

OUTPUT = "output"
PRIMARY = "primary"
SECRET = "secret"
MOMENT = "moment"
UUID = "uuid"
OF_NODES = frozenset((OUTPUT, PRIMARY))
"""The kinds of references that read a node's output."""


class Reference(msgspec.Struct, frozen=True):
    """A root that a template reads.

    `kind` is OUTPUT (a node's whole output), PRIMARY (`X.result`), "status", "error" (`statuses.X`,
    `errors.X`), SECRET, "input" (`inputs.X`) and the like, or what the rendering gives a function: MOMENT
    (the time of the handler's call) or UUID. `name` is the node's id, the secret's name, or which of the
    template's calls it is. "statuses" and "errors" are those of all nodes upstream, and have no name; nor
    has "inputs", which is all of them.
    """

    kind: str
    name: str


class FieldRead(msgspec.Struct, frozen=True):
    """Fields that a template reads one from the other, beginning at a node's output: `{{ node.a.b }}`, or at
    what the execution is given: `{{ inputs.a.b }}`, where `node` is `inputs`.

    `is_primary`: they begin at its primary value, `{{ node.result.a }}`. An item of a list is its number.
    """

    node: str
    is_primary: bool
    keys: tuple[str | int, ...]

    def is_at_or_below(self, other: FieldRead) -> bool:
        """Whether this is the other field, or a field of it."""
        same_root = (self.node, self.is_primary) == (other.node, other.is_primary)
        return same_root and self.keys[: len(other.keys)] == other.keys


class Analysis(msgspec.Struct, frozen=True):
    """What can be known of a string before anything has run.

    `is_template`: it holds template marks. `is_sole`: it is one whole expression, so its value keeps its
    type. `is_simple`: it only reads, and needs no compiler. `nodes`, `secrets`: the names it reads, each
    once, in order of appearance. `fields`: the fields that must be there, not those that `default` or `is
    defined` lets be absent. `fates`: the nodes of which it asks what became of them. `all_fates`: it asks so
    of all nodes upstream. `needed`: the nodes whose output must be there. `given`: what it reads of `inputs`
    and the like, as pairs of that name and of the member's; the latter is empty where all of it is read.
    """

    is_template: bool
    is_sole: bool = False
    is_simple: bool = False
    nodes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    fields: tuple[FieldRead, ...] = ()
    fates: tuple[str, ...] = ()
    all_fates: bool = False
    needed: tuple[str, ...] = ()
    given: tuple[tuple[str, str], ...] = ()


PLAIN = Analysis(is_template=False)
