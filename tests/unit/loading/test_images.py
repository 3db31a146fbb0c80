"""Which image each part is: by the project, by a file that goes before it, by a variable that goes before both."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.loading import Project, open_project
from crashcart.loading.images import FILE, load_images
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.images import PARTS

ROOT = Path(__file__).parents[3]
GOOD = """\
apiVersion: crashcart/v1
kind: Images
shop: {name: crashcart/shop, dockerfile: stack/images/Dockerfile, python: python}
parts:
  python: python:3.13-slim
  postgres: postgres:18
  valkey: valkey/valkey:9.0
  toxiproxy: ghcr.io/shopify/toxiproxy:2.12.0
  prometheus: prom/prometheus:v2.55.1
  grafana: grafana/grafana:12.2.0
"""
DIGEST = f"postgres@sha256:{'0a' * 32}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for folder in ("stack/designs", "stack/images", "experiments", "loadtests"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "stack/images/Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    (tmp_path / FILE).write_text(GOOD, encoding="utf-8")
    return open_project(tmp_path)


def test_our_own_project_names_every_part() -> None:
    images = load_images(open_project(ROOT), {})
    assert set(images.parts) == set(PARTS)
    assert images.shop.name == "crashcart/shop"
    assert images.parts["toxiproxy"] == "ghcr.io/shopify/toxiproxy:2.12.0"


def test_a_variable_goes_before_the_file_and_the_file_before_the_project(project: Project, tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text(
        "apiVersion: crashcart/v1\nkind: Images\n"
        "parts: {postgres: 'mirror:5000/postgres:18', valkey: mirror/valkey:9}\n",
        encoding="utf-8",
    )
    images = load_images(project, {"CRASHCART_IMAGES": str(own), "CRASHCART_IMAGE_POSTGRES": DIGEST})
    assert images.parts["postgres"] == DIGEST
    assert images.parts["valkey"] == "mirror/valkey:9"
    assert images.parts["prometheus"] == "prom/prometheus:v2.55.1"


def test_an_empty_variable_says_nothing(project: Project) -> None:
    images = load_images(project, {"CRASHCART_IMAGE_POSTGRES": "", "CRASHCART_IMAGES": ""})
    assert images.parts["postgres"] == "postgres:18"


@pytest.mark.parametrize(
    ("good", "bad", "line", "says"),
    [
        ("kind: Images", "kind: Design", 2, "write kind: Images"),
        ("name: crashcart/shop", "name: crashcart/shop:1", 3, "is no image's name"),
        ("name: crashcart/shop", "nam: crashcart/shop", 3, 'did you mean "name"?'),
        ("stack/images/Dockerfile", "stack/Dockerfile", 3, "there is no stack/Dockerfile"),
        ("stack/images/Dockerfile", "../../etc/passwd", 3, "there is no ../../etc/passwd in this project"),
        ("python: python}", "python: ''}", 3, "shop.python is empty"),
        ("postgres: postgres:18", "postgres: postgres", 6, "with a tag or a @sha256 digest"),
        ("postgres: postgres:18", "postgres: mirror:5000/postgres", 6, "is not a whole image name"),
        ("postgres: postgres:18", "postgres: 'postgres:18; x'", 6, "is not a whole image name"),
        ("postgres: postgres:18", "postgres: 18", 6, "expected text, got 18"),
        ("postgres: postgres:18", "postgress: postgres:18", 6, 'did you mean "postgres"?'),
        ("  valkey: valkey/valkey:9.0\n", "", 4, "parts.valkey is missing"),
        ("parts:", "partz:", 4, 'did you mean "parts"?'),
    ],
)
def test_a_wrong_file_is_refused_at_its_line(project: Project, good: str, bad: str, line: int, says: str) -> None:
    (project.root / FILE).write_text(GOOD.replace(good, bad, 1), encoding="utf-8")
    with pytest.raises(BadFile) as refused:
        load_images(project, {})
    assert refused.value.where == f"{FILE}:{line}"
    assert says in str(refused.value)


def test_a_project_without_images_is_told_what_to_write(project: Project) -> None:
    (project.root / FILE).unlink()
    with pytest.raises(UsageError, match=r"write stack/images/images.yaml"):
        load_images(project, {})


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"CRASHCART_IMAGE_POSTGRS": "postgres:18"}, 'did you mean "CRASHCART_IMAGE_POSTGRES"?'),
        ({"CRASHCART_IMAGE_POSTGRES": "postgres"}, "with a tag or a @sha256 digest"),
        ({"CRASHCART_IMAGES": "/nowhere/images.yaml"}, "there is no such file"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(project: Project, environment: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_images(project, environment)
    assert next(iter(environment)) in refused.value.where
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("apiVersion: crashcart/v1\nkind: Images\nparts: {postgres: postgres}\n", 3, "is not a whole image name"),
        ("apiVersion: crashcart/v1\nkind: Images\nparts: {postgress: 'x:1'}\n", 3, 'did you mean "postgres"?'),
        ("apiVersion: crashcart/v1\nkind: Images\nshop: {}\n", 3, "unknown key shop"),
        ("parts: {}\n", 1, "apiVersion is missing"),
    ],
)
def test_a_wrong_file_of_ones_own_is_refused_at_its_line(
    project: Project, tmp_path: Path, text: str, line: int, says: str
) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as refused:
        load_images(project, {"CRASHCART_IMAGES": str(own)})
    assert refused.value.where == f"{own}:{line}"
    assert says in str(refused.value)
