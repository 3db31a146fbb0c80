"""A project with one more design for each planted defect, in a scratch folder: nothing of the project is copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from crashcart.loading.project import Project
from crashcart.model.design import Design, Metadata
from crashcart.selftest.planted import Defect, Planted

_OWN = ("stack", "runs")
"""Folders that are not the project's own there: the first holds one more folder, the other is written to."""


def design_name(defect: str) -> str:
    """Of the design in which that defect is."""
    return f"defect-{defect}"


def lay_over(project: Project, planted: Planted, folder: Path) -> Path:
    """Make the folder anew. All that is in it are links to the project's files, and the designs.

    One folder for all defects: what Python has compiled of a service is found again by its path.
    """
    if folder.exists():
        shutil.rmtree(folder)
    designs = folder / "stack" / "designs"
    designs.mkdir(parents=True)
    _link_all(project.root, folder, but=_OWN)
    _link_all(project.root / "stack", folder / "stack", but=("designs",))
    _link_all(project.root / "stack" / "designs", designs)
    for name, defect in planted.defects.items():
        setting = planted.settings[defect.shown_by]
        base = project.design(project.experiment(setting.experiment, setting.set).experiment.design)
        made = msgspec.json.encode(with_defect(base, name, defect))
        (designs / f"{design_name(name)}.yaml").write_bytes(made + b"\n")  # JSON is YAML
    return folder


def with_defect(design: Design, name: str, defect: Defect) -> Design:
    """The design with the defect's command in place of the service's own."""
    altered = msgspec.structs.replace(design.services[defect.service], command=defect.command)
    return msgspec.structs.replace(
        design,
        metadata=Metadata(design_name(name), f"{design.metadata.title}, with a defect: {defect.is_}"),
        services={**design.services, defect.service: altered},
    )


def _link_all(source: Path, folder: Path, but: tuple[str, ...] = ()) -> None:
    for path in source.iterdir():
        if path.name not in but and not path.name.startswith(".") and path.resolve() not in folder.resolve().parents:
            (folder / path.name).symlink_to(path.resolve())
