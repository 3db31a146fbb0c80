"""The pages under docs/ can all be found, in order, and name no file that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


def test_the_index_has_every_page_once_and_in_order() -> None:
    listed = re.findall(
        r"^\| \[(\d+) [^]]+\]\(([^)]+)\)", (DOCS / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [name for _, name in listed] == sorted(path.name for path in DOCS.glob("[0-9]*.md"))
    assert all(name.startswith(f"{number}-") for number, name in listed)


def test_every_test_that_a_page_names_is_there() -> None:
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    named = {
        (page.name, path)
        for page in pages
        for path in re.findall(r"`(tests/[\w./-]+)`", page.read_text(encoding="utf-8"))
    }
    assert named
    assert [one for one in sorted(named) if not (ROOT / one[1]).exists()] == []


def test_every_single_test_that_a_page_names_is_there() -> None:
    named = {
        (page.name, path, name)
        for page in DOCS.rglob("*.md")
        for path, name in re.findall(r"`(tests/[\w./-]+\.py)::(test_\w+)`", page.read_text(encoding="utf-8"))
    }
    assert named
    missing = [one for one in sorted(named) if f"def {one[2]}(" not in (ROOT / one[1]).read_text(encoding="utf-8")]
    assert missing == []
