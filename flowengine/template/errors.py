"""What is wrong with a template, or went wrong while it was rendered.

Messages may be stored and shown, so they never quote a value. They quote the template's own words, the names
of fields that exist, and types.
"""

from __future__ import annotations

from typing import ClassVar

from flowengine.errors import FlowEngineError


class TemplateError(FlowEngineError):
    """A template was refused, or could not be rendered.

    `pointer` is the JSON pointer of the templated string ("" while it is not known).
    """

    code: ClassVar[str] = "template_failed"

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


class TemplateSyntaxError(TemplateError):
    """The text is no valid template."""

    code = "template_syntax"


class TemplateForbiddenError(TemplateError):
    """The template uses something that templates may not use."""

    code = "template_forbidden"


class TemplateUndefinedError(TemplateError):
    """The template reads a field, an item or an output that does not exist."""

    code = "template_undefined"


class TemplateEvaluationError(TemplateError):
    """An expression failed: a division by zero, an operation on the wrong type."""

    code = "template_failed"


class TemplateTooLargeError(TemplateError):
    """The template makes more than is allowed."""

    code = "template_output_too_large"


class SecretMissingError(TemplateError):
    """The template reads a secret that this process does not have."""

    code = "secret_missing"


class SecretNotAllowedError(TemplateError):
    """The template would alter a secret, so that it could not be found in results and logs."""

    code = "secret_not_allowed"
