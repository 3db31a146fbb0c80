"""Which objectives gate which phase, and whether there will be enough events to judge them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from crashcart.loading import ExperimentFile
from crashcart.loading.yamltree import Path_
from crashcart.model.experiment import Objective
from crashcart.model.hints import did_you_mean
from crashcart.model.load import LoadProgram
from crashcart.model.plan import Phase, PlannedObjective
from crashcart.model.slo import Slo

MIN_EVENTS = 20
"""Under this many events a ratio says little, whatever the objective."""


def plan_objectives(
    file: ExperimentFile, slos: Mapping[str, Slo], program: LoadProgram, phases: tuple[Phase, ...]
) -> tuple[PlannedObjective, ...]:
    """One for each phase, SLO and cohort. BadFile where a phase is too short for its SLO."""
    by_name = {phase.name: phase for phase in phases}
    found: list[PlannedObjective] = []
    for phase_name, expected in (
        ("baseline", file.experiment.expect.baseline),
        ("fault", file.experiment.expect.fault),
    ):
        for index, objective in enumerate(expected):
            path: Path_ = ("expect", phase_name, index)
            if phase_name not in by_name:
                raise file.error(
                    path, f"something is expected of the phase {phase_name}, which the timeline does not have"
                )
            found += _of_one(file, path, slos, program, by_name[phase_name], objective)
    ids = [objective.id for objective in found]
    for name in ids:
        if ids.count(name) > 1:
            raise file.error(("expect",), f"{name} is expected twice")
    if not file.experiment.expect.baseline:
        raise file.error(
            ("expect",), "nothing is expected of the baseline", "name the SLOs that must hold before any fault"
        )
    return tuple(found)


def _of_one(
    file: ExperimentFile,
    path: Path_,
    slos: Mapping[str, Slo],
    program: LoadProgram,
    phase: Phase,
    objective: Objective,
) -> Iterator[PlannedObjective]:
    slo = slos.get(objective.slo)
    if slo is None:
        raise file.error(
            (*path, "slo"), f"there is no SLO {objective.slo!r}", did_you_mean(objective.slo, slos, "SLOs")
        )
    if "all" in objective.cohorts:
        raise file.error((*path, "cohorts", "all"), "everybody is no cohort", "write objective: beside slo:")
    for cohort in objective.cohorts:
        if cohort not in slo.objectives:
            remedy = did_you_mean(cohort, slo.objectives, "cohorts")
            raise file.error((*path, "cohorts", cohort), f"{slo.name} has no objective for {cohort!r}", remedy)
    for value in (objective.objective, *objective.cohorts.values()):
        if value is not None and not 0 < value < 1:
            raise file.error((*path, "objective"), f"objective: {value:g} is not between 0 and 1", "99 % is 0.99")
    for cohort, own in slo.objectives.items():
        if cohort in objective.cohorts and objective.cohorts[cohort] is None:
            continue
        wanted = _wanted(objective, cohort, own)
        minimum = 0 if slo.only_failures else max(MIN_EVENTS, math.ceil(1 / (1 - wanted) - 1e-9))
        expected = _expected_events(program, slo, phase, cohort)
        sure = expected - 3 * math.sqrt(expected)
        if not slo.only_failures and sure < minimum:
            what = (
                f"the phase {phase.name} is too short for {slo.name} of {cohort}: about {expected:.0f} events, "
                f"of which {max(0, math.floor(sure))} are sure, and an objective of {wanted:g} needs {minimum}"
            )
            raise file.error(
                path, what, f"lengthen timeline.{phase.name}, raise load.peak_per_s, or lower the objective"
            )
        yield PlannedObjective(
            id=f"{phase.name}/{slo.name}/{cohort}",
            slo=slo.name,
            phase=phase.name,
            cohort=cohort,
            objective=wanted,
            min_events=minimum,
            expected_events=round(expected, 1),
        )


def _wanted(objective: Objective, cohort: str, own: float) -> float:
    its_own = objective.cohorts.get(cohort)
    if its_own is not None:
        return its_own
    if objective.objective is None:
        return own
    return objective.objective if cohort == "all" else min(own, objective.objective)


def _expected_events(program: LoadProgram, slo: Slo, phase: Phase, cohort: str) -> float:
    """Sessions of the phase × events of this kind per session × the cohort's share."""
    kind = next((matcher.value for matcher in slo.total.matchers if matcher.label == "sli"), "purchase")
    per_session = program.events_per_session.get(kind, program.purchase_share)
    dimension, _, value = cohort.partition(":")
    share = 1.0 if cohort == "all" else program.cohorts[dimension][value]
    return phase.expected_sessions * per_session * share
