"""The table of node error codes: complete, without rows that nothing produces, and readable."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from flowengine.execution import error_codes
from flowengine.execution.error_codes import TABLE, ErrorCode
from flowengine.template import errors as template_errors
from flowengine.template.errors import TemplateError

PACKAGE: Final = Path(error_codes.__file__).parents[1]
CONSTANTS: Final = {name: row for name, row in vars(error_codes).items() if isinstance(row, ErrorCode)}
CARRIERS: Final = ("HandlerError", "NodeError", "AttemptError")
"""What takes a code as its first argument, or as `code`, and takes it to a node's error."""

AS_GIVEN: Final = {
    ("handlers/invoking/failures.py", "code"),
    ("testing/running/local_stack.py", "*posted.error"),
    ("testing/running/mocked_handlers.py", "code"),
}
"""Codes of others: as a handler, who posts a callback or a test's mock has given them."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module that can fail a node, parsed; the API only shows the errors of others."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name != "execution/error_codes.py" and not name.startswith("api/"):
            yield name, ast.parse(path.read_text())


def given_codes(module: ast.Module) -> Iterator[ast.expr]:
    """The expression of each code that is given to a carrier."""
    for found in ast.walk(module):
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id in CARRIERS:
            yield code_of(found)
        elif isinstance(found, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id in CARRIERS for base in found.bases
        ):
            yield from (code_of(call) for call in ast.walk(found) if is_super_init(call))


def is_super_init(found: ast.AST) -> bool:
    """Whether it is `super().__init__(...)`."""
    return isinstance(found, ast.Call) and ast.unparse(found.func) == "super().__init__"


def code_of(call: ast.AST) -> ast.expr:
    """The argument that is the code."""
    assert isinstance(call, ast.Call)
    named = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    return named[0] if named else call.args[0]


def literals() -> dict[str, set[str]]:
    """Each code that is written as a text, and the modules that write it."""
    found: dict[str, set[str]] = {}
    for name, module in sources():
        for code in given_codes(module):
            if isinstance(code, ast.Constant):
                found.setdefault(str(code.value), set()).add(name)
    return found


def template_codes() -> set[str]:
    """The codes of all errors of templates."""
    kinds = [kind for kind in vars(template_errors).values() if isinstance(kind, type)]
    return {kind.code for kind in kinds if issubclass(kind, TemplateError)}


def used_constants() -> set[str]:
    """The names of the rows that some module reads."""
    return {
        found.id if isinstance(found, ast.Name) else found.attr
        for _, module in sources()
        for found in ast.walk(module)
        if isinstance(found, ast.Name | ast.Attribute)
    } & set(CONSTANTS)


def test_every_code_that_is_written_as_a_text_is_in_the_table() -> None:
    """A code that no table explains would reach users unexplained."""
    assert {code: places for code, places in literals().items() if code not in TABLE} == {}


def test_every_other_code_comes_from_a_row_or_from_another_error() -> None:
    """No code is put together at run time: nobody could list it."""
    built = [
        f"{name}: {ast.unparse(code)}"
        for name, module in sources()
        for code in given_codes(module)
        if not isinstance(code, ast.Constant)
        and not any(isinstance(part, ast.Attribute) and part.attr == "code" for part in ast.walk(code))
        and (name, ast.unparse(code)) not in AS_GIVEN
    ]
    assert built == []


def test_every_error_of_a_template_is_in_the_table() -> None:
    """Templates may not import the table, so they name their codes themselves."""
    assert template_codes() - set(TABLE) == set()


def test_no_row_is_unused() -> None:
    """A code that nothing produces is no part of the interface."""
    used = {CONSTANTS[name].code for name in used_constants()} | set(literals()) | template_codes()
    assert set(TABLE) - used == set()


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_rows_name_is_its_code_and_its_meaning_a_sentence(name: str) -> None:
    """So that two rows cannot share a code, and users can read each."""
    row = CONSTANTS[name]
    assert name == row.code.upper()
    assert TABLE[row.code] is row
    assert row.meaning[0].isupper()
    assert row.meaning.endswith(".")


PERMANENT: Final = """
    worker_lost upstream_failed inputs_too_large invalid_config template_syntax template_forbidden
    template_undefined template_failed template_output_too_large secret_missing secret_unusable
    secret_not_allowed invalid_request egress_refused redirect_refused http_client_error llm_not_configured
    llm_auth_failed llm_quota_exceeded llm_model_not_found llm_context_length_exceeded llm_bad_request
    not_a_number division_by_zero wrong_input_type empty_inputs invalid_json missing_parameter
    when_not_boolean output_invalid assertion_failed ended rejected repeat_exhausted invalid_repeat
    child_cancelled map_failed map_invalid unknown_definition definition_not_allowed child_inputs_invalid
    nested_too_deep too_many_children not_mocked key_invalid
"""


def test_permanent_are_configs_templates_conditions_egress_refusals_and_lost_workers() -> None:
    """As section 4 of the language says, and what somebody has cancelled; all else may succeed when it is
    tried again."""
    assert {row.code for row in TABLE.values() if row.permanent} == set(PERMANENT.split())
