"""Accounts. They belong to their replica and do not replicate."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser

from sync.fields import TokenField


class Editor(AbstractUser):
    """Somebody who may log in here. Changesets name the author by ``username``."""

    token = TokenField(primary_key=True)

    @property
    def display_name(self) -> str:
        """The full name, or the user name where none is given."""
        return self.get_full_name() or self.username
