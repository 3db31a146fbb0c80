"""The plan of one experiment. Whatever is wrong with the files is found here, with its line, before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

import crashcart
from crashcart.loading import ExperimentFile, Project
from crashcart.loading.project import BOOKS_FILE, LOAD_FILE
from crashcart.loading.yamltree import Path_
from crashcart.model.design import SHOPPERS, Design
from crashcart.model.errors import UsageError
from crashcart.model.experiment import PHASES
from crashcart.model.hints import did_you_mean
from crashcart.model.load import LoadProgram, in_scenario
from crashcart.model.plan import (
    PLAN_FORMAT,
    Phase,
    Plan,
    PlannedGuardrail,
    PlannedRecovery,
)
from crashcart.model.profiles import PROFILES, expected_count
from crashcart.model.slo import Slo
from crashcart.model.truth import Invariant, Source, Truth
from crashcart.model.units import format_duration
from crashcart.planning.faults import plan_faults
from crashcart.planning.objectives import plan_objectives
from crashcart.planning.request import Request

T = TypeVar("T")

HOLD_S = 10.0
"""Health must last this long before it counts as recovery: the first good answer is not recovery."""
MAX_PEAK_PER_S = 10_000
MAX_DURATION_S = 86_400
_GUARD_S = (1.0, 600.0)
"""How far back a guardrail may look: a shorter time holds no scrape, over a longer one nothing would be saved."""


def plan(request: Request) -> Plan:
    """The plan. BadFile with file and line for whatever can't work."""
    file, experiment, project = request.file, request.file.experiment, request.project
    design = _at(file, ("design",), lambda: project.design(experiment.design))
    program, slos = _program(file, project.load_program), project.slos
    if program.entry and program.entry not in design.services:
        what = f"the load calls {program.entry!r}, which the design {design.metadata.name!r} does not have"
        raise project.error_in(LOAD_FILE, ("entry",), what, did_you_mean(program.entry, design.services, "services"))
    phases = _phases(file, program)
    faults = plan_faults(request, design, next((phase for phase in phases if phase.name == "fault"), None))
    recovery = _recovery(file, slos, phases, max((fault.end_s for fault in faults), default=0.0), bool(faults))
    return Plan(
        format=PLAN_FORMAT,
        name=experiment.metadata.name,
        title=experiment.metadata.title or experiment.metadata.name,
        hypothesis=experiment.hypothesis.strip(),
        tags=experiment.metadata.tags,
        experiment_file=file.path,
        runtime=request.runtime,
        design=design,
        profile=experiment.load.profile,
        peak_per_s=experiment.load.peak_per_s,
        seed=experiment.load.seed,
        load=program,
        phases=phases,
        faults=faults,
        objectives=plan_objectives(file, slos, program, phases),
        recovery=recovery,
        guardrails=tuple(_guardrail(file, slos, index) for index in range(len(experiment.guardrails))),
        slos=tuple(slos[name] for name in sorted(slos)),
        truth=_truth(file, project, design),
        crashcart_version=crashcart.__version__,
        overrides=request.overrides,
        scenario=experiment.load.scenario,
    )


def _program(file: ExperimentFile, declared: LoadProgram) -> LoadProgram:
    """The load in the scenario that the experiment chooses."""
    name = file.experiment.load.scenario
    if name and name not in declared.scenarios:
        remedy = did_you_mean(name, declared.scenarios, "scenarios")
        raise file.error(("load", "scenario"), f"there is no scenario {name!r} in loadtests/load.yaml", remedy)
    return in_scenario(declared, name)


def _at(file: ExperimentFile, path: Path_, ask: Callable[[], T]) -> T:
    """An error about what the experiment names gets the experiment's file and line."""
    try:
        return ask()
    except UsageError as error:
        if error.where:
            raise
        raise file.error(path, error.what, error.remedy) from error


def _phases(file: ExperimentFile, program: LoadProgram) -> tuple[Phase, ...]:
    load, timeline = file.experiment.load, file.experiment.timeline
    if load.profile not in PROFILES:
        remedy = did_you_mean(load.profile, PROFILES, "profiles")
        raise file.error(("load", "profile"), f"there is no profile {load.profile!r}", remedy)
    if not 0 < load.peak_per_s <= MAX_PEAK_PER_S:
        what = f"peak_per_s: {load.peak_per_s:g} is not in (0, {MAX_PEAK_PER_S}]"
        raise file.error(("load", "peak_per_s"), what, "purchase intents a second, such as 40")
    if timeline.warmup <= 0 or timeline.baseline <= 0:
        raise file.error(("timeline",), "warmup and baseline must take some time", "such as 10s and 20s")
    if file.experiment.faults and timeline.fault <= 0:
        raise file.error(("timeline",), "there are faults, but no fault phase", "add fault: 20s and recovery: 30s")
    ends, start = [], 0.0
    for name in PHASES:
        duration = float(getattr(timeline, name))
        if duration:
            ends.append(Phase(name, round(start, 6), round(start + duration, 6)))
            start += duration
    if start > MAX_DURATION_S:
        raise file.error(("timeline",), f"the timeline takes {start / 3600:.0f} h", "at most 24 h")
    profile = PROFILES[load.profile]
    bare = tuple(ends)
    return tuple(
        Phase(
            phase.name,
            phase.start_s,
            phase.end_s,
            expected_intents=round(expected_count(profile, load.peak_per_s, bare, phase.start_s, phase.end_s), 3),
            expected_sessions=round(
                expected_count(profile, load.peak_per_s / program.purchase_share, bare, phase.start_s, phase.end_s), 3
            ),
        )
        for phase in bare
    )


def _known_slo(file: ExperimentFile, slos: Mapping[str, Slo], name: str, path: Path_) -> str:
    if name not in slos:
        raise file.error(path, f"there is no SLO {name!r}", did_you_mean(name, slos, "SLOs"))
    if slos[name].told_within_s is not None:
        what = f"{name} is counted from the books, which are read when the run is over"
        raise file.error(path, what, "expect it of a phase, under expect.baseline or expect.fault")
    return name


def _guardrail(file: ExperimentFile, slos: Mapping[str, Slo], index: int) -> PlannedGuardrail:
    rule, path = file.experiment.guardrails[index], ("guardrails", index)
    name = _known_slo(file, slos, rule.slo, (*path, "slo"))
    if not 0 < rule.below <= 1:
        what = f"below: {rule.below:g} is not in (0, 1]"
        raise file.error((*path, "below"), what, "a share: 0.2 aborts the run under 20 %")
    if not _GUARD_S[0] <= rule.duration <= _GUARD_S[1]:
        what = f"for: {rule.duration!r} is no time to look back"
        raise file.error((*path, "for"), what, f"{format_duration(_GUARD_S[0])} to {format_duration(_GUARD_S[1])}")
    return PlannedGuardrail(name, rule.below, float(rule.duration))


def _recovery(
    file: ExperimentFile, slos: Mapping[str, Slo], phases: tuple[Phase, ...], from_s: float, has_faults: bool
) -> PlannedRecovery | None:
    expected = file.experiment.expect.recovery
    if expected is None:
        return None
    path: Path_ = ("expect", "recovery")
    if not has_faults:
        raise file.error(path, "there is no fault to recover from", "leave recovery out, or add a fault")
    for index, name in enumerate(expected.of):
        _known_slo(file, slos, name, (*path, "of", index))
    room = phases[-1].end_s - from_s
    if room < float(expected.within) + HOLD_S:
        what = f"recovery within {expected.within!r} can't be seen: {room:g} s remain after the last fault"
        remedy = f"health must last {HOLD_S:g} s: give recovery at least {float(expected.within) + HOLD_S:g}s"
        raise file.error(path, what, remedy)
    return PlannedRecovery(float(expected.within), HOLD_S, from_s, expected.of)


def _truth(file: ExperimentFile, project: Project, design: Design) -> Truth:
    """The books with the invariants that the experiment asks for."""
    truth, wanted = project.truth, file.experiment.expect.always.invariants
    known = {invariant.name: invariant for invariant in truth.invariants}
    for base, sources in ((("sources",), truth.sources), (("quiesce", "zero"), truth.quiesce.zero)):
        for name, source in sources.items():
            _check_source(project, design, (*base, name), source)
    if isinstance(wanted, str):
        return truth
    chosen: list[Invariant] = []
    for index, name in enumerate(wanted):
        if name not in known:
            path: Path_ = ("expect", "always", "invariants", index)
            raise file.error(path, f"there is no invariant {name!r}", did_you_mean(name, known, "invariants"))
        chosen.append(known[name])
    return msgspec.structs.replace(truth, invariants=tuple(chosen))


def _check_source(project: Project, design: Design, path: Path_, source: Source) -> None:
    key, wanted = ("database", "postgres") if source.database else ("ledger" if source.ledger else "service", "process")
    asked = source.database or source.ledger or source.service
    there = [name for name, service in design.services.items() if service.kind == wanted]
    if asked not in there:
        what = f"the books ask {asked!r}, which the design {design.metadata.name!r} does not have"
        if asked in design.services:
            what = f"the books ask {asked!r} for a {key}, and it is a service of kind {design.services[asked].kind}"
        raise project.error_in(BOOKS_FILE, (*path, key), what, did_you_mean(asked, there, "services"))


def front_door(design: Design) -> str:
    """The proxy that shoppers call."""
    return f"{SHOPPERS}[0].{design.entry}[0]"
