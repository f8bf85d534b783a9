"""Lists are answered in pages, none of them so large that one request keeps a worker busy."""

from rest_framework.pagination import LimitOffsetPagination


class Pages(LimitOffsetPagination):
    """``limit``, at most 1,000, and ``offset``."""

    max_limit = 1000
    limit_query_description = "Number of results to return per page, at most 1000."
