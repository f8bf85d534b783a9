"""System checks of the site: a wrong environment variable stops the start and says what would be accepted; and of its admin."""

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


def admin_is_sound(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Django's own checks of what it needs and of what is registered, for which that is looked for first."""
    from django.contrib import admin
    from django.contrib.admin.checks import check_admin_app, check_dependencies

    admin.autodiscover()
    return [*check_dependencies(), *check_admin_app(app_configs)]
