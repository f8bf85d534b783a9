"""System checks of the site: a wrong environment variable stops the start and says what would be accepted."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register("edgecms")
def environment_is_understood(**_: Any) -> list[CheckMessage]:
    """``edgecms.E001`` for each variable whose value was not accepted."""
    errors: list[CheckMessage] = [
        Error(
            f"{m.variable} is {m.value!r}, which is not accepted.", hint=f"Set {m.variable} to {m.accepted}.", id="edgecms.E001"
        )
        for m in settings.ENVIRONMENT.mistakes
    ]
    return errors
