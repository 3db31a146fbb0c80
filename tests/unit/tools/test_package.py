from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.model.errors import MissingTool
from crashcart.tools import prometheus
from crashcart.tools.package import NoPackage, unpack
from tests.unit.tools.fake_programs import VERSIONS, Program

DOWNLOAD = "echo package > prometheus_1_all.deb"
EXTRACT = f"""
/bin/mkdir -p tree/usr/bin
printf '#!/bin/sh\\necho "{VERSIONS["prometheus"]}"\\n' > tree/usr/bin/prometheus
/bin/chmod 755 tree/usr/bin/prometheus
"""


def nothing_said(_: str) -> None:
    """Progress that nobody reads."""


def test_the_program_is_taken_out_of_the_distributions_package(program: Program, cache: Path) -> None:
    program("apt-get", DOWNLOAD)
    program("dpkg-deb", EXTRACT)
    tool = prometheus.make(nothing_said)
    assert (tool.version, tool.origin) == ("2.42.0", "distribution package")
    assert tool.path.is_relative_to(cache)
    assert list(cache.glob(".partial-*")) == []


@pytest.mark.parametrize(
    ("apt_get", "dpkg_deb", "why"),
    [
        (None, EXTRACT, "there is no apt-get here"),
        (DOWNLOAD, None, "there is no dpkg-deb here"),
        ("echo 'E: Unable to locate package prometheus' >&2; exit 100", EXTRACT, "E: Unable to locate package"),
        ("exit 0", EXTRACT, "gave 0 packages"),
        (DOWNLOAD, "echo 'dpkg-deb: error: not a Debian archive' >&2; exit 2", "not a Debian archive"),
        (DOWNLOAD, "/bin/mkdir -p tree", "has no usr/bin/prometheus"),
    ],
)
def test_what_went_wrong_is_said_in_the_programs_own_words(
    program: Program, cache: Path, apt_get: str | None, dpkg_deb: str | None, why: str
) -> None:
    if apt_get is not None:
        program("apt-get", apt_get)
    if dpkg_deb is not None:
        program("dpkg-deb", dpkg_deb)
    place = cache / "prometheus-packaged" / "prometheus"
    with pytest.raises(NoPackage, match=why):
        unpack("prometheus", Path("usr/bin/prometheus"), place, check=lambda _: None)
    assert not place.exists()


def test_a_packaged_prometheus_that_is_too_old_is_not_kept(program: Program, cache: Path) -> None:
    program("apt-get", DOWNLOAD)
    program("dpkg-deb", EXTRACT.replace("2.42.0+ds", "2.15.2+ds"))
    program("go", f"""[ "$1" = version ] && echo '{VERSIONS["go"]}' && exit; echo "go: built instead" >&2; exit 1""")
    said: list[str] = []
    with pytest.raises(MissingTool, match="built instead"):
        prometheus.make(said.append)
    assert any("is 2.15.2, at least 2.42 is needed" in line for line in said)
    assert list(cache.glob("prometheus-packaged/*")) == []
