"""Accounts of this replica."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm

from content.models import Editor


class NewEditorForm(AdminUserCreationForm):
    """A new account may log in here unless one says otherwise."""

    is_staff = forms.BooleanField(required=False, initial=True, label="May log in to the editor")

    class Meta(AdminUserCreationForm.Meta):
        model = Editor
        fields = ("username", "first_name", "last_name", "email", "groups", "is_staff")


@admin.register(Editor)
class EditorAdmin(UserAdmin):
    """Who may log in, and in which group."""

    add_form = NewEditorForm
    list_display = ("username", "display_name", "email", "group_names", "is_active", "last_login")
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2")}),
        ("Who", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("groups", "is_staff")}),
    )

    def get_queryset(self, request):  # type: ignore[no-untyped-def]
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="groups")
    def group_names(self, editor: Editor) -> str:
        """The groups, in words."""
        return ", ".join(group.name for group in editor.groups.all()) or ("everything" if editor.is_superuser else "–")
