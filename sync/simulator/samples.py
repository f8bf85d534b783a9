"""Values for fields of any replicated model: few and short, so that people who choose at random choose the same things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from django.db import models

from sync.registry import FieldSpec, ModelSpec

WORDS = ("river", "tide", "bridge", "lock", "wharf", "ferry", "mist", "eel", "barge", "rain")
LONG = "The river rises and falls twice a day, and whoever lives beside it learns to wait for it."


def text(random: Random, limit: int | None = None) -> str:
    """Return a word or two."""
    words = " ".join(random.choice(WORDS) for _ in range(random.randint(1, 2)))
    return words[: limit or None]


def paragraphs(random: Random, old: Any = None) -> str:
    """Return some paragraphs; of ``old`` all but one, which is written anew, or one more, or one less."""
    parts = old.split("\n\n") if isinstance(old, str) and old else [LONG, text(random), text(random)]
    which, what = random.randrange(len(parts)), random.random()
    if what < 0.6 or len(parts) > 6:
        parts[which] = f"{text(random)} {LONG if random.random() < 0.3 else ''}".strip()
    elif what < 0.9:
        parts.insert(which, text(random))
    elif len(parts) > 1:
        parts.pop(which)
    return "\n\n".join(parts)


def value(field: FieldSpec, random: Random, old: Any = None) -> Any:
    """Return a value that an instance may have in ``field``, which is no reference. ``old`` is the present one."""
    target = field.field
    if field.policy == "set":
        return _changed_set(set(old or ()), random)
    if field.policy == "map":
        return _changed_map(dict(old or {}), random)
    if target.choices:
        return random.choice([key for key, _ in target.flatchoices])
    if field.policy == "text" or isinstance(target, models.TextField):
        return paragraphs(random, old)
    for kinds, make in _BY_TYPE:
        if isinstance(target, kinds):
            return make(random)
    if isinstance(target, models.CharField):
        return text(random, target.max_length)
    return target.get_default()


def _changed_set(old: set[str], random: Random) -> list[str]:
    return sorted(old ^ {random.choice(WORDS) for _ in range(random.randint(1, 2))})


def _changed_map(old: dict[str, Any], random: Random) -> dict[str, Any]:
    key = random.choice(("html", "caption", "alt"))
    if key in old and random.random() < 0.2:
        return {name: item for name, item in old.items() if name != key}
    return {**old, key: f"<p>{text(random)}</p>" if random.random() < 0.7 else f"<p>{LONG} {text(random)}</p>"}


def _moment(random: Random) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=random.randrange(600_000))


def _json(random: Random) -> Any:
    return [text(random) for _ in range(random.randint(0, 3))]


_BY_TYPE: tuple[tuple[Any, Any], ...] = (
    (models.BooleanField, lambda random: random.random() < 0.5),
    (models.DateTimeField, _moment),
    (models.DateField, lambda random: _moment(random).date()),
    (models.TimeField, lambda random: _moment(random).time()),
    (models.DecimalField, lambda random: Decimal(random.randrange(100))),
    (models.FloatField, lambda random: random.randrange(100) / 4),
    (models.IntegerField, lambda random: random.randrange(10)),
    (models.BinaryField, lambda random: random.randbytes(4)),
    (models.JSONField, _json),
    (models.UUIDField, lambda random: __import__("uuid").UUID(bytes=random.randbytes(16))),
)


def target_of(field: FieldSpec) -> str | None:
    """Return the label of the model that a reference leads to; None for what is no reference."""
    related = field.field.related_model if field.field.is_relation else None
    return related._meta.label_lower if related else None


def order(specs: list[ModelSpec]) -> list[ModelSpec]:
    """Return ``specs``, those first that others refer to."""
    labels = {spec.label for spec in specs}
    done: list[ModelSpec] = []
    waiting = list(specs)
    while waiting:
        ready = [s for s in waiting if required(s) & labels <= {spec.label for spec in done} | {s.label}] or waiting[:1]
        done += ready
        waiting = [spec for spec in waiting if spec not in ready]
    return done


def required(spec: ModelSpec) -> set[str]:
    """Return the labels of the models of which a row of ``spec`` must refer to a row."""
    return {target for f in spec.fields.values() if not f.field.null and (target := target_of(f))}
