"""The editor of pages: one form for the page and its blocks; save, publish, unpublish, preview."""

from __future__ import annotations

from typing import Any

from content_editor.admin import ContentEditor, importmap
from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from js_asset import JSON, Media, Script

from content.admin.addresses import SluggedAddresses, editor_address
from content.admin.blocks import INLINES
from content.admin.conflicts import NAMES
from content.admin.filters import StateFilter, state_of
from content.admin.preview import Previews
from content.admin.versions import CarriesVersions
from content.editor import markup
from content.editor.absent import follow
from content.editor.formsets import BlockFormSet
from content.editor.loaded import loaded, versions_of
from content.editor.notices import Decision, carry_out, decided, notices, with_conflicts, written_by_hand
from content.editor.saving import save_blocks
from content.forms.page import PageForm
from content.forms.stale import MERGED
from content.models import Page, Section
from content.permissions import PUBLISH
from content.publishing import publish, snapshot, unpublish
from sync.versions import Versions

SCRIPTS = ("add", "arrange", "chooser", "chips", "conflicts", "grid", "keys", "mistakes", "preview", "writing")
JQUERY = ("admin/js/vendor/jquery/jquery.min.js", "admin/js/jquery.init.js")
STATES = {"draft": "Draft", "published": "Published", "changed": "Changed since"}

SEARCH_ENGINES = (
    "Search engines",
    {"fields": ["seo_title", "seo_description", "hidden_from_search"], "classes": ["editor-side", "collapse"]},
)


class PageList(ChangeList):
    """The list of pages, whose links lead to slugs. It knows which of them have conflicts."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        # Not select_related: an inner join would hide pages whose section has not arrived yet.
        return super().get_queryset(request, *args, **kwargs).prefetch_related("section", "publication")

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = with_conflicts(self.result_list)
        for page in self.result_list:
            page.__dict__["_has_conflicts"] = page.pk in found

    def url_for_result(self, result: Any) -> str:
        return editor_address(result)


def public_address(page: Page) -> str:
    """Return where readers find ``page``; nothing where they do not, or what it takes to know is not here yet."""
    publication = follow(page, "publication")
    return publication.get_absolute_url() if publication and follow(publication, "section") else ""


@admin.register(Page)
class PageAdmin(SluggedAddresses, Previews, CarriesVersions, ContentEditor):
    """Pages at ``/admin/content-editor/page/<slug>``."""

    form = PageForm
    inlines = INLINES
    list_display = ("name", "section_title", "state", "updated")
    list_filter = ("section", StateFilter)
    list_per_page = 50
    search_fields = ("title", "summary", "slug")
    ordering = ("-updated", "token")
    date_hierarchy = None
    show_full_result_count = False
    view_on_site = False
    actions = ("publish_selected", "unpublish_selected")
    change_form_template = "admin/content/page/change_form.html"
    fieldsets = (
        (None, {"fields": ["title", "summary"], "classes": ["editor-head"]}),
        ("Where and when", {"fields": ["section", "date", "authors", "tags"], "classes": ["editor-side"]}),
        ("Lead image", {"fields": ["picture", "picture_upload"], "classes": ["editor-side"]}),
        SEARCH_ENGINES,
        ("Address", {"fields": ["renew_slug"], "classes": ["editor-side", "collapse", "editor-address"]}),
    )

    class Media:
        extend = False
        css = {
            "all": [
                "content_editor/django_admin_fixes.css",
                "content_editor/tabbed_fieldsets.css",
            ]
        }

    # -- the list ---------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Pages", **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PageList

    @admin.display(description="page", ordering="title")
    def name(self, page: Page) -> str:
        """The title, which leads to the editor."""
        return page.title

    @admin.display(description="section")
    def section_title(self, page: Page) -> str:
        """The section's title; a section that is not here yet is named by its key."""
        section = follow(page, "section")
        return section.title if section else f"not here yet: {page.section_id}"

    @admin.display(description="state")
    def state(self, page: Page) -> SafeString:
        """Draft, published, or changed since."""
        state = state_of(page)
        shown = format_html('<span class="state state-{}">{}</span>', state, STATES[state])
        if not page.__dict__.get("_has_conflicts"):
            return shown
        return format_html('{} <span class="state state-conflict">Several versions</span>', shown)

    @admin.action(description="Publish selected pages", permissions=["publish"])
    def publish_selected(self, request: HttpRequest, queryset: QuerySet[Page]) -> None:
        """Publish each of the pages."""
        for page in queryset:
            publish(page, author=request.user.get_username())
            self.log_change(request, page, "Published.")
        self.message_user(request, f"Published {len(queryset)} pages.", messages.SUCCESS)

    @admin.action(description="Unpublish selected pages", permissions=["publish"])
    def unpublish_selected(self, request: HttpRequest, queryset: QuerySet[Page]) -> None:
        """Take each of the pages down."""
        for page in queryset.exclude(publication_id=None):
            unpublish(page)
            self.log_change(request, page, "Unpublished.")
        self.message_user(request, "The pages are no longer public.", messages.SUCCESS)

    # -- the form ---------------------------------------------------------------------------------

    def has_publish_permission(self, request: HttpRequest) -> bool:
        """Whether the user may change what readers see."""
        return request.user.has_perm(PUBLISH)

    def may_write(self, request: HttpRequest, page: Page | None) -> bool:
        """Whether the user gets a form; who may only look gets the page as readers would see it, and what is said about it."""
        return self.has_change_permission(request, page) if page else self.has_add_permission(request)

    def get_inline_instances(self, request: HttpRequest, obj: Page | None = None) -> list[Any]:
        return super().get_inline_instances(request, obj) if self.may_write(request, obj) else []

    def get_fieldsets(self, request: HttpRequest, obj: Page | None = None) -> Any:
        if not self.may_write(request, obj):  # the rest is to be seen in the page
            return [("Where and when", {"fields": ["section", "date"], "classes": ["editor-side"]}), SEARCH_ENGINES]
        return self.fieldsets if obj else [entry for entry in self.fieldsets if entry[0] != "Address"]

    def get_form(self, request: HttpRequest, obj: Page | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if "section" in form.base_fields:  # plus and pencil beside it lead away from unsaved work
            form.base_fields["section"].widget = form.base_fields["section"].widget.widget
        return form

    def get_formset_kwargs(self, request: HttpRequest, obj: Page, inline: Any, prefix: str) -> dict[str, Any]:
        """Give each formset what was sent, where Django copies all of it for each type of block."""
        kwargs = {"instance": obj, "prefix": prefix, "queryset": inline.model._default_manager.none()}  # they read ``loaded``
        return {**kwargs, "data": request.POST, "files": request.FILES} if request.method == "POST" else kwargs

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        section = Section.objects.filter(pages__isnull=False).order_by("-pages__updated").first() or Section.objects.first()
        usual = {"authors": [getattr(request.user, "display_name", "")], "section": section and section.pk}
        return {**usual, **super().get_changeform_initial_data(request)}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page = self.get_object(request, object_id) if request.method == "GET" else None  # kept for what follows
        named = request.path.rstrip("/").rpartition("/")[2]
        if page is not None and named == page.token:
            return HttpResponseRedirect(editor_address(page))
        if page is not None and named != page.slug:
            return HttpResponsePermanentRedirect(editor_address(page))
        return super().change_view(request, object_id, form_url, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        publishing = "_publish" in request.POST or "_unpublish" in request.POST
        if publishing and not self.has_publish_permission(request):
            raise PermissionDenied("Only editors publish. Save a draft and ask one of them.")
        context = {"is_nav_sidebar_enabled": False, "may_publish": self.has_publish_permission(request)}
        return super().changeform_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def versions_of(self, token: str, all_shown: bool = True) -> Versions:
        return versions_of(token, all_shown=True)  # for what does not merge there is a notice, with all versions

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        page = kwargs.get("obj")
        if page:
            formsets = [each.formset for each in context["inline_admin_formsets"]]
            found = notices(page, context["adminform"].form, formsets, request.user, editor_address(page))
            context.update(notices=found)
            context.update(page_state=state_of(page), state_label=STATES[state_of(page)], public_address=public_address(page))
            context["preview_address"] = reverse("admin:content_page_preview", args=[page.slug])
        else:
            context["preview_address"] = reverse("admin:content_page_add_preview")
        context["is_form"] = self.may_write(request, page)
        if context["is_form"]:
            context["fieldsets"] = markup.fieldsets(context["adminform"].form, context["adminform"].fieldsets)
        response = super().render_change_form(request, context, *args, **kwargs)
        media = response.context_data["media"]
        response.context_data["media"] = Media.from_media(media, nonce=getattr(request, "csp_nonce", ""))
        return response

    def _content_editor_media(self, request: HttpRequest, context: dict[str, Any]) -> Media:
        styles = [
            "content_editor/material-icons.css",
            "content_editor/content_editor.css",
            "sync/board.css",
            "content/editor/editor.css",
        ]
        if not context["is_form"]:
            return Media(css={"all": styles[2:]}, js=JQUERY)  # which Django's own template of the page asks for
        # The package's own entry point injects a style element without a nonce; ours does the rest of what it does.
        return Media(
            importmap=importmap,
            css={"all": styles},
            js=[
                JQUERY[-1],
                JSON(self._content_editor_context(request, context), id="content-editor-context"),
                Script("content/editor/index.js", type="module"),
                *[Script(f"content/editor/{name}.js", type="module") for name in SCRIPTS],
            ],
        )

    # -- saving -----------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Page, form: PageForm, change: bool) -> None:
        form.settle()
        if not change:
            form.admit_what_was_seen()
            obj.save(force_insert=True)

    def save_related(self, request: HttpRequest, form: PageForm, formsets: list[Any], change: bool) -> None:
        blocks = [formset for formset in formsets if isinstance(formset, BlockFormSet)]
        wrote = save_blocks(form.instance, blocks)
        fields = form.stored_fields()
        versions = loaded(form.instance).versions
        written = written_by_hand(form, blocks)
        choices = list(decided(request.POST, form.instance, written, request.user)) if change else []
        form.instance.__dict__["_untouched"] = change and not (wrote or fields or choices or (versions and versions.is_resent))
        if change and (wrote or fields or choices):
            form.admit_what_was_seen()
            form.instance.save(update_fields=[*fields, "updated"])
            self._warn(request, [form, *(block for formset in blocks for block in formset.live_forms())])
        self._carry_out(request, choices)

    def _carry_out(self, request: HttpRequest, choices: list[Decision]) -> None:
        """Write what was chosen in the notices."""
        done, late = carry_out(choices)
        if done:
            text = format_html('Decided. <a href="{}">Take it back</a>', reverse("admin:sync_conflict_decided"))
            self.message_user(request, text, messages.SUCCESS)
        if late:
            self.message_user(request, "Somebody else has decided meanwhile. This is how it stands now.", messages.WARNING)

    def _warn(self, request: HttpRequest, forms: list[Any]) -> None:
        """Name what somebody else changed since the form was opened, and this form too."""
        labels = dict.fromkeys(_label(form, name) for form in forms for name in form.overtaken() if name not in MERGED)
        if labels:
            text = (
                f"Meanwhile changed elsewhere too: {', '.join(labels)}. "
                "What could not be merged is kept in both versions: compare them below before you publish."
            )
            self.message_user(request, text, messages.WARNING)

    def log_change(self, request: HttpRequest, obj: Page, message: Any) -> Any:
        return super().log_change(request, obj, message) if message else None

    def response_add(self, request: HttpRequest, obj: Page, post_url_continue: str | None = None) -> HttpResponse:
        if IS_POPUP_VAR in request.POST:
            return super().response_add(request, obj, post_url_continue)
        return self._finish(request, obj)

    def response_change(self, request: HttpRequest, obj: Page) -> HttpResponse:
        return self._finish(request, obj)

    def _finish(self, request: HttpRequest, page: Page) -> HttpResponse:
        """Do what the button asked for, say so, and stay at the page."""
        if "_publish" in request.POST:
            self._publish(request, page)
        elif "_unpublish" in request.POST:
            unpublish(page)
            self.log_change(request, page, "Unpublished.")
            self.message_user(request, "Saved. The page is no longer public.", messages.SUCCESS)
        elif page.__dict__.get("_untouched"):
            self.message_user(request, "Nothing was changed, so nothing was stored.", messages.INFO)
        else:
            public = " Readers still see the published version." if state_of(page) == "changed" else ""
            self.message_user(request, f"Saved.{public}", messages.SUCCESS)
        return HttpResponseRedirect(editor_address(page))

    def _publish(self, request: HttpRequest, page: Page) -> None:
        page = self.get_queryset(request).get(pk=page.pk)  # with what others changed and this form did not
        if not is_public_as_it_is(page):
            publish(page, author=request.user.get_username())
            self.log_change(request, page, "Published.")
        address = public_address(page)
        title = Truncator(page.title).chars(60)
        self.message_user(request, format_html('Published: <a href="{}">{}</a>', address, title), messages.SUCCESS)


def _label(form: Any, name: str) -> str:
    """Return what a field is called; one without a label, by the kind of its block."""
    return str(form[name].label) or NAMES[form.kind]


def is_public_as_it_is(page: Page) -> bool:
    """Say whether readers see exactly what is stored now, so that publishing would change nothing."""
    shown = follow(page, "publication")
    if shown is None:
        return False
    same = (shown.title, shown.slug, shown.section_id, shown.date) == (page.title, page.slug, page.section_id, page.date)
    return same and shown.data == snapshot(page)
