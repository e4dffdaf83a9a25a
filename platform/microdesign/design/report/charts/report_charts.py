"""All charts of a campaign's page."""

from microdesign.design.report.charts.properties import property_charts
from microdesign.design.report.charts.search import search_charts
from microdesign.design.report.charts.statistics import statistics_charts
from microdesign.design.report.charts.style import Chart
from microdesign.design.report.result import CampaignResult


def report_charts(result: CampaignResult) -> dict[str, Chart]:
    """The charts by name: `reached-...`, `two-point`, `chords`, `convergence`, `best-...` and `parity-...`.

    Distances in all directions together are of squares and cubes: other pixels have no `two-point` and `chords`.
    """
    statistics = {} if result.aspect else statistics_charts(result)
    return property_charts(result) | statistics | search_charts(result)
