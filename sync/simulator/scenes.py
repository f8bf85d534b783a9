"""Scenes: what chance alone would seldom bring together. What comes of them is left to the steps that follow."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from sync.core.policy import Verb, may
from sync.registry import ModelSpec, all_specs, spec_of
from sync.simulator import parts, samples, tabs
from sync.simulator.conversations import exchange
from sync.simulator.edits import Editor
from sync.simulator.people import edit, send
from sync.simulator.replica import Replica
from sync.simulator.script import Step
from sync.simulator.world import World


def dispute(world: World, replica: Replica, step: Step) -> None:
    """Somebody adds a part to a row that somebody else deletes at the same time: it lives by that part alone."""
    other = world.place(step.with_)
    specs = [spec for spec in samples.order(all_specs()) if spec.parts]
    if not specs or other is replica:
        return
    spec = world.chance.random.choice(specs)
    edit(world, replica, step, lambda editor: _make_one(editor, spec))
    _meet(world, replica, other, step)
    token = world.chance.random.choice(Editor(world.chance.random).tokens(spec) or [""])
    with world.at(other):
        if not spec.model._base_manager.filter(pk=token).exists() or spec.label in other.release.hidden:
            return
        edit(world, other, step, lambda editor: parts.delete(editor, spec.model._base_manager.get(pk=token)))
        world.check_applied(other)
    edit(world, replica, step, lambda editor: _add_to(editor, spec, token))
    world.tally["disputes"] += 1
    if world.chance.random.random() < 0.7:
        _meet(world, replica, other, step)


def _make_one(editor: Editor, spec: ModelSpec) -> None:
    """Make a row of ``spec``, and what it takes, unless there are some."""
    if not editor.tokens(spec):
        for each in editor.known():
            if each.label == spec.label or (each.label in samples.required(spec) and not editor.tokens(each)):
                editor.create(each)


def _add_to(editor: Editor, spec: ModelSpec, token: str) -> None:
    known = {each.label for each in editor.known()}
    found = [part for part in spec.parts if part.label in known]
    if found and editor.tokens(spec):
        parts.add_part(editor, editor.random.choice(found), token)


def _meet(world: World, one: Replica, other: Replica, step: Step) -> None:
    """Of the two the one who may do more exchanges with the other."""
    here, there = max(
        ((one, other), (other, one)), key=lambda pair: sum(may(pair[0].place.party, v, pair[1].place.party) for v in Verb)
    )
    with world.at(here):
        exchange(world, here, replace(step, with_=list(world.replicas.values()).index(there), kind=""))
        world.check_applied(here)


def sever(world: World, replica: Replica, step: Step) -> None:
    """Somebody takes away the part by which alone a row lives, here or wherever there is one."""
    for each in [replica, *(other for other in world.replicas.values() if other is not replica)]:
        with world.at(each):
            if parts.hanging(Editor(world.chance.random)):
                edit(world, each, step, parts.sever)
                world.check_applied(each)
                world.tally["severed"] += 1
                return


def two_tabs(world: World, replica: Replica, step: Step) -> None:
    """Two people have one row open, and change one field of it, each more than once; meanwhile its value goes and comes back."""
    editor, random = Editor(world.chance.random), world.chance.random
    row = editor.pick()
    spec = spec_of(type(row)._meta.label_lower) if row is not None else None
    if spec is None:
        return
    names = [random.choice(editor.changeable(spec))]
    manager = spec.model._base_manager
    opened = [tabs.open_row(editor, step.n, True, manager.get(pk=row.pk)) for _ in range(2)]
    one, other = (tab for tab in opened if tab is not None)
    world.say(f"{step.n} {replica.label} opens {row.pk} twice")
    if random.random() < 0.5:
        _there_and_back(world, replica, step, manager.get(pk=row.pk), names)
    for tab in random.sample((one, other, one, other), 3):
        send(world, replica, step, tab, names)


def _there_and_back(world: World, replica: Replica, step: Step, row: Any, names: list[str]) -> None:
    spec = spec_of(type(row)._meta.label_lower)
    assert spec is not None
    attributes = [spec.fields[name].attname for name in names]
    before = {name: copy.deepcopy(getattr(row, name)) for name in attributes}

    def go(editor: Editor) -> None:
        editor.change(row, names)
        row.save()
        editor.deed.what.append(f"changes {','.join(names)} of {row.pk}")

    def come_back(editor: Editor) -> None:
        for name, value in before.items():
            setattr(row, name, value)
        row.save()
        editor.deed.what.append(f"changes {','.join(names)} of {row.pk} back")

    edit(world, replica, step, go)
    edit(world, replica, step, come_back)


STEPS = {"dispute": dispute, "sever": sever, "two_tabs": two_tabs}
