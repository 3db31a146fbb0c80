"""What Prometheus is told to scrape."""

from __future__ import annotations

import yaml

from crashcart.prometheus import Target, scrape_config


def test_each_job_has_all_its_instances_under_our_names() -> None:
    targets = [
        Target("shop", "shop[0]", "127.0.0.1:1"),
        Target("shop", "shop[1]", "127.0.0.1:2"),
        Target("load", "load", "127.0.0.1:3"),
    ]
    jobs = {job["job_name"]: job["static_configs"] for job in yaml.safe_load(scrape_config(targets))["scrape_configs"]}
    assert jobs == {
        "shop": [
            {"targets": ["127.0.0.1:1"], "labels": {"instance": "shop[0]"}},
            {"targets": ["127.0.0.1:2"], "labels": {"instance": "shop[1]"}},
        ],
        "load": [{"targets": ["127.0.0.1:3"], "labels": {"instance": "load"}}],
    }


def test_scrapes_come_each_second_and_give_up_before_the_next() -> None:
    told = yaml.safe_load(scrape_config([]))["global"]
    assert told == {"scrape_interval": "1000ms", "scrape_timeout": "900ms"}
