"""Claims: every value that a field of policy ``claim`` was ever given, so that an address once given out leads somewhere for ever.

Which name a claim takes follows from all claims to slugs of the same words (``sync.core.slug.allocate``): nearly always its own
value. Where two rows claim one value, the later one is displaced: its column shows the next of its candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Count, F, Q

from sync.core.changeset import Changeset, Write
from sync.core.clock import Timestamp
from sync.core.slug import Claim as Claimed
from sync.core.slug import allocate, candidates, split
from sync.db import sql
from sync.models import Claim
from sync.registers import RowKey
from sync.registry import spec_of

TABLE = Claim._meta.db_table
MAX_LENGTH = 500  # of a value that can be claimed
COLUMNS = ("model", "value", "token", "ms", "counter", "dot", "name", "tag", "displaced")


def note(changesets: Iterable[Changeset]) -> set[RowKey]:
    """Keep the claims that ``changesets``, which count, make; return the rows whose names are not what they claimed, or change."""
    fresh: dict[str, list[Claimed]] = {}
    for changeset in changesets:
        for model, claim in made_by(changeset):
            fresh.setdefault(model, []).append(claim)
    return set().union(*(_settle(model, claims) for model, claims in fresh.items()))


def made_by(changeset: Changeset) -> Iterator[tuple[str, Claimed]]:
    """Yield the claims that a changeset makes, if it counts, each with its model."""
    stamp = changeset.head.stamp
    for op in changeset.head.ops:
        model = spec_of(op.model)
        claimed = model.claims if model else ()
        for write in op.writes if claimed else ():
            value = _said(changeset, write) if write.field in claimed else None
            if value is not None:
                yield op.model, Claimed(stamp, op.token, value, changeset.dot)


def _said(changeset: Changeset, write: Write) -> str | None:
    """The text that a write claims; None for what is no text that could be an address."""
    try:
        value = changeset.value(write)
    except (KeyError, ValueError):
        return None
    fits = isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and value.isprintable()
    return value if fits else None


def _settle(model: str, fresh: Sequence[Claimed]) -> set[RowKey]:
    """Store ``fresh`` claims under their names; where somebody else has a part in one, all with the same words are served anew."""
    tokens: dict[str, str] = {}
    contested: set[str] = set()
    for claim in fresh:
        if tokens.setdefault(claim.value, claim.token) != claim.token:
            contested.add(split(claim.value)[0])
    # Whatever anybody claimed or tried in vain is the name of somebody.
    for label, name, token in sql.select_in(TABLE, ("model", "name", "token"), "name", sorted(tokens)):
        if label == model and tokens[name] != token:
            contested.add(split(name)[0])
    no, _ = sql.booleans()
    rows = [(model, value, token, *stamp, dot, value, split(value)[1], no) for stamp, token, value, dot in fresh]
    sql.insert(TABLE, COLUMNS, rows)
    return _serve(model, contested)


def _serve(model: str, words: Iterable[str]) -> set[RowKey]:
    """Give out the names of all claims with ``words`` anew; return the rows that are displaced or have another name now."""
    moved: set[RowKey] = set()
    for group in sorted(words):
        held = {claim: (pk, name) for pk, claim, name in _with_words(model, group)}
        names = allocate(held)
        news = [(name, name != claim.value, held[claim][0]) for claim, name in names.items() if name != held[claim][1]]
        sql.update(TABLE, "id", ("name", "displaced"), news)
        moved |= {RowKey(model, claim.token) for claim, name in names.items() if name != claim.value or name != held[claim][1]}
    return moved


def misnamed() -> Iterator[tuple[str, Claimed, str, str]]:
    """Yield each claim that stands under a name which does not follow from all claims: model, claim, name, the right name."""
    odd = Claim.objects.filter(Q(displaced=True) | ~Q(name=F("value")))
    twice = Claim.objects.values("model", "name").annotate(rows=Count("token", distinct=True)).filter(rows__gt=1)
    names = [*odd.values_list("model", "name"), *twice.values_list("model", "name"), *odd.values_list("model", "value")]
    for model, words in sorted({(model, split(name)[0]) for model, name in names}):
        held = {claim: name for _, claim, name in _with_words(model, words)}
        yield from ((model, claim, held[claim], right) for claim, right in allocate(held).items() if right != held[claim])


def _with_words(model: str, words: str) -> Iterator[tuple[int, Claimed, str]]:
    """Yield key, claim and name of all claims to slugs of ``words``."""
    rows = Claim.objects.filter(model=model, name__gte=words or "0", name__lt=f"{words}." if words else ":")
    for pk, ms, counter, token, value, dot, name in rows.values_list("pk", "ms", "counter", "token", "value", "dot", "name"):
        if split(name)[0] == words:
            yield pk, Claimed(Timestamp(ms, counter), token, value, bytes(dot)), name


def forget(dots: Iterable[bytes]) -> set[RowKey]:
    """Take back the claims of changesets that no longer count; return the rows whose names change by that."""
    gone = list(dots)
    groups = {(model, split(name)[0]) for model, name in sql.select_in(TABLE, ("model", "name"), "dot", gone)}
    sql.delete_in(TABLE, "dot", gone)
    if not Claim.objects.filter(displaced=True).exists():
        return set()
    return set().union(*(_serve(model, [words]) for model, words in groups))


def is_anybody_displaced() -> bool:
    """Say whether any claim is."""
    return sql.exists(TABLE, "displaced")


def displaced(tokens: Iterable[str]) -> dict[tuple[str, str, str], str]:
    """Return the names of displaced claims among those of the rows ``tokens``: (model, token, value) -> name."""
    if not is_anybody_displaced():
        return {}
    every = sorted(set(tokens))
    found: dict[tuple[str, str, str], str] = {}
    for start in range(0, len(every), sql.CHUNK):
        rows = Claim.objects.filter(displaced=True, token__in=every[start : start + sql.CHUNK])
        found.update(((m, token, value), name) for m, token, value, name in rows.values_list("model", "token", "value", "name"))
    return found


def owner(model: str, value: str) -> str | None:
    """Return the token of the row of ``model`` (``content.page``) that ``value`` leads to; None where nobody ever had it."""
    return Claim.objects.filter(model=model, name=value).values_list("token", flat=True).first()


def displaced_from(model: str, value: str) -> list[str]:
    """Return the rows of ``model`` that claimed ``value`` too, and have another name for it."""
    return list(Claim.objects.filter(displaced=True, model=model, value=value).values_list("token", flat=True)[:100])


def free(model: str, token: str, value: str) -> str:
    """Return the first candidate of the row ``token`` for ``value`` that nobody else has, as far as this replica knows."""
    return next(name for name in candidates(token, value) if owner(model, name) in (None, token))


def similar(model: str, value: str) -> str | None:
    """Return the row of ``model`` that a mistyped ``value`` means: the tag is right, and it shares most words; None where none does."""
    words, tag = split(value)
    if not tag:
        return None
    wanted = set(words.split("-"))
    shared: dict[str, int] = {}
    for name, token in Claim.objects.filter(model=model, tag=tag).values_list("name", "token")[:1000]:
        shared[token] = max(shared.get(token, 0), len(wanted & set(split(name)[0].split("-"))))
    ranked = sorted(shared, key=lambda token: (-shared[token], token))
    if not ranked or not shared[ranked[0]] or (len(ranked) > 1 and shared[ranked[0]] == shared[ranked[1]]):
        return None
    return ranked[0]
