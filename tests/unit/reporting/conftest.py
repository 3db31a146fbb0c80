"""Made-up recordings, written once for all tests that only read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from crashcart.model.verdict import Verdict
from tests.unit.reporting.recordings import make_recording
from tests.unit.reporting.stories import FAIL, INCONCLUSIVE, PASS, Story


@dataclass(frozen=True)
class Made:
    """A recording and the verdict on it."""

    folder: Path
    verdict: Verdict


@pytest.fixture(scope="session")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return _make(tmp_path_factory, PASS)


@pytest.fixture(scope="session")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return _make(tmp_path_factory, FAIL)


@pytest.fixture(scope="session")
def unsure(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return _make(tmp_path_factory, INCONCLUSIVE)


def _make(factory: pytest.TempPathFactory, story: Story) -> Made:
    folder = factory.mktemp(story.outcome.value)
    return Made(folder, make_recording(folder, story))
