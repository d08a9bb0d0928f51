"""The nights of the orchestration, which these tests play too."""

from tests.orchestration.conftest import module_nights, mornings, night_vendors, nights

__all__ = ["module_nights", "mornings", "night_vendors", "nights"]
