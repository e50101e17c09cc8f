"""From a template's text to what it reads, and to a program that can be run. Evaluates nothing.

Both answers are cached for the texts seen last: a workflow that is posted again, and a node of a running
workflow, cost one look-up. Jinja2 is imported by the first template that needs more than `simple_templates`
(see `expressions`): with the functions of templates it takes 3 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import lru_cache

import msgspec

from flowengine.jsonvalue import JsonValue
from flowengine.template.budget import Budget
from flowengine.template.field_lookup import look_up
from flowengine.template.json_values import to_text
from flowengine.template.reference import (
    FATE_KINDS,
    FATES,
    GIVEN_KINDS,
    OF_NODES,
    PLAIN,
    SECRET,
    Analysis,
    FieldRead,
    Reference,
)
from flowengine.template.simple_templates import Path, read_simple

CACHED_TEXTS = 2048

Evaluate = Callable[[Sequence[object], Budget], object]
Pieces = Callable[[Sequence[object], Budget], Iterator[str]]


class Program(msgspec.Struct, frozen=True):
    """A template that can be run.

    `value` is set for a template that is one whole expression, `pieces` (of text) for any other. Both
    functions take the values of `references`, in order, and the budget.
    """

    references: tuple[Reference, ...]
    value: Evaluate | None = None
    pieces: Pieces | None = None


def reads_secret(
    value: JsonValue, given: Container[tuple[str, str]] = (), *, of_workers: bool = True
) -> bool:
    """Whether a template in the value reads a secret `of_workers`, or a secret one of what is given
    (`inputs`, its name).

    Raises TemplateError for a wrong template.
    """
    pending = [value]
    for item in pending:
        if isinstance(item, str):
            if is_template(item) and _tells_secret(analyse(item), given, of_workers=of_workers):
                return True
        elif isinstance(item, dict | list):
            pending.extend(item.values() if isinstance(item, dict) else item)
    return False


def _tells_secret(analysis: Analysis, given: Container[tuple[str, str]], *, of_workers: bool = True) -> bool:
    return (of_workers and bool(analysis.secrets)) or any(read in given for read in analysis.given)


def refuse_altered_given(text: str, secret: Container[tuple[str, str]]) -> None:
    """Raises SecretNotAllowedError where a template makes another text of what is given and secret.

    The template has been analysed, so it is right in all else.
    """
    if read_simple(text) is None:
        from flowengine.template.expressions import refuse_altered

        refuse_altered(text, secret)


def is_template(text: str) -> bool:
    """Whether the text holds template marks, right or wrong. Quick."""
    return "{{" in text or "{%" in text or "{#" in text


def simple_analysis(text: str) -> Analysis | None:
    """What a template that only reads, and so needs no parser, reads; None for any other. Quick."""
    simple = read_simple(text)
    if simple is None:
        return None
    paths = [part for part in simple if isinstance(part, Path)]
    fields = [read for path in paths if (read := path.field_read) is not None]
    is_sole = len(simple) == 1 and bool(paths)
    return _analysis(is_sole, [path.reference for path in paths], fields, None, is_simple=True)


def analyse(text: str) -> Analysis:
    """What the text reads, if it is a template. The caller bounds the length of the text.

    Raises TemplateSyntaxError, TemplateForbiddenError, SecretNotAllowedError.
    """
    return _analysed(text) if is_template(text) else PLAIN


@lru_cache(CACHED_TEXTS)
def compiled(text: str) -> Program:
    """The template as a program. Raises what `analyse` does."""
    simple = read_simple(text)
    if simple is not None:
        return _compile_simple(simple)
    from flowengine.template.expressions import compile_expressions

    return compile_expressions(text)


def _compile_simple(parts: list[str | Path]) -> Program:
    references = tuple(part.reference for part in parts if isinstance(part, Path))

    def pieces(values: Sequence[object], budget: Budget) -> Iterator[str]:
        roots = iter(values)
        for part in parts:
            yield part if isinstance(part, str) else to_text(_follow(next(roots), part), budget)

    first = parts[0]
    if len(parts) > 1 or isinstance(first, str):
        return Program(references, pieces=pieces)
    return Program(references, value=lambda values, budget: _follow(values[0], first))


def _follow(value: object, path: Path) -> object:
    for key, label in path.keys:
        value = look_up(value, key, label)
    return value


@lru_cache(CACHED_TEXTS)
def _analysed(text: str) -> Analysis:
    simple = simple_analysis(text)
    if simple is not None:
        return simple
    from flowengine.template.expressions import is_sole, read_expressions

    read = read_expressions(text)
    return _analysis(is_sole(read.parts), read.references, read.fields, read.needed)


def _analysis(
    is_sole: bool,
    references: Sequence[Reference],
    fields: Iterable[FieldRead],
    needed: tuple[str, ...] | None,
    *,
    is_simple: bool = False,
) -> Analysis:
    """`needed`: None for all nodes that it reads."""
    outputs = _outputs(references)
    secrets: dict[str, None] = {}
    fates: dict[str, None] = {}
    given: dict[tuple[str, str], None] = {}
    all_fates = False
    for item in references:
        if item.kind in OF_NODES:
            continue
        if item.kind == SECRET:
            secrets[item.name] = None
        elif item.kind in GIVEN_KINDS:
            given[GIVEN_KINDS[item.kind], item.name] = None
        elif item.kind in FATES:
            all_fates = True
        elif item.kind in FATE_KINDS:
            fates[item.name] = None
    return Analysis(
        is_template=True,
        is_sole=is_sole,
        is_simple=is_simple,
        nodes=outputs,
        secrets=tuple(secrets),
        fields=tuple(dict.fromkeys(fields)),
        fates=tuple(fates),
        all_fates=all_fates,
        needed=outputs if needed is None else needed,
        given=tuple(given),
    )


def _outputs(references: Iterable[Reference]) -> tuple[str, ...]:
    """The nodes whose outputs are read, each once."""
    return tuple(dict.fromkeys([item.name for item in references if item.kind in OF_NODES]))
