"""The table of evidence names every kind of fault, how it is really measured, and a test that is there."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.faults import registry
from crashcart.ports import FaultKind

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "37-evidence.md"


def rows() -> dict[str, list[str]]:
    """Kind → the other cells of its row."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert all(len(row) == 5 for row in cells)
    kinds = [row[0].strip("`") for row in cells]
    assert len(kinds) == len(set(kinds))
    return {kind: row[1:] for kind, row in zip(kinds, cells, strict=True)}


def test_every_kind_has_its_row_and_no_row_has_a_kind_that_is_not_there() -> None:
    assert set(rows()) == set(registry())


@pytest.mark.parametrize("kind", sorted(registry()))
def test_the_effect_of_the_row_is_the_one_that_the_kind_declares(kind: str) -> None:
    assert set(re.findall(r"`([a-z-]+)`", rows()[kind][0])) == set(_effects(registry()[kind]))


@pytest.mark.parametrize("kind", sorted(registry()))
def test_the_test_of_the_row_is_there_and_speaks_of_the_kind(kind: str) -> None:
    path, _, name = rows()[kind][3].strip("`").partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert name in {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    beside = [one.read_text(encoding="utf-8") for one in (ROOT / path).parent.glob("*.py")]
    assert any(_speaks_of(kind, one) for one in [text, *beside])


def _effects(kind: FaultKind) -> Iterator[str]:
    """What its own module, or one that it is made of, gives as the first word of an `Effect`."""
    for made_of in type(kind).__mro__:
        if "effect" not in vars(made_of) or made_of.__module__ == "typing":
            continue
        tree = ast.parse(inspect.getsource(sys.modules[made_of.__module__]))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        found = [
            str(call.args[0].value)
            for call in calls
            if ast.unparse(call.func) == "Effect" and call.args and isinstance(call.args[0], ast.Constant)
        ]
        if found:
            yield from found
            return


def _speaks_of(kind: str, text: str) -> bool:
    """By its name, or, where one family has a file to itself, by its last word."""
    return kind in text or f'"{kind.rpartition("/")[2]}"' in text or kind.replace("/", "_").replace("-", "_") in text
