from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.model.errors import UsageError
from crashcart.selftest.launching import Bench, run_to_end

ROOT = Path(__file__).parents[3]


def test_a_run_that_is_refused_is_no_result(tmp_path: Path) -> None:
    bench = Bench(ROOT / "tests" / "projects" / "tiny", tmp_path, {})
    with pytest.raises(UsageError, match="there is no experiment 'nothing-like-it'"):
        run_to_end(bench, "first", "nothing-like-it")
    assert (tmp_path / "runs" / "first" / "1" / "printed.txt").read_text(encoding="utf-8")


def test_a_case_that_is_made_again_has_a_folder_of_its_own(tmp_path: Path) -> None:
    bench = Bench(ROOT / "tests" / "projects" / "tiny", tmp_path, {})
    for _ in range(2):
        with pytest.raises(UsageError):
            run_to_end(bench, "first", "nothing-like-it")
    assert sorted(path.name for path in (tmp_path / "runs" / "first").iterdir()) == ["1", "2"]
