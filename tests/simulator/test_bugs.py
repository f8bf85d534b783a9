"""The simulator can fail: mistakes that are planted in the program are found. All of them: ``python -m tests.simulator.hunt``."""

import pytest

from sync.simulator.runs import run, run_seed, smallest
from sync.simulator.script import Script, Step
from tests.simulator.bugs import BUGS
from tests.simulator.hunt import PAGE

# Quick to find, and of every kind: what is taken, what counts, what is overwritten, what is shown, what is sent.
QUICK = (
    "skip_the_signature",
    "known_ones_are_new",
    "over_is_nothing",
    "deletion_always_wins",
    "digest_only_grows",
    "off_by_one",
)
SEEDS = 25


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_mistake_is_found(name, stores):
    """Within a few seeds."""
    with BUGS[name].planted():
        assert any(run_seed(seed, stores).failed for seed in range(1, SEEDS)), BUGS[name].sentence


# What chance alone seldom brings together, with the steps that do.
SCENES = {
    "wholes_outlive_their_last_part": ("create", "dispute", "sever", "sever"),
    "versions_are_not_looked_at": ("create", "two_tabs", "two_tabs"),
    "saves_count_as_they_come": ("create", "two_tabs", "two_tabs", "two_tabs"),
    "forms_delete_the_unseen": ("create", "two_tabs", "two_tabs", "two_tabs"),
}


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_finds_what_chance_alone_seldom_does(name, stores):
    """Within a few runs that hold little else; and these fail by nothing but the mistake."""
    steps = [Step(number, do, 0, 500, 1) for number, do in enumerate(SCENES[name], 1)]
    scripts = [Script(seed, 0, tuple(steps)) for seed in range(1, SEEDS)]
    with BUGS[name].planted():
        failing = next(script for script in scripts if run(script, stores).failed)
    assert not run(failing, stores).failed


def test_a_failure_is_made_small(stores):
    """What is left of a script is what it takes, and it fails again."""
    with BUGS["over_is_nothing"].planted():
        outcome = next(found for seed in range(1, SEEDS) if (found := run_seed(seed, stores)).failed)
        small = smallest(outcome, stores)
    assert small.failed and small.gist == outcome.gist
    assert 0 < len(small.script.steps) <= 5


@pytest.mark.parametrize("name", sorted(BUGS))
def test_every_mistake_can_be_planted(name):
    """What a mistake is planted into is still there, and nothing of it is left afterwards."""
    before = [getattr(target, attribute) for target, attribute, _ in BUGS[name].patches()]
    with BUGS[name].planted():
        pass
    assert [getattr(target, attribute) for target, attribute, _ in BUGS[name].patches()] == before


def test_the_page_says_of_every_mistake_who_finds_it():
    """A seed, or a test that is there by that name."""
    rows = {line.split("`")[1]: line for line in PAGE.read_text().splitlines() if line.startswith("| `")}
    assert list(rows) == list(BUGS)
    for name, bug in BUGS.items():
        assert bug.sentence in rows[name]
        assert "| seed " in rows[name] or bug.test
        if bug.test:
            path, test = bug.test.split("::")
            assert f"by name `{test}`" in rows[name]
            assert f"def {test}(" in (PAGE.parents[1] / path).read_text()
