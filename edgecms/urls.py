"""The addresses of the site; the public site comes last because it takes every path that is left."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from edgecms.problems import nothing_here

admin.autodiscover()

handler400 = "edgecms.problems.bad_request_problem"
handler404 = "content.public.pages.missing"
handler500 = "edgecms.problems.server_problem"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("admin", RedirectView.as_view(url="/admin/", permanent=True, query_string=True)),
    path("api/", include("content.api.urls")),
    path("", include("sync.urls")),
    re_path("^sync/", nothing_here),
    path("", include("content.urls")),
]
