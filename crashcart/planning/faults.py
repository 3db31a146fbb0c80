"""Faults of an experiment, their settings checked and their targets resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from crashcart.loading.decode import decode
from crashcart.loading.yamltree import Path_, Tree
from crashcart.model.design import Design
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.experiment import FaultSpec
from crashcart.model.hints import did_you_mean
from crashcart.model.plan import Phase, PlannedFault
from crashcart.model.units import format_duration
from crashcart.planning.coexistence import refuse_overlaps
from crashcart.planning.request import Request
from crashcart.ports import FaultKind


def plan_faults(request: Request, design: Design, phase: Phase | None) -> tuple[PlannedFault, ...]:
    """In the order of the file. BadFile for kinds, settings, targets and times that can't be."""
    specs = request.file.experiment.faults
    if phase is None:
        return ()
    if not specs:
        raise request.file.error(
            ("timeline", "fault"), "there is a fault phase, but no fault", "leave out fault and recovery"
        )
    planned = tuple(_plan_one(request, design, phase, index, spec) for index, spec in enumerate(specs))
    refuse_overlaps(request, planned)
    return planned


def _plan_one(request: Request, design: Design, phase: Phase, index: int, spec: FaultSpec) -> PlannedFault:
    file, settings_path = request.file, ("faults", index, spec.kind)
    meant = _meaning(request, spec, settings_path)
    lacks = request.lacks(meant.kind.kind)
    if lacks:
        what = f"the runtime {request.runtime!r} can't do {meant.kind.kind}: {lacks}"
        raise file.error(settings_path, what, "choose another --runtime, or leave the fault out")
    kind, settings = meant.kind, decode(meant.tree, meant.kind.settings_type, meant.path, meant.settings)
    try:
        targets, watched = kind.targets(settings, design), kind.watched(settings, design)
        effect, title = kind.effect(settings), meant.title or kind.title(settings)
        slices = kind.slices(settings, f"f{index + 1}", request.file.experiment.load.seed, float(spec.duration))
    except BadFile:
        raise
    except UsageError as error:
        raise file.error(settings_path, error.what, error.remedy) from error
    _check_times(request, phase, index, spec, kind.least_s)
    start_s = phase.start_s + float(spec.at)
    fault_id, seed = f"f{index + 1}", request.file.experiment.load.seed
    return PlannedFault(
        id=fault_id,
        kind=kind.kind,
        settings=_plain(meant.settings),
        title=title,
        targets=targets,
        watched=watched,
        links=kind.links(settings, design),
        start_s=round(start_s, 6),
        end_s=round(start_s + float(spec.duration), 6),
        effect=effect,
        named=meant.named,
        seed=seed,
        slices=slices,
    )


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A fault of the file in generic words."""

    kind: FaultKind
    settings: dict[str, Any]
    tree: Tree
    path: Path_
    """Where the settings stand: in the experiment, or in the file of the project's own kind."""
    title: str = ""
    named: str = ""


def _meaning(request: Request, spec: FaultSpec, path: Path_) -> _Meaning:
    own, generic = request.project.fault_kinds, request.faults
    named = own.get(spec.kind)
    if named is None:
        kind = generic.get(spec.kind)
        if kind is None:
            remedy = did_you_mean(spec.kind, (*generic, *own), "faults")
            raise request.file.error(path, f"there is no fault {spec.kind!r}", remedy)
        return _Meaning(kind, spec.settings, request.file.tree, path)
    if named.name in generic:
        what = f"{named.name} is the name of a fault of crashcart's own"
        raise named.tree.error(("metadata", "name"), what, "choose another name")
    if named.uses not in generic:
        remedy = did_you_mean(named.uses, generic, "faults")
        raise named.tree.error(named.settings_path, f"there is no fault {named.uses!r}", remedy)
    values = named.values(request.file.tree, path, spec.settings)
    return _Meaning(
        generic[named.uses],
        named.settings_of(values),
        named.tree,
        named.settings_path,
        named.title_of(values),
        named.name,
    )


def _plain(settings: dict[str, object]) -> dict[str, object]:
    """JSON in, JSON out: what stands in the file stands in the plan."""
    plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(settings))
    return plain


def _check_times(request: Request, phase: Phase, index: int, spec: FaultSpec, least_s: float) -> None:
    path: Path_ = ("faults", index)
    if spec.duration < least_s:
        what = f"faults[{index}] lasts {spec.duration!r}"
        raise request.file.error(
            (*path, "for"), what, f"at least {format_duration(least_s)}, or it can't be shown to act"
        )
    if spec.at + spec.duration > phase.duration_s + 1e-9:
        end, room = format_duration(spec.at + spec.duration), format_duration(phase.duration_s)
        what = f"faults[{index}] ends {end} into a fault phase of {room}"
        raise request.file.error((*path, "for"), what, "shorten the fault, or lengthen timeline.fault")
