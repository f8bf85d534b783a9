"""What a run says to people: the seed, what was wrong, what happened, and the shortest script that shows it."""

from __future__ import annotations

from sync.simulator.runs import Outcome


def describe(outcome: Outcome) -> str:
    """Return all that is needed to see a failure again."""
    error = outcome.error.strip()
    lines = [
        f"seed {outcome.script.seed} fails: {error}" if error else f"seed {outcome.script.seed} breaks no promise",
        "",
        "what happened:",
        *(f"  {line}" for line in outcome.trace),
        "",
        "the shortest script (manage.py sync_simulate --script FILE runs it again):",
        outcome.script.encode(),
    ]
    return "\n".join(lines)
