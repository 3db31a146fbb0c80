"""An engine that stops in the middle of a build: what it does then was seen on a real one that was killed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.images import build_shop, connect
from crashcart.model.errors import UsageError
from crashcart.model.images import Images, ShopImage
from tests.contract.images.fake_engine import fake_engine

STEP = '{"stream": "Step 1/2 : FROM base"}\r\n'


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("said", [STEP, f'{STEP}{{"stream": "Step'])
def test_a_build_that_the_engine_breaks_off_is_no_build(
    monkeypatch: pytest.MonkeyPatch, place: Path, tmp_path: Path, said: str
) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack/Dockerfile").write_text("FROM base\n", encoding="utf-8")
    images = Images(ShopImage("crashcart/shop", "stack/Dockerfile"), {"python": "base:1"})
    answers = {
        "/version": {"Version": "20.10.24", "ApiVersion": "1.41"},
        "/v1.41/images/base:1/json": {"Id": "sha256:1", "Size": 1},
        "BUILD": said,
    }
    with fake_engine(place / "e.sock", answers) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        client = connect()
        with pytest.raises(UsageError, match=r"went away while it was building|broke off"):
            build_shop(client, tmp_path, images, lambda line: None)
        client.close()
