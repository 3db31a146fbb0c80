"""A project's design → every file of its export. Reads, and writes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

import crashcart
from crashcart.compose.blocks import LOAD_BUILD, SHOP_BUILD, Built
from crashcart.compose.configs import (
    dashboard_provider,
    data_source,
    init_files,
    prometheus_yml,
    toxiproxy_json,
)
from crashcart.compose.document import as_yaml, compose_document
from crashcart.compose.layout import lay_out_compose
from crashcart.images.building import ca_bundle
from crashcart.images.shop import content_tag, shop_files, shop_tag
from crashcart.loading import Project
from crashcart.loading.images import load_images
from crashcart.model.design import Design
from crashcart.model.errors import BadFile, UsageError

LOAD_DOCKERFILE = "loadtests/Dockerfile"
WRITTEN_BY = "# Written by `crashcart export compose`: edit the design, and export it again."
_OF_THE_LOAD = ("__init__.py", "loadkit", "model")
"""What of crashcart runs in a load's process."""
_HOME = "game-day.json"
_BUNDLE = "ca.pem"

Content = str | Path
"""A text, or a file that is copied."""


def exported_files(
    project: Project, design_name: str, compose_file: str, environment: Mapping[str, str]
) -> dict[str, Content]:
    """All files of the export by their path in its folder, the Compose file under the name `compose_file`.

    `environment`, such as `os.environ`, puts other images in place and names the CA bundle for pip.

    Raises:
        UsageError: no such design, no images, no Dockerfile of the load, names that clash. BadFile: a file is wrong.
    """
    design = project.design(design_name)
    images = load_images(project, environment)
    plan = lay_out_compose(design)
    shop, load = shop_files(project.root, images), _load_files(project)
    built = Built(
        shop_tag(project.root, images),
        content_tag(f"{images.shop.name}-load", images.parts["python"], LOAD_DOCKERFILE, load),
        LOAD_DOCKERFILE,
    )
    dashboards = {path.name: path for path in sorted((project.root / "dashboards" / "grafana").glob("*.json"))}
    rules = sorted((project.root / "dashboards" / "rules").glob("*.yaml"))
    document = compose_document(design, plan, images, built, home_dashboard=_HOME if _HOME in dashboards else "")
    files: dict[str, Content] = {
        compose_file: f"{WRITTEN_BY}\n{as_yaml(document)}",
        ".env": f"ADMIN_TOKEN={secrets.token_urlsafe(24)}\nGRAFANA_PASSWORD={secrets.token_urlsafe(24)}\n",
        "toxiproxy.json": toxiproxy_json(plan),
        "prometheus.yml": prometheus_yml(plan),
        **{f"rules/{path.name}": path for path in rules},
        "grafana/provisioning/datasources/crashcart.yaml": data_source(),
        "grafana/provisioning/dashboards/crashcart.yaml": dashboard_provider(),
        **{f"grafana/dashboards/{name}": path for name, path in dashboards.items()},
        **_databases(project, design),
        **{f"{SHOP_BUILD}/{name}": path for name, path in shop.items()},
        **{f"{LOAD_BUILD}/{name}": path for name, path in load.items()},
    }
    bundle = ca_bundle(environment)
    if bundle is not None:
        files |= {f"{SHOP_BUILD}/{_BUNDLE}": bundle, f"{LOAD_BUILD}/{_BUNDLE}": bundle}
    return files


def _databases(project: Project, design: Design) -> dict[str, Content]:
    found: dict[str, Content] = {}
    for name, service in design.services.items():
        if service.kind == "postgres":
            scripts = [(file, _sql(project, file)) for file in service.init.sql]
            found |= {f"databases/{name}/{file}": text for file, text in init_files(scripts).items()}
    return found


def _sql(project: Project, file: str) -> str:
    try:
        return (project.root / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        remedy = "see `init` in the design"
        raise BadFile(f"can not be read: {problem}", file=file, line=None, remedy=remedy) from problem


def _load_files(project: Project) -> dict[str, Path]:
    """The context of the load's image: the project's loadtests/, and what of crashcart it imports."""
    if not (project.root / LOAD_DOCKERFILE).is_file():
        remedy = "docs/63-compose.md says what is in it"
        raise UsageError(f"there is no {LOAD_DOCKERFILE} to build the load's image from", remedy=remedy)
    ours = Path(crashcart.__file__).parent
    code = [path for part in _OF_THE_LOAD for path in _python_files(ours / part)]
    found = {f"crashcart/{path.relative_to(ours).as_posix()}": path for path in code}
    folder = project.root / "loadtests"
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part == "__pycache__" or part[0] == "." for part in inside.parts):
            found[f"loadtests/{inside.as_posix()}"] = path
    return found


def _python_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))
