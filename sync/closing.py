"""Where the incarnations of a name are closed: by a change of key or role, by a revocation, and by another one after it.

A revocation cuts each incarnation at changesets, its closing tips. One that comes later may move that cut: what counts follows
from what the list says now. It never lets a branch in that had been outside, or whoever has a stolen key would only have to
fork below the cut and wait: the cut of a forked chain moves back only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sync import ancestry, log, trusting
from sync.core.clock import ZERO, Timestamp
from sync.core.errors import NeedsOperatorError
from sync.core.policy import ALL
from sync.core.trust import Closed, Open, TrustEntry, cut_by_revoking
from sync.models import Chain, Entry, Tip


def closed_at(name: str, entry: TrustEntry, until: int | None = None) -> dict[str, Closed]:
    """Return what ``entry`` closes, and every open incarnation of ``name`` closed at what is known here.

    ``until``: the last sequence number that counts in the chain of content; other chains are cut by its clock. The tips of
    today where it is None. With a number, what a revocation has closed before is cut anew; what a change of key has closed stays.
    Raises NeedsOperatorError where a cut cannot be moved from here.
    """
    closed = dict(entry.closed)
    movable = set() if until is None else _cut_by_revoking(name)
    chains_of = _chains(name)
    has_cut = False
    for incarnation, chains in chains_of.items():
        former = closed.get(incarnation, entry.open)
        if former is None or not _is_to_be_cut(former, incarnation in movable):
            continue
        # An incarnation of another key, that nobody closed because nobody had seen it, does not count, and goes on not to.
        if of_key := [chain for chain in chains if chain.key == former.key]:
            closed[incarnation] = Closed(former.role, former.farm, former.key, _tips(name, of_key, former, until))
            has_cut = True
    content = {incarnation for incarnation, chains in chains_of.items() if chains[0].scope == ALL}
    if entry.open is None and until is not None and content and not has_cut:
        raise _no_cut(name, is_known=content <= closed.keys())
    unseen = {each: former for each, former in closed.items() if former.tips is None and each not in chains_of}
    return {**closed, **{each: Closed(former.role, former.farm, former.key, []) for each, former in unseen.items()}}


def _no_cut(name: str, is_known: bool) -> NeedsOperatorError:
    if is_known:
        return NeedsOperatorError(
            f"{name} is revoked, and no cut of it can be moved: what was closed by a change of key, or before the name was trusted "
            "again, is closed for good"
        )
    return NeedsOperatorError(
        f"{name} was revoked before this master's list knew what it had made, so there is no cut to move: enter it again with "
        "sync_trust, then revoke it with --from"
    )


def _cut_by_revoking(name: str) -> set[str]:
    return cut_by_revoking(trusting.current(), trusting.writes_about(name), trusting.is_below_once())


def _chains(name: str) -> dict[str, list[Chain]]:
    """Return the chains of ``name`` that are here by incarnation, of each that of content first."""
    found: dict[str, list[Chain]] = {}
    for chain in sorted(Chain.objects.filter(name=name), key=lambda chain: (chain.scope != ALL, chain.pk)):
        found.setdefault(chain.incarnation, []).append(chain)
    return found


def _is_to_be_cut(former: Open | Closed, is_movable: bool) -> bool:
    return isinstance(former, Open) or former.tips is None or is_movable


def _tips(name: str, chains: Sequence[Chain], former: Open | Closed, until: int | None) -> list[str]:
    """Return the closing tips of an incarnation, which is ``former`` up to now."""
    before = {bytes.fromhex(tip) for tip in former.tips or ()} if isinstance(former, Closed) else set()
    if before - log.known(before).keys():
        raise NeedsOperatorError(
            f"the list names changesets of {name} that have not come here: run sync_pull, then revoke again"
        )
    if until is None:
        return sorted(bytes(dot).hex() for dot in Tip.objects.filter(chain__in=chains).values_list("dot", flat=True))
    kept: set[bytes] = set()
    for chain in chains:
        ends = _ends(name, chain, before, isinstance(former, Open) or former.tips is None, until)
        last = (
            partial(ancestry.last_up_to, seq=until)
            if chain.scope == ALL
            else partial(ancestry.last_before, bound=_stamp_of(kept))
        )
        kept |= {dot for end in ends if (dot := last(end)) is not None}
    return sorted(dot.hex() for dot in kept)


def _ends(name: str, chain: Chain, before: set[bytes], is_first: bool, until: int) -> set[bytes]:
    """Return the ends of the branches of ``chain`` on which a cut is looked for: all for the ``is_first`` one.

    Of a chain that is forked the former tips, so that no branch comes in that was outside. Raises NeedsOperatorError where
    such a cut would have to move beyond them.
    """
    tips = {bytes(dot) for dot in Tip.objects.filter(chain=chain).values_list("dot", flat=True)}
    if is_first or len(tips) < 2:
        return tips
    here = {place.dot: place.seq for place in log.known(before).values() if place.chain == chain.pk}
    last = max(here.values(), default=0)
    if chain.scope == ALL and until > last:
        raise NeedsOperatorError(
            f"the chain of {name} is forked, so its cut cannot move beyond {last}: nobody can tell whose branch is whose; "
            "give an earlier number"
        )
    return set(here)


def _stamp_of(content: set[bytes]) -> Timestamp:
    """Return the greatest clock of the changesets of content that are the last to count."""
    last = Entry.objects.filter(dot__in=content).order_by("-ms", "-counter").values_list("ms", "counter").first()
    return Timestamp(*last) if last else ZERO
