"""Templates that need more than reading: Jinja2 parses and compiles them. Evaluates nothing.

The first such template imports this module, and Jinja2 with it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from functools import cache

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context

from flowengine.template.budget import Budget
from flowengine.template.compiling import Program
from flowengine.template.errors import TemplateForbiddenError, TemplateSyntaxError
from flowengine.template.grammar import STATEMENTS_FORBIDDEN, Reading, read_template, variable
from flowengine.template.sandbox import BUDGET, Sandbox
from flowengine.template.secret_use import refuse_altered_secrets

MAX_BRACKETS = 24
_VALUE = "value"
_LITERAL_HINT = """; to write the marks themselves: {{ "{{" }}"""


def refuse_altered(text: str, secret: Container[tuple[str, str]]) -> None:
    """Raises SecretNotAllowedError where the template makes another text of what is given and secret."""
    refuse_altered_secrets(_sandbox().parse(text), secret)


def read_expressions(text: str) -> Reading:
    """What the template reads. Raises TemplateSyntaxError, TemplateForbiddenError, SecretNotAllowedError."""
    try:
        _refuse_deep_brackets(text)
        tree = _sandbox().parse(text)
        read = read_template(tree)
        refuse_altered_secrets(tree)
        return read
    except jinja2.TemplateSyntaxError as error:
        if _has_statement(text):
            raise TemplateForbiddenError(STATEMENTS_FORBIDDEN + _LITERAL_HINT) from error
        message = str(error.message).rstrip(".")
        raise TemplateSyntaxError(f"line {error.lineno} of the template: {message}{_LITERAL_HINT}") from error
    except (RecursionError, ValueError) as error:
        raise TemplateSyntaxError("the template is nested too deeply, or holds a number too long") from error


def is_sole(parts: list[nodes.Expr]) -> bool:
    """Whether the template is one whole expression."""
    return len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData)


def compile_expressions(text: str) -> Program:
    """The template as a program that Jinja2 compiles, whether or not it is simple. Raises as `compiled`."""
    read = read_expressions(text)
    parts, references = read.parts, read.references
    sole = is_sole(parts)
    body: nodes.Node = (
        nodes.Assign(nodes.Name(_VALUE, "store"), parts[0]) if sole else nodes.Output(list(parts))
    )
    tree = nodes.Template([body], lineno=1)
    tree.set_lineno(1)
    try:
        template = _sandbox().from_string(tree)
    except (RecursionError, SyntaxError, jinja2.TemplateError) as error:
        raise TemplateSyntaxError(f"the template cannot be compiled: {error}") from error
    names = [variable(place) for place in range(len(references))]

    def new_context(values: Sequence[object], budget: Budget) -> Context:
        return template.new_context({BUDGET: budget, **dict(zip(names, values, strict=True))})

    def value(values: Sequence[object], budget: Budget) -> object:
        context = new_context(values, budget)
        for _ in template.root_render_func(context):
            pass
        return context.vars[_VALUE]

    def pieces(values: Sequence[object], budget: Budget) -> Iterator[str]:
        return template.root_render_func(new_context(values, budget))

    known = tuple(references)
    return Program(known, value=value) if sole else Program(known, pieces=pieces)


@cache
def _sandbox() -> Sandbox:
    return Sandbox()


def _has_statement(text: str) -> bool:
    """Whether a statement begins somewhere before the text stops being a template."""
    try:
        return any(token == "block_begin" for _, token, _ in _sandbox().lex(text))
    except jinja2.TemplateSyntaxError:
        return False


def _refuse_deep_brackets(text: str) -> None:
    """Raises TemplateSyntaxError for more than MAX_BRACKETS: parsing recurses with every bracket."""
    if text.count("(") + text.count("[") + text.count("{") - 2 * text.count("{{") <= MAX_BRACKETS:
        return
    depth = 0
    for _, token, value in _sandbox().lex(text):
        if token == "operator":
            depth += (value in "([{") - (value in ")]}")
            if depth > MAX_BRACKETS:
                raise TemplateSyntaxError(f"brackets are nested more than {MAX_BRACKETS} deep")
