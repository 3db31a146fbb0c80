"""The shop's image, built by the real engine: what is in it, what is not, and what a failure says."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crashcart.images import build_shop, streams
from crashcart.images.shop import shop_tag
from crashcart.model.errors import UsageError
from crashcart.model.images import Images, ShopImage
from tests.contract.images.conftest import ROOT

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

LIMIT_MB = 150
LIMIT_ADDED_MB = 25
"""The official slim base takes about 125 MB of them."""


@pytest.fixture
def shop(engine: docker.DockerClient, images: Images) -> str:
    return build_shop(engine, ROOT, images, print)


def _run(engine: docker.DockerClient, image: str, *command: str) -> str:
    said = engine.containers.run(image, list(command), remove=True, network_mode="none", read_only=True)
    return str(said.decode())


def test_an_image_that_is_there_is_not_built_again(engine: docker.DockerClient, images: Images, shop: str) -> None:
    assert shop == shop_tag(ROOT, images)
    assert build_shop(engine, ROOT, images, pytest.fail) == shop


def test_its_labels_say_what_it_is(engine: docker.DockerClient, shop: str) -> None:
    labels = engine.images.get(shop).labels
    assert labels["crashcart.image"] == "shop"
    assert labels["org.opencontainers.image.title"]
    assert labels["org.opencontainers.image.version"] == shop.rpartition(":")[2]


def test_it_runs_as_nobody_special_with_compiled_code_and_no_tools(engine: docker.DockerClient, shop: str) -> None:
    program = """
import importlib.util, json, os, pathlib, shutil, sys
import asyncpg, hiredis, httptools, orjson, prometheus_client, uvloop
code = [path for path in pathlib.Path("/srv/shop/stack").rglob("*.py")]
print(json.dumps({
    "uid": os.getuid(),
    "tools": [name for name in ("pip", "pip3", "gcc", "make", "curl") if shutil.which(name)],
    "modules": [name for name in ("pip", "ensurepip") if importlib.util.find_spec(name)],
    "code": len(code),
    "not compiled": [str(path) for path in code if not os.path.exists(importlib.util.cache_from_source(str(path)))],
    "folders": sorted(path.name for path in pathlib.Path("/srv/shop/stack").iterdir() if path.is_dir()),
    "ca": os.path.exists("/build"),
}))
"""
    found = json.loads(_run(engine, shop, "python", "-c", program))
    assert found["uid"] == 10001
    assert found["tools"] == found["modules"] == found["not compiled"] == []
    assert found["code"] > 30
    assert {"cart", "checkout", "kit"} <= set(found["folders"])
    assert not {"images", "designs", "slos", "truth"} & set(found["folders"])
    assert found["ca"] is False


def test_it_is_small_and_so_is_what_it_adds_to_its_base(engine: docker.DockerClient, images: Images, shop: str) -> None:
    base = engine.images.get(images.parts["python"]).attrs["Size"]
    whole = engine.images.get(shop).attrs["Size"]
    assert (whole - base) / 1e6 < LIMIT_ADDED_MB
    assert whole / 1e6 < LIMIT_MB


def test_nothing_of_the_way_to_packages_is_in_its_history(
    engine: docker.DockerClient, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a proxy for names that nobody looks up: the build works as ever, and the argument is there to be found
    monkeypatch.setenv("NO_PROXY", f"{os.environ.get('NO_PROXY', '')},secret.invalid")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "trusted.invalid")
    before = engine.images.get(build_shop(engine, ROOT, images, print))
    tag = build_shop(engine, ROOT, images, print, no_cache=True)
    assert engine.images.get(tag).id != before.id
    told = json.dumps([engine.images.get(tag).history(), engine.images.get(tag).attrs])
    assert "secret.invalid" not in told
    assert "trusted.invalid" not in told
    assert "PIP_" not in told
    assert "ca.pem" not in told


def test_a_service_in_it_becomes_healthy_with_nothing_to_write_on(engine: docker.DockerClient, shop: str) -> None:
    container = engine.containers.run(
        shop,
        ["python", "-m", "stack.thirdparty.mail"],
        detach=True,
        read_only=True,
        network_mode="none",
        tmpfs={"/data": "uid=10001"},
        environment={"LISTEN_ADDRESS": "0.0.0.0:8000", "DATA_DIR": "/data"},
    )
    try:
        assert _healthy(container, within_s=60)
    finally:
        container.remove(force=True, v=True)


def _healthy(container: Container, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        code, _ = container.exec_run(["python", "-I", "-S", "/srv/shop/healthcheck.py"])
        if code == 0:
            return True
        time.sleep(0.2)
    return False


def test_the_image_says_how_its_health_is_asked_for(engine: docker.DockerClient, shop: str) -> None:
    check = engine.images.get(shop).attrs["Config"]["Healthcheck"]
    assert check["Test"] == ["CMD", "python", "-I", "-S", "/srv/shop/healthcheck.py"]
    seconds = {name: check[name] / 1e9 for name in ("Interval", "Timeout", "StartPeriod")}
    assert seconds == {"Interval": 30, "Timeout": 3, "StartPeriod": 20}
    assert check["Retries"] == 3


@pytest.mark.parametrize(
    ("command", "health"),
    [(["python", "-m", "stack.thirdparty.mail"], "healthy"), (["sleep", "120"], "unhealthy")],
    ids=["a service", "nobody"],
)
def test_the_engine_knows_whether_a_container_of_it_is_well(
    engine: docker.DockerClient, shop: str, command: list[str], health: str
) -> None:
    # asked as the image says, but oftener, and from the start
    container = engine.containers.run(
        shop,
        command,
        detach=True,
        network_mode="none",
        tmpfs={"/data": "uid=10001"},
        environment={"LISTEN_ADDRESS": "0.0.0.0:8000", "DATA_DIR": "/data"},
        healthcheck={"interval": 1_000_000_000, "start_period": 1_000_000, "retries": 30 if health == "healthy" else 2},
    )
    try:
        assert _health(container, within_s=60) == health
    finally:
        container.remove(force=True, v=True)


def _health(container: Container, within_s: float) -> str:
    """What the engine says, once it knows."""
    deadline, said = time.monotonic() + within_s, "starting"
    while said == "starting" and time.monotonic() < deadline:
        time.sleep(0.2)
        container.reload()
        said = str(container.attrs["State"]["Health"]["Status"])
    return said


@pytest.fixture
def copied(engine: docker.DockerClient, images: Images, tmp_path: Path) -> Iterator[Images]:
    """The shop's own files, to be changed, for an image of another name."""
    shutil.copytree(ROOT / "stack", tmp_path / "stack", ignore=shutil.ignore_patterns("__pycache__"))
    yield Images(ShopImage("crashcart-test/layers", images.shop.dockerfile), images.parts)
    for image in engine.images.list(name="crashcart-test/layers"):
        for tag in image.tags:
            engine.images.remove(tag, force=True)


def test_a_change_of_code_installs_nothing_again(
    engine: docker.DockerClient, copied: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_BOOKKEEPING", ())
    told: list[str] = []
    first = build_shop(engine, tmp_path, copied, told.append)
    told.clear()
    with (tmp_path / "stack" / "cart" / "app.py").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert build_shop(engine, tmp_path, copied, told.append) != first
    steps = _cached_steps(told)
    (install,) = (step for step in steps if "pip --python" in step)
    (code,) = (step for step in steps if "COPY stack /srv" in step)
    assert steps[install], "what the requirements are did not change"
    assert not steps[code]


def _cached_steps(told: Sequence[str]) -> dict[str, bool]:
    """Each step of a build, and whether its layer was there already."""
    steps: dict[str, bool] = {}
    for line in told:
        if line.startswith("Step "):
            steps[line] = False
        elif line.strip() == "---> Using cache":
            steps[list(steps)[-1]] = True
    return steps


@pytest.fixture
def broken(tmp_path: Path, images: Images) -> Images:
    (tmp_path / "stack").mkdir()
    shop = ShopImage("crashcart/broken", "stack/Dockerfile")
    return Images(shop, {"python": images.parts["python"]})


def _fails(engine: docker.DockerClient, root: Path, broken: Images, *steps: str) -> str:
    lines = ["ARG PYTHON_IMAGE", "FROM ${PYTHON_IMAGE}", *steps]
    (root / broken.shop.dockerfile).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(UsageError) as failed:
        build_shop(engine, root, broken, print, no_cache=True)
    return str(failed.value)


def test_a_failed_step_is_told_with_its_last_lines(engine: docker.DockerClient, broken: Images, tmp_path: Path) -> None:
    said = _fails(engine, tmp_path, broken, "RUN echo before", "RUN echo so far so good && echo oh no >&2 && exit 3")
    assert "returned a non-zero code: 3" in said
    assert "Step 4/" in said
    assert "\n  | oh no" in said
    assert "before" not in said


def test_a_dockerfile_that_is_none_is_told_with_its_line(
    engine: docker.DockerClient, broken: Images, tmp_path: Path
) -> None:
    assert "unknown instruction: RUNN" in _fails(engine, tmp_path, broken, "RUNN true")


def test_a_step_that_fills_a_disk_is_told_as_a_full_disk(
    engine: docker.DockerClient, broken: Images, tmp_path: Path
) -> None:
    # the engine gives every step a memory disk of 64 MiB
    said = _fails(engine, tmp_path, broken, "RUN head -c 200000000 /dev/zero >/dev/shm/much")
    assert "the engine's disk is full" in said
    assert "docker system df" in said
