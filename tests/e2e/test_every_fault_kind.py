"""The declared short set: whatever the harness can break is broken for real in each `make test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.faults import registry
from tests.e2e.conftest import TINY

HERE = Path(__file__).parent
USED = [
    *HERE.glob("test_faults_*.py"),
    *(TINY / "stack" / "faults").glob("*.yaml"),
    TINY / "experiments" / "shelf-gone.yaml",
]


@pytest.mark.parametrize("kind", sorted(set(registry()) - {"noop"}))
def test_every_kind_of_fault_has_a_whole_run_in_the_short_set(kind: str) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in USED}
    assert not any("mark.nightly" in text for text in texts.values()), "the short set leaves one of them out"
    assert any(f"{kind}:" in text for text in texts.values())
