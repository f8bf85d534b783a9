"""The addresses of the site; the public site comes last because it takes every path that is left."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("sync.urls")),
    path("", include("content.urls")),
]
