"""Whatever becomes of a project's files, what is made of them is a plan, or one message with file and line.

Here each file is altered so often that all of them together make 5,000 and more, the same in each run. A campaign is as
large as it is asked to be, and another one each time that it is given another number:

    CRASHCART_MUTATIONS=2000 python -m pytest tests/unit/loading/test_mutated_files.py --hypothesis-seed=1
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from crashcart.faults import registry
from crashcart.scaffold import init
from tests.unit.loading.inprocess import call
from tests.unit.loading.kinds import SETTINGS, experiment_with, name_of
from tests.unit.loading.mutations import Mutation, mutations
from tests.unit.loading.places import places
from tests.unit.loading.spoiling import ROOT, TINY, Bench, copied, files_of, problems

ASKED = int(os.environ.get("CRASHCART_MUTATIONS", "0"))
"""Of each file in a campaign."""
EACH_YAML, EACH_SQL = (ASKED, ASKED // 5) if ASKED else (65, 6)
PROCESSES = 3
SHOP = "reference"
MANY = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


def _made(project: str, folder: Path) -> Path:
    if project == "tiny":
        return copied(TINY, folder)
    if project == "init":
        init(folder, "shopping")
        return folder
    copied(ROOT, folder)
    for kind in SETTINGS:
        (folder / "experiments" / f"{name_of(kind)}.yaml").write_text(experiment_with(kind), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bench_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Bench]]:
    """By the project's name. Nothing is known of this machine's capacity, so that nobody looks at its neighbours."""
    benches: dict[str, Bench] = {}
    state = tmp_path_factory.mktemp("state")

    def bench(project: str) -> Bench:
        if project not in benches:
            folder = tmp_path_factory.mktemp(project).resolve() / "project"
            benches[project] = Bench(_made(project, folder))
            _import_all(benches[project])
        return benches[project]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        patch.setenv("XDG_CACHE_HOME", str(state))
        yield bench


def _import_all(bench: Bench) -> None:
    """What is imported when it is first used takes its time, once."""
    for file in files_of(bench.root)[:1]:
        whole = Mutation("as it was", (bench.root / file).read_bytes())
        assert [bench.plan(file, whole, *how).status for how in ((), ("--json",))] == [0, 0]
    assert call(("--project", str(bench.root), "list")).status == 0


def _all_files() -> list[tuple[str, str]]:
    template = ROOT / "crashcart" / "scaffold" / "template"
    found = [(SHOP, file) for file in files_of(ROOT)]
    found += [(SHOP, f"experiments/{name_of(kind)}.yaml") for kind in SETTINGS]
    found += [("tiny", file) for file in files_of(TINY)]
    return found + [("init", file.replace("myshop", "shopping")) for file in files_of(template)]


FILES = _all_files()


def _each(file: str) -> int:
    return EACH_YAML if file.endswith(".yaml") else EACH_SQL


def _how(mutation: Mutation) -> tuple[str, ...]:
    """As JSON, to be read again, or now and then as people read it, which takes its time."""
    return () if len(mutation.data) % 16 == 0 else ("--json",)


def test_there_are_enough_of_them_and_a_fault_of_each_kind() -> None:
    assert sum(_each(file) for _, file in FILES) >= 5_000
    assert set(SETTINGS) == set(registry())


@pytest.mark.timeout(3_600 if ASKED else 120)
@pytest.mark.parametrize(("project", "file"), FILES, ids=lambda value: value)
def test_a_spoilt_file_makes_a_plan_or_one_message_with_file_and_line(
    bench_of: Callable[[str], Bench], project: str, file: str
) -> None:
    bench = bench_of(project)
    text = (bench.root / file).read_text(encoding="utf-8")

    @_seeded(f"{project}/{file}")
    @settings(MANY, max_examples=_each(file))
    @given(mutations(text))
    def is_planned_or_refused(mutation: Mutation) -> None:
        ending = bench.plan(file, mutation, *_how(mutation))
        assert problems(bench.root, file, mutation, ending) == []

    is_planned_or_refused()


def _seeded(words: str) -> Callable[..., Callable[..., None]]:
    """The same mutations in each run, others for each file; a campaign's are up to --hypothesis-seed."""
    return (lambda test: test) if ASKED else seed(crc32(words.encode()))


@st.composite
def _spoilt(draw: st.DrawFn, bench: Bench, ending: str = "") -> tuple[str, Mutation]:
    file = draw(st.sampled_from([file for file in files_of(bench.root) if ending in file]))
    return file, draw(mutations((bench.root / file).read_text(encoding="utf-8")))


@pytest.mark.parametrize("project", ["tiny", "init"])
def test_what_plan_refuses_run_refuses_with_the_same_words_and_starts_nothing(
    bench_of: Callable[[str], Bench], project: str
) -> None:
    bench = bench_of(project)

    @_seeded(project)
    @settings(MANY, max_examples=25)
    @given(_spoilt(bench))
    def is_refused_by_both(spoilt: tuple[str, Mutation]) -> None:
        file, mutation = spoilt
        planned = bench.plan(file, mutation)
        if planned.status != 2:
            return
        with bench.spoilt(file, mutation.data):
            _, experiment, *how = bench.arguments(file)
            ran = call(("--project", str(bench.root), "run", experiment, *how, "--yes"), start=False)
        assert (ran.status, ran.err, ran.touched) == (2, planned.err, ())

    is_refused_by_both()


@pytest.mark.parametrize("project", ["tiny", "init"])
def test_a_spoilt_experiment_is_listed_or_refused(bench_of: Callable[[str], Bench], project: str) -> None:
    bench = bench_of(project)

    @_seeded(project)
    @settings(MANY, max_examples=40)
    @given(_spoilt(bench, "experiments/"))
    def is_listed_or_refused(spoilt: tuple[str, Mutation]) -> None:
        file, mutation = spoilt
        with bench.spoilt(file, mutation.data):
            ending = call(("--project", str(bench.root), "list"))
        assert ending.touched == ()
        if ending.status == 0:
            assert Path(file).stem in ending.out
        else:
            assert problems(bench.root, file, mutation, ending) == []

    is_listed_or_refused()


@pytest.mark.parametrize("project", [SHOP, "tiny"])
def test_a_spoilt_list_of_images_is_read_or_refused(bench_of: Callable[[str], Bench], project: str) -> None:
    bench, file = bench_of(project), "stack/images/images.yaml"
    text = (bench.root / file).read_text(encoding="utf-8")

    @_seeded(project)
    @settings(MANY, max_examples=EACH_YAML)
    @given(mutations(text))
    def is_read_or_refused(mutation: Mutation) -> None:
        with bench.spoilt(file, mutation.data):
            ending = call(("--project", str(bench.root), "images", "list"))
        assert ending.status == 2
        if "no Docker engine answers" not in ending.err:
            assert problems(bench.root, file, mutation, ending) == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{bench.root}/nobody-listens.sock")
        whole = call(("--project", str(bench.root), "images", "list"))
        assert "no Docker engine answers" in whole.err
        is_read_or_refused()


@pytest.mark.slow
@pytest.mark.parametrize("project", [SHOP, "tiny", "init"])
def test_a_process_of_its_own_says_the_same(bench_of: Callable[[str], Bench], project: str) -> None:
    bench = bench_of(project)

    @_seeded(project)
    @settings(MANY, max_examples=PROCESSES, phases=(Phase.generate,))
    @given(_spoilt(bench))
    def says_the_same(spoilt: tuple[str, Mutation]) -> None:
        file, mutation = spoilt
        here = bench.plan(file, mutation, "--json")
        with bench.spoilt(file, mutation.data):
            argv = [sys.executable, "-m", "crashcart", "--project", str(bench.root), *bench.arguments(file), "--json"]
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (here.status, here.out, here.err)

    says_the_same()


@pytest.mark.parametrize(
    ("project", "file"), [one for one in FILES if one[0] != SHOP and one[1].endswith(".yaml")], ids=lambda value: value
)
def test_a_value_of_a_type_that_fits_nowhere_is_named_with_its_own_line(
    bench_of: Callable[[str], Bench], project: str, file: str
) -> None:
    bench = bench_of(project)
    text = (bench.root / file).read_text(encoding="utf-8")
    for place in places(text).values:
        ended = "\n" if text[: place.end].endswith("\n") else ""
        spoilt = text[: place.start] + "[[[7]]]" + ended + text[place.end :]
        mutation = Mutation("a list of lists of lists", spoilt.encode())
        ending = bench.plan(file, mutation, "--json")
        assert problems(bench.root, file, mutation, ending) == []
        value_line = text.count("\n", 0, place.start) + 1
        key_line = text.count("\n", 0, len(text[: place.start].rstrip(" \n-"))) + 1
        if ending.status == 2:
            assert any(f" {file}:{line}: " in ending.err for line in {value_line, key_line}), (value_line, ending.err)
