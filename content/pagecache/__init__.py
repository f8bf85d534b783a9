"""Public pages as files: rendered once, then answered without Django or the database, by us or by nginx.

The database is the truth and the folder can be deleted at any time. A page is put there only if no commit that changes it came
between: see ``folder``.
"""
