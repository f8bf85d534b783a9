"""The addresses under ``/api/``; a slash at the end may be left out."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from content.api.assets import AssetsView
from content.api.pages import PagesView
from content.api.schema import DocsView, NothingHere, Root
from content.api.search import SearchView
from content.api.sections import SectionsView
from content.api.submissions import SubmissionsView

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("sections", SectionsView, basename="api-section")
router.register("pages", PagesView, basename="api-page")
router.register("assets", AssetsView, basename="api-asset")
router.register("submissions", SubmissionsView, basename="api-submission")

urlpatterns = [
    re_path("^schema/?$", SpectacularAPIView.as_view(), name="api-schema"),
    re_path("^docs/?$", DocsView.as_view(), name="api-docs"),
    re_path("^v1/?$", Root.as_view(), name="api-root"),
    path("v1/", include(router.urls)),
    re_path("^v1/search/?$", SearchView.as_view(), name="api-search"),
    re_path("^(?P<unknown>.*)$", NothingHere.as_view()),
]
