"""The base of every replicated model."""

from __future__ import annotations

from django.db import models

from sync.fields import TokenField


class ReplicatedModel(models.Model):
    """A model whose rows replicate. Its key is a token; an inner class ``Replication`` declares what differs from the default.

    - ``policies``: field name -> ``register`` (default), ``text``, ``latest``, ``set`` (a JSON list of texts), ``map`` (a JSON
      object of which each key is a register), ``claim`` (a register whose values are owned for ever, for slugs).
    - ``local``: names of fields that stay on this replica.
    - ``composition``: name of the reference to the row that this one is a part of.
    - ``blobs``: names of fields that hold the SHA-256 of a blob, in hex.
    - ``scope``: function from the row's values (field name -> value) to its scope; ``"all"`` by default.
    - ``clean``: field name -> function that makes a received value safe to show.
    """

    token = TokenField(primary_key=True)

    class Meta:
        abstract = True
