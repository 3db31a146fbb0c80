"""Experiments made from one of the project's: with nothing done, with nothing done by a fault, and a short one.

They are files in the campaign's folder, to be read and run by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from crashcart.loading import ExperimentFile, Project
from crashcart.model.design import links
from crashcart.model.errors import UsageError
from crashcart.reporting.files import write_text

STEADY = "steady-state"
"""The experiment that is looked at for false alarms, where a project has one of this name."""
RECOVERY_WITHIN_S, RECOVERY_S = 3, 14
AFTER_S = 5
"""Recovery phase of a short one, in which nothing is expected of it."""


def steady_one(project: Project) -> str:
    """The project's steady state, else its only experiment. UsageError where it is not clear which is meant."""
    names = [path.stem for path in project.experiment_paths()]
    if STEADY in names or len(names) == 1:
        return STEADY if STEADY in names else names[0]
    remedy = f"say --experiment with one of: {', '.join(names)}" if names else "write one in experiments/"
    raise UsageError("which experiment is to be looked at for false alarms?", remedy=remedy)


def shortest_on_a_link(project: Project) -> str:
    """The shortest experiment that breaks a link. UsageError where none does."""
    found = [project.experiment(str(path)) for path in project.experiment_paths()]
    breaking = [file for file in found if any(one.kind.startswith("toxiproxy/") for one in file.experiment.faults)]
    if not breaking:
        raise UsageError(
            "no experiment of the project breaks a link", remedy="name one with a fault: --experiment NAME"
        )
    return min(breaking, key=lambda file: (_takes_s(file), file.experiment.metadata.name)).experiment.metadata.name


def write_plain(file: ExperimentFile, folder: Path) -> Path:
    """Its design, load and baseline, and nothing is done."""
    data = _bare(file, "a-a-plain", "Nothing is done")
    return _write(folder, data)


def write_lasting(file: ExperimentFile, minutes: int, folder: Path) -> Path:
    """The same, and the baseline lasts so long."""
    data = _bare(file, "soak", "The peak lasts, and nothing is done")
    data["timeline"]["baseline"] = f"{minutes}m"
    return _write(folder, data)


def write_noop(file: ExperimentFile, project: Project, link: str, folder: Path) -> Path:
    """The same, then a fault that does nothing to a link: the baseline's objectives must go on being met."""
    timeline, expect = file.experiment.timeline, file.experiment.expect
    data = _bare(file, f"a-a-noop-{link.replace('.', '-')}", f"A fault that does nothing to {link}")
    data["timeline"] |= {"fault": repr(timeline.baseline), "recovery": f"{RECOVERY_S}s"}
    data["faults"] = [{"noop": {"link": link}, "at": "0s", "for": repr(timeline.baseline)}]
    data["expect"]["fault"] = deepcopy(data["expect"]["baseline"])  # YAML would make an alias of the same list
    lasting = [one.slo for one in expect.baseline if _is_lasting(project, one.slo)]
    if lasting:
        data["expect"]["recovery"] = {"within": f"{RECOVERY_WITHIN_S}s", "of": lasting}
    return _write(folder, data)


def write_short(file: ExperimentFile, folder: Path) -> Path:
    """Its baseline and its faults; what comes after them is cut, and no recovery is expected."""
    if not file.experiment.faults:
        what = f"{file.experiment.metadata.name} has no fault: nothing would be broken when the harness is hit"
        raise UsageError(what, remedy="name one with a fault: --experiment NAME")
    data = dict(file.tree.data)
    data["metadata"] = {"name": "under-fire", "title": "The harness is hit at any moment"}
    data["timeline"] = {**_mapping(data["timeline"]), "recovery": f"{AFTER_S}s"}
    data["expect"] = {key: value for key, value in _mapping(data["expect"]).items() if key != "recovery"}
    return _write(folder, data)


def links_in_turn(file: ExperimentFile, project: Project) -> Sequence[str]:
    """Links that a steady state uses: the shoppers' own, and those of the service that they call."""
    design = project.design(file.experiment.design)
    return [link for link in links(design) if link.split(".")[0] == design.entry or link.endswith(f".{design.entry}")]


def _bare(file: ExperimentFile, name: str, title: str) -> dict[str, Any]:
    timeline, whole = file.experiment.timeline, file.tree.data
    kept = {key: value for key, value in whole.items() if key not in ("metadata", "timeline", "faults", "expect")}
    expect = _mapping(whole["expect"])
    return {
        "apiVersion": kept.pop("apiVersion"),
        "kind": kept.pop("kind"),
        "metadata": {"name": name, "title": title},
        **kept,
        "timeline": {"warmup": repr(timeline.warmup), "baseline": repr(timeline.baseline)},
        "expect": {key: value for key, value in expect.items() if key in ("baseline", "always")},
    }


def _mapping(value: object) -> dict[str, Any]:
    assert isinstance(value, dict), "the experiment was read"
    return value


def _is_lasting(project: Project, slo: str) -> bool:
    """Whether recovery can be asked of it: it is counted all the time, and not in failures or in the books alone."""
    found = project.slos[slo]
    return found.told_within_s is None and not found.only_failures


def _takes_s(file: ExperimentFile) -> float:
    line = file.experiment.timeline
    return line.warmup + line.baseline + line.fault + line.recovery


def _write(folder: Path, data: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
    return write_text(folder / f"{data['metadata']['name']}.yaml", text)
