"""A packet filter that can't be asked is not one that drops nothing. The filter here is a script of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crashcart.model.errors import CrashcartError, NotUndone
from crashcart.runtimes import packet_loss
from crashcart.runtimes.docker import DockerRuntime

ENTERS = '#!/bin/sh\nshift 3\nexec "$@"\n'
FILTER = """#!/bin/sh
# as many rules as there are lines in $RULES
case "$3" in
  -A) echo rule >>"$RULES" ;;
  -C) [ -s "$RULES" ] || { echo "iptables: Bad rule (does a matching rule exist in that chain?)." >&2; exit 1; } ;;
  -D) sed -i 1d "$RULES" ;;
esac
"""
HELD = '#!/bin/sh\necho "Another app is currently holding the xtables lock." >&2\nexit 4\n'
FORBIDDEN = '#!/bin/sh\necho "nsenter: reassociate to namespace failed: Operation not permitted" >&2\nexit 1\n'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go before all others on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RULES", str(tmp_path / "rules"))
    _program(folder, "nsenter", ENTERS)
    _program(folder, "iptables", FILTER)
    return tmp_path


def _program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


def _rules(programs: Path) -> list[str]:
    return (programs / "rules").read_text().splitlines()


def _gone() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_it_is_taken_back_however_often_it_was_done(programs: Path) -> None:
    for _ in range(3):
        packet_loss.lose(os.getpid(), 0.3)
    assert len(_rules(programs)) == 3
    packet_loss.stop_losing(os.getpid(), 0.3)
    assert _rules(programs) == []
    packet_loss.stop_losing(os.getpid(), 0.3)


@pytest.mark.parametrize(("name", "text"), [("iptables", HELD), ("nsenter", FORBIDDEN)])
def test_where_the_filter_can_not_be_asked_it_is_not_known_to_be_over(programs: Path, name: str, text: str) -> None:
    packet_loss.lose(os.getpid(), 0.3)
    _program(programs / "bin", name, text)
    with pytest.raises(NotUndone, match=r"may still be dropped: (Another app|nsenter)"):
        packet_loss.stop_losing(os.getpid(), 0.3)


def test_a_filter_that_refuses_a_rule_is_quoted(programs: Path) -> None:
    _program(programs / "bin", "iptables", HELD)
    with pytest.raises(CrashcartError, match="packets can not be dropped: Another app"):
        packet_loss.lose(os.getpid(), 0.3)


@pytest.mark.parametrize("text", [HELD, FORBIDDEN])
def test_a_process_that_is_gone_has_taken_its_network_with_it(programs: Path, text: str) -> None:
    _program(programs / "bin", "nsenter", text)
    packet_loss.stop_losing(_gone(), 0.3)


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is told that first")
def test_a_program_that_is_missing_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packet_loss.lacks_packet_loss.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        assert DockerRuntime({}).lacks("network/loss") == "there is no nsenter on PATH"
    finally:
        packet_loss.lacks_packet_loss.cache_clear()


@pytest.mark.parametrize("kind", ["service/cpu-limit", "service/memory-limit", "network/partition", "service/kill"])
def test_containers_lack_nothing_for_the_other_kinds(kind: str) -> None:
    assert DockerRuntime({}).lacks(kind) == ""


def test_a_family_that_nobody_knows_is_refused() -> None:
    assert "no such part of a container" in DockerRuntime({}).lacks("moon/eclipse")
