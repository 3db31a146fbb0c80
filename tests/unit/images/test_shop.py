"""What goes into the shop's image, and the tag that says so."""

from __future__ import annotations

import ast
import re
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest

from crashcart.images.building import build_arguments, ca_bundle
from crashcart.images.context import packed
from crashcart.images.shop import shop_files, shop_tag
from crashcart.model.errors import UsageError
from crashcart.model.images import Images, ShopImage

ROOT = Path(__file__).parents[3]
IMAGES = Images(ShopImage("crashcart/shop", "stack/images/Dockerfile"), {"python": "python:3.13-slim"})
_PIN = re.compile(r"^([\w.-]+)==([^ ;\\]+)", re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in (
        "stack/images/Dockerfile",
        "stack/images/requirements.lock",
        "stack/images/images.yaml",
        "stack/cart/app.py",
        "stack/cart/__pycache__/app.cpython-311.pyc",
        "stack/designs/reference.yaml",
        "stack/.hidden",
        "secret.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n", encoding="utf-8")
    return tmp_path


def test_only_what_a_service_reads_is_sent(project: Path) -> None:
    assert set(shop_files(project, IMAGES)) == {
        "stack/images/Dockerfile",
        "stack/images/requirements.lock",
        "stack/cart/app.py",
    }


@pytest.mark.parametrize("name", ["stack/images/Dockerfile", "stack/images/requirements.lock", "stack/cart/app.py"])
def test_the_tag_is_another_where_a_file_of_the_image_is(project: Path, name: str) -> None:
    before = shop_tag(project, IMAGES)
    (project / name).write_text("changed\n", encoding="utf-8")
    assert shop_tag(project, IMAGES) != before


def test_the_tag_is_another_where_a_file_was_renamed_or_the_base_is(project: Path) -> None:
    before = shop_tag(project, IMAGES)
    other_base = shop_tag(project, msgspec.structs.replace(IMAGES, parts={"python": "python:3.14-slim"}))
    (project / "stack/cart/app.py").rename(project / "stack/cart/api.py")
    assert len({before, other_base, shop_tag(project, IMAGES)}) == 3


@pytest.mark.parametrize(
    "name", ["stack/designs/reference.yaml", "secret.txt", "stack/cart/__pycache__/app.cpython-311.pyc"]
)
def test_the_tag_stays_where_what_changed_is_not_in_the_image(project: Path, name: str) -> None:
    before = shop_tag(project, IMAGES)
    (project / name).write_text("changed\n", encoding="utf-8")
    (project / "stack/cart/app.py").touch()
    assert shop_tag(project, IMAGES) == before
    assert re.fullmatch(r"crashcart/shop:[0-9a-f]{12}", before)


def test_a_dockerfile_that_is_gone_is_an_error_of_the_user(project: Path) -> None:
    (project / "stack/images/Dockerfile").unlink()
    with pytest.raises(UsageError, match=r"images\.yaml names it"):
        shop_tag(project, IMAGES)


def test_a_context_holds_what_it_was_given_and_says_nothing_of_who_packed_it(project: Path) -> None:
    program = project / "run.sh"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    with packed({"run.sh": program, "a.txt": b"text"}) as file, tarfile.open(fileobj=file) as archive:
        members = archive.getmembers()
    assert [(one.name, one.mode, one.mtime, one.uid, one.uname) for one in members] == [
        ("a.txt", 0o644, 0, 0, ""),
        ("run.sh", 0o755, 0, 0, ""),
    ]


def test_the_shops_pins_are_those_of_the_project() -> None:
    own = dict(_PIN.findall((ROOT / "stack/images/requirements.lock").read_text(encoding="utf-8")))
    projects = dict(_PIN.findall((ROOT / "requirements.lock").read_text(encoding="utf-8")))
    assert own
    assert own == {name: projects[name] for name in own}


def test_every_package_of_the_lock_has_hashes_and_none_an_address() -> None:
    text = (ROOT / "stack/images/requirements.lock").read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if _PIN.match(entry)]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_what_the_shop_imports_is_what_its_image_installs() -> None:
    asked = {
        line.strip().replace("-", "_")
        for line in (ROOT / "stack/images/requirements.in").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    }
    assert asked == _imported(ROOT / "stack") - sys.stdlib_module_names - {"stack"}


def test_pip_is_told_what_the_environment_says_of_the_way_to_packages() -> None:
    environment = {
        "PIP_INDEX_URL": "https://index.example/simple",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "X": "y",
    }
    assert build_arguments(IMAGES, environment) == {
        "PYTHON_IMAGE": "python:3.13-slim",
        "PIP_INDEX_URL": "https://index.example/simple",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }


def test_a_ca_bundle_that_is_not_there_is_an_error_of_the_user(tmp_path: Path) -> None:
    assert ca_bundle({}) is None
    with pytest.raises(UsageError, match="PIP_CERT="):
        ca_bundle({"PIP_CERT": str(tmp_path / "gone.pem")})


def _imported(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.add(node.module.split(".")[0])
    return found
