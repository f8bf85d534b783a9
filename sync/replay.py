"""Trying again what waits: held changesets whose time has come, quarantined ones, and rows that could not be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import Count, Min, Q, QuerySet, Value
from django.db.models.functions import Concat, StrIndex, Substr

from sync import admission, isolation, local, log, rebuild, signals, suspects, trusting
from sync.core.policy import TRUST
from sync.db import sql
from sync.models import Chain, Entry, Register
from sync.project import why_not_shown

LISTED = 1000  # items that a report names one by one; all are counted
Item = dict[str, Any]


def replay() -> dict[str, Any]:
    """Try everything again; return what became of each, as ``sync_replay`` reports it."""
    with transaction.atomic():
        local.take_turn()
        released = admission.release()
        changesets = [*_judged_anew(), *_faulty()]
        rows = [_row(key.model, key.token, reason) for key, reason in rebuild.retry_rows()]
        if any(item["result"] in ("applied", "shown") for item in [*changesets, *rows]) or released:
            transaction.on_commit(signals.announce)
    waiting = log.waiting()
    return {
        "released": released,
        "applied": sum(item["result"] == "applied" for item in changesets),
        "shown": sum(item["result"] == "shown" for item in rows),
        "held": waiting.filter(state=Entry.State.HELD).count(),
        "quarantined": waiting.filter(state=Entry.State.QUARANTINED).count(),
        "deferred": Register.objects.filter(projected=False).count(),
        "changesets": changesets[:LISTED],
        "rows": rows[:LISTED],
    }


def after_upgrade() -> None:
    """Try again what another release may know better: rows that could not be shown, changesets that could not be applied."""
    for _ in (*_faulty(), *rebuild.retry_rows()):
        pass


def retry_crashed() -> None:
    """Try once more what was at hand when the process ended, in a transaction: somebody may just have killed it at that moment."""
    if not sql.exists(log.ENTRY, f"state > 0 AND state = {Entry.State.QUARANTINED:d}"):
        return
    crashed = log.waiting().filter(state=Entry.State.QUARANTINED, reason=isolation.CRASHED)
    positions = list(crashed.order_by("position").values_list("position", flat=True))
    if not positions:
        return
    tally = suspects.crashes()
    for entry, changeset in log.at(positions):
        if tally.get(entry.dot, suspects.LAST) < suspects.LAST:
            Entry.objects.filter(pk=entry.position).update(state=Entry.State.APPLIED, reason="")
            isolation.apply_each([changeset], crashes=suspects.LAST)


def _row(model: str, token: str, reason: str) -> Item:
    return {"model": model, "token": token, "result": "deferred" if reason else "shown", "reason": reason}


def _quarantined(is_faulty: bool) -> QuerySet[Entry]:
    faults = reduce(or_, (Q(reason__startswith=reason) for reason in admission.FAULTS))
    found = log.waiting().filter(state=Entry.State.QUARANTINED).order_by("position")
    return found.filter(faults) if is_faulty else found.exclude(faults)


def _judged_anew() -> list[Item]:
    """Ask the trusted list again about those who wrote what does not count by it."""
    waiting = list(_quarantined(is_faulty=False).values_list("pk", flat=True)[:LISTED])
    admission.readmit(set(_quarantined(is_faulty=False).values_list("chain__name", flat=True)))
    return [_item(entry) for entry in Entry.objects.filter(pk__in=waiting).select_related("chain").order_by("position")]


def _item(entry: Entry) -> Item:
    origin = {"origin": f"{entry.chain.name}.{entry.chain.incarnation}", "scope": entry.chain.scope, "seq": entry.seq}
    return {**origin, "result": entry.get_state_display().lower(), "reason": entry.reason}


def _faulty() -> Iterator[Item]:
    """Look again at changesets with which something was wrong, apply those with which nothing is, and yield what became of each."""
    trust, chains, is_below = trusting.current(), Chain.objects.in_bulk(), trusting.is_below_once()
    for entry, changeset in log.at(list(_quarantined(is_faulty=True).values_list("position", flat=True))):
        state, reason = admission.judge(trust, changeset, chains[entry.chain].key, is_below)
        Entry.objects.filter(pk=entry.position).update(state=state, reason=reason)
        if state == Entry.State.APPLIED and changeset.head.scope != TRUST:
            suspects.clear([changeset.dot])
            isolation.apply_each([changeset])
        yield _item(Entry.objects.select_related("chain").get(pk=entry.position))


def waiting(rows: int = LISTED) -> list[Item]:
    """Return what waits, by reason: ``state``, ``reason`` (its code), ``count``, and ``first``, an example for people.

    Of rows that are not shown the reasons of the first ``rows`` are looked for.
    """
    code = Substr("reason", 1, StrIndex(Concat("reason", Value(":")), Value(":")) - 1)
    entries = log.waiting().annotate(code=code).values("state", "code")
    found = [
        _of_entries(group) for group in entries.annotate(count=Count("pk"), first=Min("position")).order_by("state", "code")
    ]
    deferred: dict[str, Item] = {}
    for model, token, state in (
        Register.objects.filter(projected=False).order_by("key").values_list("model", "token", "state")[:rows]
    ):
        reason = why_not_shown(model, bytes(state))
        item = deferred.setdefault(reason, {"state": "deferred", "reason": reason, "count": 0, "first": f"{model} {token}"})
        item["count"] += 1
    return [*found, *deferred.values()]


def _of_entries(group: Mapping[str, Any]) -> Item:
    entry = Entry.objects.select_related("chain").get(pk=group["first"])
    where = f"{entry.chain.name}.{entry.chain.incarnation} {entry.chain.scope} {entry.seq}"
    _, _, detail = entry.reason.partition(": ")
    first = f"{where}: {detail}" if detail else where
    return {"state": entry.get_state_display().lower(), "reason": group["code"], "count": group["count"], "first": first}
