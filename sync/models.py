"""Tables of replication.

All of these are local: their numbers are positions on this replica, never sent, never read by another.
"""

from __future__ import annotations

from django.db import models


class Local(models.Model):
    """What this replica knows of itself: one row, made with the database. See ``sync.incarnation`` and ``sync.clocks``."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    incarnation = models.CharField(max_length=32)
    former = models.TextField(blank=True, help_text="former incarnations, the last 100")
    written = models.BigIntegerField(default=0, help_text="changesets made here in all incarnations, and new incarnations")
    place = models.CharField(max_length=120, blank=True, help_text="where the database was at its last write")
    key = models.CharField(max_length=60, blank=True, help_text="public key to which the incarnation is bound")
    clock_ms = models.BigIntegerField(default=0)
    clock_counter = models.BigIntegerField(default=0)
    heard_ms = models.BigIntegerField(default=0, help_text="time of day when the machine started, by a master's clock")
    boot = models.CharField(max_length=40, blank=True, help_text="the start of the machine that heard_ms belongs to")
    root_name = models.CharField(max_length=32, blank=True)
    root_key = models.CharField(max_length=60, blank=True)
    root_url = models.CharField(max_length=300, blank=True)
    sparse = models.BooleanField(default=False, help_text="some values were dropped here, or came without")
    declared = models.JSONField(default=dict, help_text="the fields of each model when the rows were last brought in line")


class Chain(models.Model):
    """A chain of changesets: who wrote it, under which incarnation, for whom. ``key`` is bound to the incarnation for life."""

    name = models.CharField(max_length=32)
    incarnation = models.CharField(max_length=32)
    scope = models.CharField(max_length=64)
    key = models.CharField(max_length=60)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "incarnation", "scope"], name="chain_once")]


class Segment(models.Model):
    """One zstd frame of changesets, as it came or as it was made here."""

    frame = models.BinaryField()


class Entry(models.Model):
    """One changeset in the log, by order of arrival. Its bytes stand in ``segment``."""

    class State(models.IntegerChoices):
        """Whether the changeset counts."""

        APPLIED = 0
        QUARANTINED = 1
        HELD = 2

    position = models.BigAutoField(primary_key=True)
    chain = models.ForeignKey(Chain, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    seq = models.BigIntegerField()
    dot = models.BinaryField(max_length=16, unique=True)
    prev = models.BinaryField(max_length=16, null=True)
    ms = models.BigIntegerField()
    counter = models.BigIntegerField()
    segment = models.ForeignKey(Segment, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    state = models.SmallIntegerField(choices=State.choices, default=State.APPLIED)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["chain", "seq"], name="entry_by_chain"),
            models.Index(fields=["state", "ms"], name="entry_waiting", condition=models.Q(state__gt=0)),
        ]


class Tip(models.Model):
    """An end of a chain: a changeset without a child. Two in one chain are a fork."""

    dot = models.BinaryField(max_length=16, unique=True)
    chain = models.ForeignKey(Chain, on_delete=models.PROTECT)
    seq = models.BigIntegerField()


class Register(models.Model):
    """The registers of one row, whether it is alive or not: see ``sync.core.register.Row``."""

    without_rowid = True

    key = models.CharField(primary_key=True, max_length=160, help_text="token, time first, and model")
    model = models.CharField(max_length=80)
    token = models.CharField(max_length=64)
    scope = models.CharField(max_length=64)
    state = models.BinaryField()
    alive = models.BooleanField()
    siblings = models.BooleanField(default=False, help_text="some key has several heads")
    undecided = models.BooleanField(default=False, help_text="it lives, and a deletion stands that no write has named")
    projected = models.BooleanField(default=True, help_text="the row shows this state; if not, tried again after an upgrade")

    class Meta:
        indexes = [
            models.Index(fields=["key"], name="register_siblings", condition=models.Q(siblings=True)),
            models.Index(fields=["key"], name="register_undecided", condition=models.Q(undecided=True)),
            models.Index(fields=["key"], name="register_unprojected", condition=models.Q(projected=False)),
        ]


class Digest(models.Model):
    """The set hash over the registers of one scope: the sum of SHA-256, modulo 2^256."""

    scope = models.CharField(primary_key=True, max_length=64)
    value = models.BinaryField(max_length=32)


class Trusted(models.Model):
    """The trusted list as it follows from the log: made anew whenever a change of it arrives."""

    name = models.CharField(primary_key=True, max_length=32)
    rank = models.PositiveIntegerField()
    entry = models.JSONField()


class Contact(models.Model):
    """The last exchange with a peer: what it held then."""

    name = models.CharField(primary_key=True, max_length=32)
    last_contact = models.DateTimeField(null=True)
    tips = models.JSONField(default=list)
    summary = models.CharField(max_length=64, blank=True, help_text="of the tips; empty: not known")
    lacking = models.JSONField(null=True, help_text="dots of changesets of which it lacked a value; null: not known")
    error = models.JSONField(null=True)


class Claim(models.Model):
    """A value that a field of policy ``claim`` was given once, and the name that it took: see ``sync.claims``."""

    model = models.CharField(max_length=80)
    value = models.CharField(max_length=500)
    token = models.CharField(max_length=64)
    ms = models.BigIntegerField()
    counter = models.BigIntegerField()
    dot = models.BinaryField(max_length=16, db_index=True)
    name = models.CharField(max_length=700, default="")
    tag = models.CharField(max_length=40, default="")
    displaced = models.BooleanField(default=False, help_text="somebody else has the value, so the name is another")

    class Meta:
        indexes = [
            models.Index(fields=["name", "model"], name="claim_by_name"),
            models.Index(fields=["tag"], name="claim_by_tag"),
            models.Index(fields=["token"], name="claim_displaced", condition=models.Q(displaced=True)),
        ]


class Invite(models.Model):
    """A one-time permission to join, given out by this master. The secret itself is not kept."""

    secret_hash = models.CharField(primary_key=True, max_length=64)
    role = models.CharField(max_length=10)
    farm = models.CharField(max_length=32, blank=True)
    expires = models.DateTimeField()
    used_by = models.CharField(max_length=32, blank=True)


class MissingBlob(models.Model):
    """A blob that a row here names and that has not come yet."""

    digest = models.CharField(primary_key=True, max_length=64)


class MissingValue(models.Model):
    """A value that is wanted here and that has not come yet: which one, and of which changeset."""

    digest = models.CharField(max_length=64)
    dot = models.BinaryField(max_length=16)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["digest", "dot"], name="missing_value_once")]


class Nonce(models.Model):
    """A nonce that was spent. A second request with it is a replay."""

    nonce = models.CharField(primary_key=True, max_length=100)
    expires = models.DateTimeField(db_index=True)


class Written(models.Model):
    """A changeset that a form has written, remembered for a day: what it sends later has seen it. See ``sync.versions``."""

    session = models.CharField(max_length=32, db_index=True)
    dot = models.BinaryField(max_length=16)
    counter = models.IntegerField()
    made = models.DateTimeField(db_index=True)


class Conflict(Register):
    """The inbox of conflicts in Django's admin: a door, without rows of its own. See ``sync.inbox``."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "conflict"


class Board(Contact):
    """The board of replication in Django's admin: what ``sync_status`` says."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name_plural = "replication"
