"""What the dashboards are made of: panels of one look, the data source, and faults as annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

DATASOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
SCHEMA_VERSION = 39
"""Of Grafana 11; later ones turn it into theirs when they load it."""
RATE = "$__rate_interval"
TAG = "crashcart"

GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"
Steps = Sequence[tuple[float | None, str]]
"""Colours from values on; the first from None: from anything on."""


@dataclass(frozen=True)
class Query:
    """One PromQL expression. `legend` names its series; `instant` asks for one value at the end of the time shown."""

    expr: str
    legend: str = ""
    instant: bool = False


AnyPanel = timeseries.Panel | stat.Panel | bargauge.Panel | statetimeline.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, bargauge.Panel, statetimeline.Panel)


@dataclass(frozen=True)
class Frame:
    """A panel's title, what it means in a sentence, and its size: of 24 columns, and in rows of 38 pixels."""

    title: str
    meaning: str
    width: int
    height: int
    unit: str = "short"


def lines(frame: Frame, *queries: Query, stacked: bool = False, top: float | None = None) -> timeseries.Panel:
    """Curves over time, from 0 on."""
    panel = (
        _framed(timeseries.Panel(), frame, queries)
        .min(0)
        .line_width(1)
        .fill_opacity(25 if stacked else 5)
        .show_points(common_models.VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
    )
    if top is not None:
        panel.max(top)
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    return panel


def figure(
    frame: Frame,
    query: Query,
    *,
    steps: Steps = ((None, GREEN),),
    says: dict[str, str] | None = None,
    named: bool = False,
) -> stat.Panel:
    """One number as of now, or with `named` the name of the series that there is. `says`: values told as a word.

    Asked for one moment: the last number of a range would go on standing there when there is none any more.
    """
    text = common_models.BigValueTextMode.NAME if named else common_models.BigValueTextMode.AUTO
    panel = (
        _framed(stat.Panel(), frame, [replace(query, instant=True)])
        .thresholds(_steps(steps))
        .color_mode(common_models.BigValueColorMode.BACKGROUND)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .text_mode(text)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
    )
    return panel.mappings([_words({value: (word, None) for value, word in (says or {}).items()})]) if says else panel


def bars(frame: Frame, *queries: Query, steps: Steps = ((None, GREEN),), top: float | None = None) -> bargauge.Panel:
    """The last value of each series as a bar."""
    panel = (
        _framed(bargauge.Panel(), frame, queries)
        .min(0)
        .thresholds(_steps(steps))
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .value_mode(common_models.BarGaugeValueMode.TEXT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
    )
    return panel if top is None else panel.max(top)


def states(frame: Frame, *queries: Query, says: Mapping[str, tuple[str, str]]) -> statetimeline.Panel:
    """A lane for each series, coloured by what its value `says`: a word and a colour."""
    return (
        _framed(statetimeline.Panel(), frame, queries)
        .mappings([_words(says)])
        .merge_values(merge_values=True)
        .show_value(common_models.VisibilityMode.NEVER)
        .row_height(0.8)
        .fill_opacity(80)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(show_legend=False)
        )
    )


def _framed(panel: P, frame: Frame, queries: Sequence[Query]) -> P:
    panel.title(frame.title).description(frame.meaning).datasource(DATASOURCE)
    panel.span(frame.width).height(frame.height).unit(frame.unit)
    for index, query in enumerate(queries):
        target = prometheus.Dataquery().datasource(DATASOURCE).ref_id(chr(ord("A") + index)).expr(query.expr)
        target.legend_format(query.legend or "__auto")
        panel.with_target(target.instant() if query.instant else target.range())
    return panel


def _steps(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )


def _words(says: Mapping[str, tuple[str, str | None]]) -> models.ValueMap:
    return models.ValueMap(
        options={
            value: models.ValueMappingResult(text=word, color=color, index=index)
            for index, (value, (word, color)) in enumerate(says.items())
        }
    )


class Board:
    """A dashboard under way: panels are put one after the other, left to right, row by row."""

    def __init__(self, uid: str, title: str, meaning: str) -> None:
        self._panels = 0
        self._board = (
            dashboard.Dashboard(title)
            .uid(uid)
            .description(meaning)
            .tags([TAG])
            .timezone("browser")
            .time("now-5m", "now")
            .refresh("5s")
            .timepicker(dashboard.TimePicker().refresh_intervals(["1s", "5s", "10s", "30s", "1m"]))
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .link(
                dashboard.DashboardLink("crashcart")
                .type(models.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .as_dropdown(as_dropdown=False)
                .keep_time(keep_time=True)
            )
            .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
            .annotation(_faults())
            .annotation(_runs())
        )

    def variable(self, name: str, label: str, query: str) -> Self:
        """Lets people choose among the values of a label: several, or all."""
        self._board.with_variable(
            dashboard.QueryVariable(name)
            .label(label)
            .datasource(DATASOURCE)
            .query({"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
            .definition(query)
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(multi=True)
            .include_all(include_all=True)
            .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
        )
        return self

    def row(self, title: str) -> Self:
        """A heading."""
        self._panels += 1
        self._board.with_row(dashboard.Row(title).id(self._panels))
        return self

    def put(self, *panels: AnyPanel) -> Self:
        """Panels beside each other. Their widths come to 24, or the next line begins in a wrong place."""
        for panel in panels:
            self._panels += 1
            self._board.with_panel(panel.id(self._panels))
        return self

    def build(self) -> models.Dashboard:
        """The whole."""
        board = self._board.build()
        board.schema_version = SCHEMA_VERSION
        for annotation in board.annotations.list_val or ():
            annotation.placement = None  # type: ignore[assignment]  # the toolbar: the SDK knows the menu alone
        return board


class _Tagged(variants.Dataquery, builder.Builder[variants.Dataquery]):
    """Annotations that Grafana keeps itself, by tag; the SDK has no type for this question."""

    def build(self) -> variants.Dataquery:
        """Itself."""
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana's own editor saves it."""
        return {"type": "tags", "tags": [TAG], "matchAny": False, "limit": 500, "refId": "Anno"}


def _faults() -> dashboard.AnnotationQuery:
    """From the harness's own metric: nobody needs to write anything into Grafana for them to show."""
    expr = "max by (fault, kind, target) (crashcart_fault_active) == 1"
    return (
        dashboard.AnnotationQuery()
        .name("Faults")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .hide(hide=False)
        .icon_color(RED)
        .expr(expr)
        .step("1s")
        .target(prometheus.Dataquery().datasource(DATASOURCE).ref_id("Anno").expr(expr).interval("1s").range())
        .title_format("{{kind}}")
        .text_format("on {{target}}")
        .tag_keys("fault,kind")
    )


def _runs() -> dashboard.AnnotationQuery:
    """What `crashcart dashboards push` writes about finished runs, off until somebody wants it."""
    return (
        dashboard.AnnotationQuery()
        .name("Runs")
        .datasource(common_models.DataSourceRef(type_val="grafana", uid="-- Grafana --"))
        .enable(enable=False)
        .hide(hide=False)
        .icon_color(BLUE)
        .target(_Tagged())
    )
