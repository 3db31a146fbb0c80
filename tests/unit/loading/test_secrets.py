"""A password or a token is refused where it would be recorded, and left out where a service has to be told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crashcart.loading import open_project
from crashcart.loading.experiments import experiment_from_tree, read_experiment
from crashcart.loading.faultkinds import read_fault_kind
from crashcart.loading.overrides import overridden
from crashcart.loading.yamltree import parse_tree
from crashcart.model.errors import BadFile
from crashcart.model.secrets import as_recorded, is_secret_name, without_password
from crashcart.wiring.plans import plan_json
from tests.unit.loading.test_bad_files import GOOD
from tests.unit.reporting.recordings import make_plan
from tests.unit.reporting.stories import PASS

ROOT = Path(__file__).parents[3]
CANARY = "canary-7f3a"
TELL = """\
  - http/admin:
      service: payments
      method: POST
      path: /admin/behaviour
      body: {BODY}
      undo: {method: DELETE, path: /admin/behaviour}
      counted: {part: a_total, of: b_total, share: 0.5}
    for: 20s
"""


def _experiment(body: str) -> str:
    return GOOD.replace("faults:\n", "faults:\n" + TELL.replace("{BODY}", body))


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "dbPassword",
        "api-key",
        "STRIPE_API_KEY",
        "apiKey",
        "Authorization",
        "token",
        "passwd",
        "ADMIN_TOKEN",
        "accessToken",
        "client_secret",
        "requirepass",
        "spring.datasource.password",
        "AWS_SECRET_ACCESS_KEY",
    ],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["idempotency_token", "token_ttl_s", "key", "keys", "passed", "secretary", "monkey", "card_token", "bypass"]
)
def test_what_only_sounds_like_one_is_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (f"{{password: {CANARY}}}", "faults[0].http/admin.body.password"),
        (f"{{as: [{{apiKey: {CANARY}}}]}}", "faults[0].http/admin.body.as[0].apiKey"),
        (f'{{to: "postgresql://shop:{CANARY}@db/shop"}}', "faults[0].http/admin.body.to"),
        (f'"https://me:{CANARY}@elsewhere/"', "faults[0].http/admin.body"),
    ],
)
def test_an_experiment_with_a_secret_is_refused_by_its_line_and_does_not_show_it(
    tmp_path: Path, body: str, where: str
) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(_experiment(body), encoding="utf-8")
    with pytest.raises(BadFile) as refused:
        read_experiment(path, "experiments/tiny.yaml")
    assert str(refused.value).startswith(f"experiments/tiny.yaml:13: {where}: a secret would stand in every recording")
    assert CANARY not in str(refused.value)


def test_one_that_is_laid_over_it_is_refused_too() -> None:
    tree = parse_tree(_experiment("{fail_share: 0.5}"), "experiments/tiny.yaml")
    laid = overridden(tree, [f"faults.0.http/admin.body.secret={CANARY}"])
    with pytest.raises(BadFile, match=r"faults\[0\].http/admin.body.secret: a secret") as refused:
        experiment_from_tree(laid)
    assert CANARY not in str(refused.value)


def test_so_is_one_in_a_named_fault_but_not_the_place_for_a_word(tmp_path: Path) -> None:
    text = (ROOT / "tests/projects/tiny/stack/faults/shelf-refuse.yaml").read_text(encoding="utf-8")
    path = tmp_path / "refuse.yaml"
    path.write_text(text.replace('{refuse: "{share}"}', '{refuse: 1, token: "{share}"}'), encoding="utf-8")
    assert read_fault_kind(path, "stack/faults/refuse.yaml").name == "shelf/refuse"
    path.write_text(text.replace('{refuse: "{share}"}', f"{{refuse: 1, token: {CANARY}}}"), encoding="utf-8")
    with pytest.raises(BadFile, match=r"stack/faults/refuse.yaml:\d+: use.http/admin.body.token: a secret"):
        read_fault_kind(path, "stack/faults/refuse.yaml")


def test_what_a_design_tells_its_services_in_secret_is_in_no_plan_that_is_written_down() -> None:
    plan = make_plan(PASS)
    name, service = next(iter(plan.design.services.items()))
    told = msgspec.structs.replace(
        service,
        env={"STRIPE_API_KEY": CANARY, "UPSTREAM": f"redis://shop:{CANARY}@cache:6379/0", "STYLE": "safe"},
        settings={"requirepass": CANARY, "maxmemory": 4},
        command=("serve", "--db", f"postgresql://shop:{CANARY}@db/shop"),
    )
    design = msgspec.structs.replace(plan.design, services={**plan.design.services, name: told})
    plan = msgspec.structs.replace(plan, design=design)
    assert CANARY not in plan_json(plan)
    recorded = as_recorded(plan).design.services[name]
    assert recorded.env == {"STRIPE_API_KEY": "***", "UPSTREAM": "redis://shop:***@cache:6379/0", "STYLE": "safe"}
    assert recorded.settings == {"requirepass": "***", "maxmemory": 4}
    assert recorded.command == ("serve", "--db", "postgresql://shop:***@db/shop")


def test_a_plan_without_secrets_is_written_down_as_it_is() -> None:
    plan = make_plan(PASS)
    assert as_recorded(plan) == plan


def test_no_file_of_this_repository_is_refused_for_its_words() -> None:
    project = open_project(ROOT)
    assert len(project.fault_kinds) >= 3
    assert all(project.experiment(str(path)).experiment.metadata.name for path in project.experiment_paths())


@pytest.mark.parametrize("text", ["http://a:8/x@y", "a@b", "see https://example.org:8443/a@b", "x: y@z"])
def test_an_address_without_a_password_stays_as_it_is(text: str) -> None:
    assert without_password(text) == text
