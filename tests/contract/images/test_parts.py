"""Third-party images: there, pulled from a registry, or one error that says why not. Against the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crashcart.images import ensure_parts
from crashcart.images.parts import present
from crashcart.model.errors import UsageError
from crashcart.model.images import Images, ShopImage
from tests.contract.images.small_registry import small_registry

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.docker


def _with(part: str, image: str) -> Images:
    return Images(ShopImage("crashcart/shop", "Dockerfile"), {part: image})


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_an_image_that_is_not_here_is_pulled_by_its_tag_or_digest(engine: docker.DockerClient, by: str) -> None:
    lines: list[str] = []
    with small_registry("shop/postgres") as (address, digest):
        image = f"{address}/shop/postgres:1" if by == "tag" else f"{address}/shop/postgres@{digest}"
        ensure_parts(engine, _with("postgres", image), ["postgres"], lines.append)
    try:
        assert lines[0] == f"postgres: pulling {image}"
        assert present(engine, image)
        # the registry is gone: an image that is here is asked of nobody
        ensure_parts(engine, _with("postgres", image), ["postgres"], pytest.fail)
    finally:
        engine.images.remove(image)


def test_an_image_that_no_registry_has_is_told_with_the_variable_to_set(engine: docker.DockerClient) -> None:
    with small_registry("shop/postgres") as (address, _):
        image = f"{address}/shop/valkey:9"
        with pytest.raises(UsageError) as refused:
            ensure_parts(engine, _with("valkey", image), ["valkey"], lambda line: None)
    said = str(refused.value)
    assert said.startswith(f"{image}: the image of valkey is not here and can not be pulled: ")
    assert "CRASHCART_IMAGE_VALKEY=" in said
    assert "make engine-images" in said


def test_a_registry_that_does_not_answer_is_told_as_the_reason(engine: docker.DockerClient, free_port: int) -> None:
    image = f"127.0.0.1:{free_port}/postgres:18"
    with pytest.raises(UsageError, match="connection refused"):
        ensure_parts(engine, _with("postgres", image), ["postgres"], lambda line: None)


def test_for_grafana_no_stand_in_is_promised(engine: docker.DockerClient, free_port: int) -> None:
    with pytest.raises(UsageError) as refused:
        ensure_parts(engine, _with("grafana", f"127.0.0.1:{free_port}/grafana:1"), ["grafana"], lambda line: None)
    assert "CRASHCART_IMAGE_GRAFANA=" in refused.value.remedy
    assert "engine-images" not in refused.value.remedy
