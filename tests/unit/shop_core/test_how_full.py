"""How full pools and groups are: asked at each scrape, counted at no other time."""

from __future__ import annotations

import re

import pytest

from stack.kit import metrics
from stack.kit.app import Route, Service
from stack.kit.http import Request, Response, json_response
from stack.kit.metrics import Places


def samples(name: str) -> dict[str, float]:
    text = metrics.exposition().decode()
    return {labels: float(value) for labels, value in re.findall(rf"^{name}(\{{.*\}}) (\S+)$", text, re.MULTILINE)}


def test_a_pool_is_as_full_as_it_is_when_asked() -> None:
    link = metrics.LinkMetrics("full-db")
    now = [Places(0, 8)]
    link.watch(lambda: now[0])
    label = f'{{link="{link.link}"}}'
    assert samples("link_pool_busy")[label] == 0
    now[0] = Places(8, 8, 3)
    figures = [samples(f"link_pool_{name}")[label] for name in ("busy", "size", "waiting")]
    assert figures == [8, 8, 3]


def test_a_link_without_a_pool_says_nothing_of_one() -> None:
    link = metrics.LinkMetrics("unpooled")
    assert f'{{link="{link.link}"}}' not in samples("link_pool_busy")
    assert f'{{link="{link.link}"}}' in samples("breaker_open")


@pytest.mark.parametrize(("limit", "told"), [({"write": 40}, True), (None, False)])
def test_a_group_tells_of_its_limit_where_it_has_one(limit: dict[str, int] | None, told: bool) -> None:
    async def handler(_request: Request) -> Response:
        return json_response({})

    group = "write" if told else "boundless"
    Service("things", [Route("POST", "/things", handler, group=group)], max_in_flight=limit)
    label = f'{{service="{metrics.SERVICE}",group="{group}"}}'
    assert samples("http_requests_in_flight_limit").get(label) == (40 if told else None)
    assert samples("http_requests_in_flight").get(label) == (0 if told else None)
