"""Workflow documents: reading them, finding every problem in them, compiling them. Pure.

`check` is the one validator that the API, the tool and the tests share.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from flowengine.workflow.problems import Problem

if TYPE_CHECKING:
    from flowengine.workflow.validation import Checked, Form, check, check_document

__all__ = ["Checked", "Form", "Problem", "check", "check_document"]


def __getattr__(name: str) -> object:
    """Imports the validator when it is first asked for: a process that only runs plans needs no YAML."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.validation"), name)
