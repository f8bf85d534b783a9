"""Import: a folder of Markdown files becomes sections, pages with blocks, assets and redirects.

The way of a file: ``sources`` finds it, ``frontmatter`` reads its head, ``liquid`` its template tags, ``markdown`` its body,
``tree`` and ``splitting`` part that into blocks, ``images`` finds what it shows (all of this in ``converting``), ``writing``
stores it, ``running`` goes through the folder and keeps the ``report``.
"""
