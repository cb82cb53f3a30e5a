"""Prints the largest error that was measured beside each tolerance, also when tests run in parallel."""

import pytest

MEASURED = "measured"


@pytest.fixture
def record(record_property):
    """Return a function that notes a measured error and the tolerance it was held to."""

    def note(label: str, error: float, tolerance: float) -> None:
        record_property(MEASURED, (label, float(error), float(tolerance)))

    return note


def pytest_terminal_summary(terminalreporter):
    """Print a table of the largest error of each label."""
    largest: dict[tuple[str, float], tuple[float, int]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, value in report.user_properties:
                if name == MEASURED:
                    label, error, tolerance = value
                    before, count = largest.get((label, tolerance), (0.0, 0))
                    largest[label, tolerance] = (max(before, error), count + 1)
    if not largest:
        return
    terminalreporter.section("largest error measured beside each tolerance")
    for (label, tolerance), (error, count) in sorted(largest.items()):
        terminalreporter.write_line(f"{label:45s} {error:9.1e}  tolerance {tolerance:7.0e}  ({count} tests)")
