"""The admin site, with each app free to put patterns of its own before the stock ones."""

from django.contrib import admin


class AdminSite(admin.AdminSite):
    """Django's admin under the name of this project."""

    site_title = site_header = "edgecms"
    index_title = "Content"
