"""A design, handed to others."""

from __future__ import annotations

import os
from pathlib import Path

from crashcart.loading import Project
from crashcart.model.errors import UsageError


def export_compose(project: Project, design_name: str, out: Path | None) -> Path:
    """Write a Compose file with all that it needs beside it; gives its path.

    Raises:
        UsageError: there is no such design, no images, or the files can't be written: nothing was, where it was known
            beforehand.
    """
    from crashcart.compose import exported_files, write_export

    file = out or project.root / "compose" / "compose.yaml"
    remedy = "name a file, such as --out shop/compose.yaml"
    if file.is_dir():
        raise UsageError("is a folder", where=str(out), remedy=remedy)
    if file.suffix not in (".yaml", ".yml"):
        raise UsageError("is not called .yaml or .yml", where=str(out), remedy=remedy)
    if file.name == "prometheus.yml":
        raise UsageError("is what the configuration of Prometheus is called", where=str(out), remedy=remedy)
    files = exported_files(project, design_name, file.name, os.environ)
    folder = file.absolute().parent
    write_export(folder, files, project.shown(folder))
    return folder / file.name
