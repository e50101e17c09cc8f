"""Checks the templates of a node's config before anything runs: their syntax, and what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.jsonvalue import pointer_to
from flowengine.settings import Limits
from flowengine.template import Analysis, FieldRead, TemplateError, analyse
from flowengine.template.compiling import simple_analysis
from flowengine.template.expression_length import exceeding
from flowengine.template.reference import CALLBACK_URL
from flowengine.template.simple_templates import Path, read_simple
from flowengine.workflow.checking.around import NOTHING_AROUND
from flowengine.workflow.checking.dependencies import Links
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import MAX_PROBLEMS, Report
from flowengine.workflow.checking.templates.given_references import OUTCOME, GivenCheck, Unreadable
from flowengine.workflow.checking.templates.output_fields import (
    DeclaredOutput,
    MissingField,
    kinds_of_read,
    missing_field,
)
from flowengine.workflow.checking.templates.template_cost import (
    COMPILE_COST,
    COMPLEX_FACTOR,
    TEMPLATE_COST,
    cost_of,
)
from flowengine.workflow.checking.templates.templated_texts import (
    IN_CALLBACK,
    IN_MAP,
    IN_REPEAT,
    IN_RETRY,
    NOTHING_MORE,
    SecretRule,
    TemplatedText,
    Where,
    cache_texts,
    conditions,
    limit_texts,
    map_texts,
    ruled_texts,
    templates_in,
)
from flowengine.workflow.children.group import Outer
from flowengine.workflow.maps.output import DECLARED as MAP_OUTPUT
from flowengine.workflow.maps.policy import names_of
from flowengine.workflow.policy import ERROR, Within
from flowengine.workflow.problems import Problem, did_you_mean, quoted
from flowengine.workflow.repeating.repeat import ITERATION, PREVIOUS
from flowengine.workflow.stages import Stage, is_hook

_STATUS_CODE: Final = FieldRead(ERROR, is_primary=False, keys=("status_code",))
MAX_LISTED: Final = 20
MAX_TEMPLATE_WORK: Final = 1_000_000


class _TryError(msgspec.Struct):
    """What `error` has."""

    code: str
    message: str
    status_code: int = 0


_GIVEN_IN_RETRY: Final = {ERROR: DeclaredOutput("", _TryError, None)}


class _Read(msgspec.Struct, frozen=True):
    """A template of this document that is right in itself, and the nodes it reads.

    `sources` are the numbers of the nodes whose outputs it reads, `fates` of those of which it asks what
    became of them. `bits` has bit `n` set for node `n` of both, and `unknown` counts the names that are no
    node's. `missing` are the fields that the nodes' outputs cannot have, `needed` the nodes whose output must
    be there. `unreadable`: what it reads of what the execution is given, and cannot.
    """

    analysis: Analysis
    sources: tuple[int, ...]
    bits: int
    unknown: int
    missing: tuple[MissingField, ...]
    fates: tuple[int, ...] = ()
    needed: tuple[int, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


class Reads(msgspec.Struct, frozen=True):
    """What a node's templates read: the indexes of nodes whose output they read, and of those of which they
    read what became of them, or whose output may be missing. Ascending. `given`: what they read of what the
    execution is given; of an execution with secrets, every node reads its `inputs`, to keep these out of what
    it gives. `previous`: they read what the iteration before has given. `outer`: what they read of nodes
    outside of their group. `items`: what the items around it are called that they read. `iteration`: they
    read its number. `late_keys`: the keys of its limits cannot be made when an execution is triggered."""

    outputs: tuple[int, ...] = ()
    sees: tuple[int, ...] = ()
    given: tuple[str, ...] = ()
    previous: bool = False
    outer: tuple[Outer, ...] = ()
    items: tuple[str, ...] = ()
    iteration: bool = False
    late_keys: bool = False

    @property
    def within(self) -> Within:
        """What they read of an iteration."""
        return "previous" if self.previous else "iteration" if self.iteration else ""


class Findings:
    """What the templates of a document are found to read, list by list, and the work that is left to look at
    more. `secrets`: the names of those that are read, each with the pointer to its first place. `warnings`:
    what may go wrong."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.warnings: list[Problem] = []
        self.work = MAX_TEMPLATE_WORK


class _TooLongError(TemplateError):
    """One expression of the text is too long to be looked at."""

    code = "template_too_long"


class _NotReadError(TemplateError):
    """There was no work left for the text. That has been reported."""


class TemplateCheck:
    """Checks the templates of one list of nodes: each different text is analysed once, up to
    MAX_TEMPLATE_WORK.

    `outputs`: what is known of each node's output. `certain`: for each node, those that have surely completed
    when it runs; None: all its ancestors. `given`: what the execution is given. `findings`: those of the
    whole document.
    """

    def __init__(
        self,
        links: Links,
        outputs: Sequence[DeclaredOutput | None],
        limits: Limits,
        report: Report,
        certain: Mapping[int, int] | None = None,
        given: GivenCheck | None = None,
        findings: Findings | None = None,
    ) -> None:
        self._given = given or GivenCheck(None)
        self._findings = findings or Findings()
        self.secrets, self.warnings = self._findings.secrets, self._findings.warnings
        self._certain = certain
        self._links = links
        self._items_around = links.around.item_names
        self._repeats_around = IN_REPEAT if links.around.repeats else NOTHING_MORE
        self._outputs = outputs
        self._limits = limits
        self._report = report
        self._known: dict[str, _Read | TemplateError] = {}
        self._hyphenated = {name.split("-", 1)[0]: name for name in reversed(links.nameable) if "-" in name}

    def reads(self, node: NodeFields, config: JsonObject, pointer: str, secret_rule: SecretRule) -> Reads:
        """What the node's config and its condition read. Wrong templates are reported.

        `pointer` leads to the config.
        """
        judged: dict[tuple[str, str | None, frozenset[str], bool], int] = {}
        places: dict[str, Where] = {}
        texts, keys = ruled_texts(node, config, pointer, secret_rule), tuple(limit_texts(node))
        for ruled in (*conditions(node), *map_texts(node), *cache_texts(node), *keys, *texts):
            if self._findings.work < 0:
                break
            places.setdefault(ruled.text, ruled.where)
            rules = ruled.text, ruled.no_secrets, ruled.given, ruled.reads_own
            wrong = judged.get(rules)
            if wrong is None or (wrong and not self._report.is_full):
                judged[rules] = self._judge(ruled, node)
            elif wrong:
                self._report.leave_out(wrong)
        fine = {rules[0]: self._known[rules[0]] for rules, wrong in judged.items() if not wrong}
        found: set[int] = set()
        sees: set[int] = set()
        given: set[str] = set(self._given.of_every_node)
        previous = iteration = False
        named: set[str] = set()
        for text, read in fine.items():
            if isinstance(read, _Read):
                named.update(read.analysis.nodes)
                found.update(read.sources)
                given.update(self._given.roots(read.analysis))
                sees.update(self._ancestors(node) if read.analysis.all_fates else read.fates)
                previous |= PREVIOUS in read.analysis.nodes
                iteration |= ITERATION in read.analysis.nodes
                self._warn_of_missing(read, node, places[text])
                self._refuse_cached_secret(read, node, places[text])
        late = any(self._is_late(fine.get(ruled.text)) for ruled in keys)
        found.discard(node.place)
        sees.update(source for source in found if not self._is_certain(source, node))
        if not is_hook(self._stage_of(node)):
            given.discard(OUTCOME)
        own = len(self._links.stages)
        return Reads(
            tuple(sorted(place for place in found if place < own)),
            tuple(sorted(place for place in sees if place < own)),
            tuple(sorted(given)),
            previous,
            tuple(self._outer(place, found, sees) for place in sorted(found | sees) if place >= own),
            tuple(item for item in dict.fromkeys(self._links.around.items) if named & {*names_of(item)}),
            iteration,
            late,
        )

    def _refuse_cached_secret(self, read: _Read, node: NodeFields, where: Where) -> None:
        """Report what another execution, with another secret, would be given the result of."""
        if node.cache is not None and self._given.reads_secret(read.analysis):
            message = (
                "the node has a 'cache', and what it gives for this execution's secret would be given to "
                "others: take 'cache' out"
            )
            self._refuse("secret_not_allowed", where, message)

    def _is_late(self, key: _Read | TemplateError | None) -> bool:
        """Whether the key of a limit is made when its node is due: it reads what is not known when an
        execution is triggered, or its node is in a group."""
        if not isinstance(key, _Read):
            return False
        analysis = key.analysis
        reads_nodes = bool(analysis.nodes or analysis.fates or analysis.all_fates)
        in_group = self._links.around != NOTHING_AROUND
        return reads_nodes or in_group or OUTCOME in self._given.roots(analysis)

    def _outer(self, place: int, found: set[int], sees: set[int]) -> Outer:
        node = self._links.around.nodes[place - len(self._links.stages)]
        is_map = node.output is MAP_OUTPUT
        return Outer(node.up, node.name, node.primary, place in found, place in sees, is_map)

    def _stage_of(self, node: NodeFields) -> Stage:
        """The list of the document that the node stands in, or its group."""
        return self._links.around.stage or node.stage

    def _ancestors(self, node: NodeFields) -> Iterator[int]:
        bits = self._links.readable(node.place)
        return (place for place in range(bits.bit_length()) if bits >> place & 1)

    def _is_certain(self, source: int, node: NodeFields) -> bool:
        """Whether the source has completed whenever the node runs."""
        return self._certain is None or bool(self._certain.get(node.place, 0) >> source & 1)

    def _warn_of_missing(self, read: _Read, node: NodeFields, where: Where) -> None:
        if _STATUS_CODE in read.analysis.fields and where[0] == node.policy.retry_pointer:
            self._warn(
                "'error.status_code' is there only where a service has answered: give another value, as in "
                "{{ error.status_code | default(0) == 423 }}",
                where,
            )
        if PREVIOUS in read.analysis.needed:
            self._warn(
                f"there is no '{PREVIOUS}' in the first iteration: give another value, as in "
                f"{{{{ {PREVIOUS} | default(0) }}}}",
                where,
            )
        for absent in self._given.may_be_absent(read.analysis):
            self._warn(
                f"the input {quoted(absent)} need not be given, and is missing then: give another value, "
                f"as in {{{{ inputs.{absent} | default(0) }}}}",
                where,
            )
        for label in self._given.uncertain_labels(read.analysis):
            self._warn(
                f"the document has no label {quoted(label)}, and an execution only if its caller gives it: "
                f"give another value, as in {{{{ execution.labels[{quoted(label)}] | default('') }}}}",
                where,
            )
        if self._given.reads_outputs(read.analysis):
            self._warn(
                "'trigger.outputs' is null unless the end of another execution has led to this one: give "
                "another value, as in {{ trigger.outputs.total | default(0) }}",
                where,
            )
        for source in read.needed:
            if source != node.place and not self._is_certain(source, node):
                name = self._links.names[source]
                message = (
                    f"{quoted(node.said)} may run though {quoted(name)} has not completed, and its "
                    f"output is missing then: give another value, as in {{{{ {name}.result | default(0) }}}}"
                )
                self._warn(message, where)

    def _warn(self, message: str, where: Where) -> None:
        place = self._report.place_of(pointer_to(*where))
        warning = Problem(code="may_be_missing", pointer=place, message=message)
        if len(self.warnings) < MAX_PROBLEMS and warning not in self.warnings:
            self.warnings.append(warning)

    def look_over(self, config: JsonObject, pointer: str) -> None:
        """Report the templates of a config that no node has which cannot be right anywhere."""
        for where, text in templates_in(config, pointer):
            if self._findings.work < 0:
                return
            if text not in self._known:
                found = self._known[text] = self._first_look(text, where)
                if isinstance(found, TemplateError) and not isinstance(found, _NotReadError):
                    self._refuse(found.code, where, found.message)

    def is_sole(self, text: str) -> bool:
        """Whether a template is one whole expression. Also true of a template that `reads` did not accept."""
        known = self._known.get(text)
        return not isinstance(known, _Read) or known.analysis.is_sole

    def kinds(self, text: str) -> frozenset[str] | None:
        """The JSON types that a template gives, where that is known before it is rendered."""
        known = self._known.get(text)
        if isinstance(known, _Read) and (given := self._given.kinds(known.analysis)) is not None:
            return given
        if not isinstance(known, _Read) or not known.analysis.is_sole or not known.analysis.is_simple:
            return None
        path = (read_simple(text) or [""])[0]
        source = self._links.index.get(path.reference.name) if isinstance(path, Path) else None
        output = None if source is None else self._outputs[source]
        return kinds_of_read(output, path) if output is not None and isinstance(path, Path) else None

    def _judge(self, ruled: TemplatedText, node: NodeFields) -> int:
        """Report what is wrong with the text in its place; returns how many problems that makes."""
        text, where, no_secrets = ruled.text, ruled.where, ruled.no_secrets
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._first_look(text, where)
        if isinstance(known, _NotReadError):
            return 1
        if isinstance(known, TemplateError):
            self._refuse(known.code, where, known.message)
            return 1
        own = 1 << node.place
        allowed = self._links.readable(node.place)
        allowed = allowed | own if ruled.reads_own else allowed & ~own
        given = (ruled.given | self._given_around(node)).intersection(known.analysis.nodes)
        wrong = (known.bits & ~allowed).bit_count() + known.unknown - len(given)
        if wrong:
            named = dict.fromkeys((*known.analysis.nodes, *known.analysis.fates))
            self._refuse_sources(wrong, [name for name in named if name not in given], node, ruled)
        if no_secrets is not None and self._tells_secret(known.analysis):
            self._refuse("secret_not_allowed", where, no_secrets)
            wrong += 1
        for name in known.analysis.secrets:
            if name not in self.secrets:
                self.secrets[name] = self._report.place_of(pointer_to(*where))
        if wrong:
            return wrong
        absent = self._missing_in_own(known, node) if ruled.reads_own else known.missing
        for missing in absent:
            self._refuse_field(missing, where)
        unreadable = (*known.unreadable, *self._given.unreadable_in(self._stage_of(node), known.analysis))
        for found in unreadable:
            self._refuse_given(found, where)
        return len(absent) + len(unreadable)

    def _given_around(self, node: NodeFields) -> frozenset[str]:
        """What the groups around let it read: the iteration of the nearest one, if it has none itself."""
        return self._items_around if node.policy.repeat else self._items_around | self._repeats_around

    def _missing_in_own(self, known: _Read, node: NodeFields) -> Sequence[MissingField]:
        """The fields that are missing where the node's own output is what one iteration has given."""
        output = self._outputs[node.place]
        if known.bits >> node.place & 1 == 0 or output is None:
            return known.missing
        own = replace(output, repeats=None)
        found = {missing.message: missing for missing in self._missing(known.analysis, (node.place, own))}
        return tuple(found.values())

    def _tells_secret(self, analysis: Analysis) -> bool:
        if analysis.secrets or CALLBACK_URL in analysis.nodes:
            return True
        return bool(analysis.given) and self._given.reads_secret(analysis)

    def _first_look(self, text: str, where: Where) -> _Read | TemplateError:
        """What the text reads, or what is wrong with it; its cost is taken from the work that is left.

        A text that may be long is paid for before it is parsed.
        """
        limit = self._limits.max_template_chars
        if len(text) <= limit:
            known = self._looked_up(text)
            self._pay(text, where, simple=isinstance(known, _Read) and known.analysis.is_simple)
            return known
        length = exceeding(text, limit)
        if length is not None:
            self._pay(text, where, simple=True)
            return _TooLongError(
                f"one {{{{ ... }}}} has at most {limit} characters (FLOWENGINE_MAX_TEMPLATE_CHARS), "
                f"this one has {length}; text around it does not count: compute parts of it in a node before"
            )
        analysis = simple_analysis(text)
        self._pay(text, where, simple=analysis is not None)
        return self._looked_up(text, analysis) if self._findings.work >= 0 else _NotReadError("")

    def _looked_up(self, text: str, analysis: Analysis | None = None) -> _Read | TemplateError:
        """What the text reads, or what is wrong with it wherever it stands."""
        try:
            analysis = analysis or analyse(text)
        except TemplateError as error:
            return error
        sources, fates = self._places(analysis.nodes), self._places(analysis.fates)
        bits = 0
        for place in (*sources, *fates):
            bits |= 1 << place
        named = {*analysis.nodes, *analysis.fates} if analysis.fates else analysis.nodes
        missing = {found.message: found for found in self._missing(analysis)}
        return _Read(
            analysis,
            sources=sources,
            bits=bits,
            unknown=len(named) - sum(map(self._links.index.__contains__, named)),
            missing=tuple(missing.values()),
            fates=fates,
            needed=sources if analysis.needed is analysis.nodes else self._places(analysis.needed),
            unreadable=tuple(self._given.unreadable(text, analysis)) if analysis.given else (),
        )

    def _places(self, names: Sequence[str]) -> tuple[int, ...]:
        """The numbers of those that are nodes."""
        index = self._links.index
        return tuple([index[name] for name in names if name in index])

    def _missing(
        self, analysis: Analysis, instead: tuple[int, DeclaredOutput] | None = None
    ) -> Iterator[MissingField]:
        """The fields that cannot be there. `instead`: the output of one node, in place of the known one."""
        for read in analysis.fields:
            source = self._links.index.get(read.node)
            output = _GIVEN_IN_RETRY.get(read.node) if source is None else self._outputs[source]
            if instead is not None and source == instead[0]:
                output = instead[1]
            found = None if output is None else missing_field(output, read)
            if found is not None:
                yield found

    def _pay(self, text: str, where: Where, *, simple: bool) -> None:
        """Take the cost of analysing the text from the work that is left, and report when none is left."""
        self._findings.work -= cost_of(text, simple=simple)
        if self._findings.work < 0:
            self._refuse(
                "too_many_templates",
                where,
                f"the different templates of this workflow take more than {MAX_TEMPLATE_WORK} units of work: "
                f"{TEMPLATE_COST} each, 1 a character, {COMPLEX_FACTOR} where they do more than read, "
                f"from {COMPILE_COST} on a regular expression or query; from here on they were not checked: "
                "split the workflow",
            )

    def _refuse(self, code: str, where: Where, message: str) -> None:
        if self._report.is_full:
            self._report.leave_out()
        else:
            self._report.add(code, pointer_to(*where), message)

    def _refuse_field(self, missing: MissingField, where: Where) -> None:
        meant = self._report.nearest(missing.key, missing.known) if isinstance(missing.key, str) else None
        fields = f" Its fields: {', '.join(missing.known)}" if missing.known else ""
        self._refuse("unknown_field", where, f"{missing.message}{did_you_mean(meant) or '.'}{fields}")

    def _refuse_given(self, wrong: Unreadable, where: Where) -> None:
        message = wrong.message
        if wrong.name:
            hint = did_you_mean(self._report.nearest(wrong.name, wrong.known)) or "."
            message += f"{hint} There are: {', '.join(wrong.known[:MAX_LISTED]) or 'none'}"
        self._refuse(wrong.code, where, message)

    def _refuse_sources(
        self, wrong: int, names: Sequence[str], node: NodeFields, ruled: TemplatedText
    ) -> None:
        """Report each of the names that cannot be read here. `wrong` is their number."""
        where = ruled.where
        if self._report.is_full:
            self._report.leave_out(wrong)
            return
        for name in names:
            source = self._links.index.get(name)
            if name in IN_RETRY:
                message = f"'{name}' is what a try left behind: only 'retry.when' reads it"
                self._refuse("unknown_node_reference", where, message)
            elif name in IN_MAP:
                message = f"{quoted(name)} is there only where a node, or a group around it, has a 'map'"
                self._refuse("unknown_node_reference", where, message)
            elif name in IN_CALLBACK:
                message = f"'{name}' is read in the config of a node with 'wait_for_callback' only"
                self._refuse("unknown_node_reference", where, message)
            elif name in IN_REPEAT:
                message = (
                    f"'{name}' is that of a node which repeats: it is read in the config of one with "
                    "'repeat', and inside a group with one"
                )
                self._refuse("unknown_node_reference", where, message)
            elif source is None:
                hint = self._hyphen_hint(name) or did_you_mean(
                    self._report.nearest(name, (*sorted(ruled.given), *self._links.nameable))
                )
                message = f"the template reads {quoted(name)}, which is no node{hint}"
                self._refuse("unknown_node_reference", where, message)
            elif source == node.place:
                message = f"the template reads its own node's output, {quoted(name)}"
                self._refuse("not_an_ancestor", where, message)
            elif self._links.is_around(source):
                if not self._is_readable(source, node):
                    message = (
                        f"the template reads {quoted(name)}, which may not have run when the group "
                        f"{quoted(self._links.around.group)} begins: add it to the dependencies of the group"
                    )
                    self._refuse("not_an_ancestor", where, message)
            elif self._links.stages[source] != node.stage and not self._is_readable(source, node):
                message = f"the template reads {quoted(name)}, which runs later: it is a hook"
                self._refuse("not_an_ancestor", where, message)
            elif not self._is_readable(source, node):
                message = (
                    f"the template reads {quoted(name)}, which may not have run by then: "
                    f"add it to the dependencies of {quoted(node.id or '')}"
                )
                self._refuse("not_an_ancestor", where, message)

    def _is_readable(self, source: int, node: NodeFields) -> bool:
        return bool(self._links.readable(node.place) >> source & 1)

    def _hyphen_hint(self, name: str) -> str:
        node_id = self._hyphenated.get(name)
        return f"; an id with '-' is read as {{{{ nodes[\"{node_id}\"] }}}}" if node_id else ""
