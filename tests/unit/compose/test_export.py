"""What `crashcart export compose` writes, without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from crashcart.compose import exported_files
from crashcart.compose.layout import FRONT, lay_out_compose
from crashcart.loading import open_project
from crashcart.model.design import Design, Metadata, Service, proxies
from crashcart.model.errors import UsageError
from tests.unit.compose import golden

ROOT = golden.ROOT
TINY = ROOT / "tests" / "projects" / "tiny"
KEPT = {name: value for name, value in os.environ.items() if not name.startswith("CRASHCART_")}


def export(project: Path, *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "crashcart", "--project", str(project), "export", "compose", *words]
    return subprocess.run(
        command, cwd=cwd, env={**KEPT, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )


def document(design: str) -> dict[str, Any]:
    text = exported_files(open_project(ROOT), design, "compose.yaml", {})["compose.yaml"]
    assert isinstance(text, str)
    whole: dict[str, Any] = yaml.safe_load(text)
    return whole


def test_the_export_of_the_reference_shop_is_the_committed_one() -> None:
    made, kept = golden.generated(), golden.committed()
    differ = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    assert not differ, f"{', '.join(differ)}: look at the difference; `{golden.RENEW}` renews {golden.FOLDER}"


@pytest.mark.parametrize("design", open_project(ROOT).design_names())
def test_no_network_but_one_leads_anywhere_and_nothing_is_published_beyond_loopback(design: str) -> None:
    whole = document(design)
    assert [name for name, network in whole["networks"].items() if not network.get("internal")] == [FRONT]
    published = [port for service in whole["services"].values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)
    in_front = {name for name, service in whole["services"].items() if FRONT in service["networks"]}
    assert in_front == {"toxiproxy", "prometheus", "grafana", "load"}


@pytest.mark.parametrize("design", open_project(ROOT).design_names())
def test_whoever_has_dependencies_shares_a_network_with_its_replicas_toxiproxy_and_prometheus_alone(
    design: str,
) -> None:
    whole, services = document(design), open_project(ROOT).design(design).services
    plan = lay_out_compose(open_project(ROOT).design(design))
    for instance, name in plan.names.items():
        service = services[instance.partition("[")[0]]
        (network,) = whole["services"][name]["networks"]
        members = {other for other, one in whole["services"].items() if network in one["networks"]}
        if service.links:
            twins = {twin for key, twin in plan.names.items() if key.partition("[")[0] == instance.partition("[")[0]}
            assert members == {*twins, "toxiproxy", "prometheus"}


@pytest.mark.parametrize("design", open_project(ROOT).design_names())
def test_every_link_of_every_replica_has_a_proxy_that_only_its_client_reaches(design: str) -> None:
    project = open_project(ROOT)
    files, model = exported_files(project, design, "compose.yaml", {}), project.design(design)
    config = files["toxiproxy.json"]
    assert isinstance(config, str)
    listed = {one["name"]: one for one in json.loads(config)}
    assert listed.keys() == {proxy.name for proxy in proxies(model)}
    assert len({one["listen"] for one in listed.values()}) == len(listed)
    whole, plan = document(design), lay_out_compose(model)
    aliases = {
        alias: net for net, one in whole["services"]["toxiproxy"]["networks"].items() for alias in one["aliases"]
    }
    for proxy in proxies(model):
        host, _, port = listed[proxy.name]["listen"].partition(":")
        upstream = listed[proxy.name]["upstream"].partition(":")[0]
        assert upstream == plan.names[proxy.dependency]
        assert set(whole["services"][upstream]["networks"]) <= whole["services"]["toxiproxy"]["networks"].keys()
        if proxy.client in plan.names:
            client = whole["services"][plan.names[proxy.client]]
            assert client["networks"] == [aliases[host]]
            assert f"toxiproxy:{port}" in "".join(client["environment"].values())
        else:
            assert aliases[host] == FRONT


def test_replicas_are_services_of_their_own_and_know_all_replicas_behind_them() -> None:
    services = document("two-of-each")["services"]
    assert {"checkout-0", "checkout-1", "storefront"} <= services.keys()
    assert "checkout" not in services
    assert services["checkout-1"]["environment"]["SERVICE_INSTANCE"] == "checkout[1]"
    first, second = (services[name]["environment"]["LINK_PAYMENTS"].split(",") for name in ("checkout-0", "checkout-1"))
    assert len({*first, *second}) == 4


def test_what_is_copied_is_what_the_project_has_and_all_that_the_images_need(tmp_path: Path) -> None:
    done = export(ROOT, "--out", str(tmp_path / "new" / "compose.yaml"))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "new"
    for ours, copied in (("dashboards/grafana", "grafana/dashboards"), ("stack/checkout", "build/shop/stack/checkout")):
        names = {path.name for path in (ROOT / ours).iterdir() if path.is_file()}
        assert {path.name for path in (folder / copied).iterdir()} == names != set()
        assert all((ROOT / ours / name).read_bytes() == (folder / copied / name).read_bytes() for name in names)
    assert {path.name for path in (folder / "rules").iterdir()} == {
        path.name for path in (ROOT / "dashboards" / "rules").glob("*.yaml")
    }
    schema = (folder / "databases" / "orders-db" / "01-schema.sql").read_text(encoding="utf-8")
    assert schema.endswith((ROOT / "stack" / "checkout" / "schema.sql").read_text(encoding="utf-8"))
    for service in yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["services"].values():
        if "build" in service:
            assert (folder / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        mounted = [word.partition(":")[0] for word in service.get("volumes", ()) if word.startswith("./")]
        assert all((folder / path).exists() for path in mounted)


def test_the_load_s_context_is_enough_to_import_it(tmp_path: Path) -> None:
    assert export(ROOT, "--out", str(tmp_path / "compose.yaml")).returncode == 0
    program = "import loadtests.locustfile as f, crashcart; print(f.__file__, crashcart.__file__)"
    context = tmp_path / "build" / "load"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, '.'); {program}"],
        cwd=context,
        env={name: value for name, value in KEPT.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(context)) == 2


def test_secrets_are_new_each_time_in_a_file_of_their_own_that_others_can_not_read(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        assert export(ROOT, "--out", str(tmp_path / "compose.yaml")).returncode == 0
        assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
        found.append((tmp_path / ".env").read_text(encoding="ascii"))
    tokens = re.findall(r"=(\S{20,})", "".join(found))
    assert len(set(tokens)) == 4
    others = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".env"]
    assert not [path for path in others if any(token.encode() in path.read_bytes() for token in tokens)]


def test_an_earlier_export_is_replaced_and_what_it_had_besides_is_gone(tmp_path: Path) -> None:
    assert export(ROOT, "--design", "two-of-each", "--out", str(tmp_path / "compose.yaml")).returncode == 0
    listed = tmp_path / ".crashcart-export"
    listed.write_text(f"{listed.read_text(encoding='utf-8')}rules/old.yaml\n", encoding="utf-8")
    (tmp_path / "rules" / "old.yaml").touch()
    assert export(ROOT, "--out", str(tmp_path / "compose.yaml")).returncode == 0
    assert not (tmp_path / "rules" / "old.yaml").exists()
    assert "checkout-1" not in (tmp_path / "compose.yaml").read_text(encoding="utf-8")


def test_dollars_of_a_design_are_not_variables_of_compose(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "stack", tmp_path / "stack", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "loadtests", tmp_path / "loadtests", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "experiments").mkdir()
    (tmp_path / "stack" / "designs" / "dear.yaml").write_text(
        "apiVersion: crashcart/v1\nkind: Design\nextends: reference\nmetadata: {name: dear}\n"
        "services: {mail: {env: {PRICE: '$5 ${HOME}'}}}\n",
        encoding="utf-8",
    )
    text = exported_files(open_project(tmp_path), "dear", "compose.yaml", {})["compose.yaml"]
    assert isinstance(text, str)
    assert yaml.safe_load(text)["services"]["mail"]["environment"]["PRICE"] == "$$5 $${HOME}"


@pytest.mark.parametrize("name", ["load", "checkout-1"])
def test_a_service_that_would_share_its_name_is_refused(name: str) -> None:
    services = {"checkout": Service(replicas=2, entry=True), name: Service()}
    with pytest.raises(UsageError, match=f"would both be called {name}"):
        lay_out_compose(Design("crashcart/v1", "Design", Metadata("clash"), services))


def _refused(done: subprocess.CompletedProcess[str], told: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("crashcart:") == 1
    assert "Traceback" not in done.stderr


def test_a_project_without_images_is_told_so(tmp_path: Path) -> None:
    project, out = tmp_path / "project", tmp_path / "out"
    shutil.copytree(TINY, project, ignore=shutil.ignore_patterns("images", "runs", "__pycache__"))
    out.mkdir()
    _refused(export(project, "--design", "tiny", "--out", str(out / "c.yaml")), "there is no stack/images/images.yaml")
    assert list(out.iterdir()) == []


def test_an_unknown_design_is_told_with_one_that_there_is(tmp_path: Path) -> None:
    _refused(export(ROOT, "--design", "referense", "--out", str(tmp_path / "c.yaml")), 'did you mean "reference"?')
    assert list(tmp_path.iterdir()) == []


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("dear", encoding="utf-8")
    _refused(
        export(ROOT, "--out", str(tmp_path / "compose.yaml")), "there are other files here, such as letters/mine.txt"
    )
    assert [path.name for path in tmp_path.rglob("*")] == ["letters", "mine.txt"]


@pytest.mark.parametrize("out", ["taken/compose.yaml", "taken/below/compose.yaml"])
def test_a_place_that_can_not_be_a_folder_is_one_clear_error(tmp_path: Path, out: str) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    _refused(export(ROOT, "--out", str(tmp_path / out)), "--out FOLDER/compose.yaml")


@pytest.mark.parametrize("out", [".", "compose.json", "prometheus.yml"])
def test_a_name_that_can_not_be_the_compose_file_s_is_refused(tmp_path: Path, out: str) -> None:
    _refused(export(ROOT, "--out", str(tmp_path / out)), "name a file, such as --out shop/compose.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_names_files_elsewhere_removes_none_of_them(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.touch()
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / ".crashcart-export").write_text(f"../mine.txt\n{mine}\n", encoding="utf-8")
    assert export(ROOT, "--out", str(folder / "compose.yaml")).returncode == 0
    assert mine.exists()
