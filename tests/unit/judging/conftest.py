from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from crashcart.judging import judge
from crashcart.model.verdict import Verdict
from tests.unit.judging.recordings import MadeUp, healthy

# A busy machine is no fault of an example. `--hypothesis-profile=thorough` looks much longer, at whole recordings too,
# each test for minutes: `--timeout=1800`.
settings.register_profile("unhurried", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=2000)
if settings.get_current_profile_name() == "default":
    settings.load_profile("unhurried")


@pytest.fixture
def run() -> MadeUp:
    return healthy()


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[MadeUp], Verdict]:
    def write_and_judge(made_up: MadeUp) -> Verdict:
        return judge(made_up.write(tmp_path / "run"))

    return write_and_judge
