"""From a project and a name to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from crashcart.faults import registry
from crashcart.loading import Project
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.plan import Plan
from crashcart.planning import Request, plan
from crashcart.wiring.parts import choose_runtime

RUNTIME = "local"
RESERVED = ("latest", "suites")
"""Names below `runs/` that no experiment can have."""


def make_plan(project: Project, experiment: str, overrides: Sequence[str]) -> Plan:
    """The plan of an experiment by name or path. BadFile or UsageError where there can be none."""
    file = project.experiment(experiment, overrides)
    return plan(Request(file, project, RUNTIME, choose_runtime().lacks, registry(), tuple(overrides)))


def make_plans(project: Project, paths: Sequence[Path], overrides: Sequence[str]) -> tuple[Plan, ...]:
    """Every plan, in order. UsageError with all that is wrong in any of them."""
    plans: list[Plan] = []
    wrong: list[UsageError] = []
    for path in paths:
        try:
            plans.append(make_plan(project, str(path), overrides))
        except UsageError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        lines = "".join(f"\n{line}" for line in dict.fromkeys(str(error) for error in wrong))
        raise UsageError(f"{len(wrong)} of {len(paths)} experiments can't be planned, nothing was started:{lines}")
    _check_names(plans)
    return tuple(plans)


def plan_json(made: Plan) -> str:
    """As `plan.json` in the recording."""
    return msgspec.json.format(msgspec.json.encode(made), indent=1).decode()


def _check_names(plans: Sequence[Plan]) -> None:
    """Recordings are kept by name."""
    files: dict[str, str] = {}
    for made in plans:
        other = files.setdefault(made.name, made.experiment_file)
        if other != made.experiment_file:
            what = f"metadata.name is {made.name!r}, as in {other}"
            raise BadFile(what, file=made.experiment_file, line=None, remedy="give one of them another name")
        if made.name in RESERVED:
            what = f"metadata.name is {made.name!r}, which is the name of a folder below runs/"
            raise BadFile(what, file=made.experiment_file, line=None, remedy="give it another name")
