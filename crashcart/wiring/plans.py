"""From a project and a name to a plan."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from crashcart.faults import registry
from crashcart.loading import Project
from crashcart.model.plan import Plan
from crashcart.planning import Request, plan
from crashcart.wiring.parts import choose_runtime

RUNTIME = "local"


def make_plan(project: Project, experiment: str, overrides: Sequence[str]) -> Plan:
    """The plan of an experiment by name or path. BadFile or UsageError where there can be none."""
    file = project.experiment(experiment, overrides)
    return plan(Request(file, project, RUNTIME, choose_runtime().can, registry(), tuple(overrides)))


def plan_json(made: Plan) -> str:
    """As `plan.json` in the recording."""
    return msgspec.json.format(msgspec.json.encode(made), indent=1).decode()
