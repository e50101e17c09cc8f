"""Templates: `{{ fetch_user.data }}`, `{{ nodes["my-node"].result }}`, `{{ secrets.NAME }}`.

Jinja2's expressions in its sandbox, without everything that can loop, call, or grow without limit. Pure: no
I/O, no clock, no randomness.
"""

from flowengine.template.compiling import analyse, is_template, reads_secret, refuse_altered_given
from flowengine.template.errors import (
    SecretMissingError,
    SecretNotAllowedError,
    TemplateError,
    TemplateEvaluationError,
    TemplateForbiddenError,
    TemplateSyntaxError,
    TemplateTooLargeError,
    TemplateUndefinedError,
)
from flowengine.template.reference import RESERVED_NAMES, Analysis, FieldRead
from flowengine.template.rendering import Fate, Scope, primary_value, render

__all__ = [
    "RESERVED_NAMES",
    "Analysis",
    "Fate",
    "FieldRead",
    "Scope",
    "SecretMissingError",
    "SecretNotAllowedError",
    "TemplateError",
    "TemplateEvaluationError",
    "TemplateForbiddenError",
    "TemplateSyntaxError",
    "TemplateTooLargeError",
    "TemplateUndefinedError",
    "analyse",
    "is_template",
    "primary_value",
    "reads_secret",
    "refuse_altered_given",
    "render",
]
