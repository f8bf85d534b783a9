"""The addresses of the public site. The last one takes every path that is left."""

from django.urls import URLPattern, URLResolver, path

from content.public import machines, media, pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.home, name="home"),
    path("search", pages.find, name="search"),
    path("feed", machines.feed, name="feed"),
    path("sitemap.xml", machines.sitemap, name="sitemap"),
    path("robots.txt", machines.robots, name="robots"),
    path("style/<slug:digest>.css", machines.style, name="style"),
    path("media/<str:digest>/<int:width>w/<str:filename>", media.rendition, name="rendition"),
    path("media/<str:digest>/<path:filename>", media.media, name="media"),
    path("<path:path>", pages.anything, name="anything"),
]
