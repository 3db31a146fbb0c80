from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.model.errors import MissingTool
from crashcart.tools import make_promtool, promtool
from tests.unit.tools.fake_programs import VERSIONS, Program, write_program

EXTRACT = f"""
/bin/mkdir -p tree/usr/bin
printf '#!/bin/sh\\necho "{VERSIONS["promtool"]}"\\n' > tree/usr/bin/promtool
/bin/chmod 755 tree/usr/bin/promtool
"""


def nothing_said(_: str) -> None:
    """Progress that nobody reads."""


def test_one_on_path_is_used_and_one_that_is_named_comes_before_it(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = program("promtool", f"echo '{VERSIONS['promtool']}'")
    assert make_promtool(nothing_said).path == there
    named = write_program(tmp_path / "mine", "echo promtool, version 3.1.0")
    monkeypatch.setenv(promtool.VARIABLE, str(named))
    assert (make_promtool(nothing_said).path, make_promtool(nothing_said).version) == (named, "3.1.0")


def test_it_is_taken_out_of_prometheuss_package_once(program: Program, cache: Path) -> None:
    program("apt-get", """echo asked >> "$0.log"; echo package > prometheus_1_all.deb""")
    program("dpkg-deb", EXTRACT)
    tool = make_promtool(nothing_said)
    assert (tool.name, tool.version, tool.origin) == ("promtool", "2.42.0", "distribution package")
    assert tool.path.is_relative_to(cache)
    assert make_promtool(nothing_said) == tool


def test_without_a_package_it_is_built_and_what_stands_in_the_way_is_said(program: Program) -> None:
    program("go", f"""[ "$1" = version ] && echo '{VERSIONS["go"]}' && exit; echo "go: no network" >&2; exit 1""")
    said: list[str] = []
    with pytest.raises(MissingTool, match=r"promtool can not be built: go: no network"):
        make_promtool(said.append)
    assert any("no apt-get" in line for line in said)
