"""The house in which nights are played, as the tests of ``orchestration/`` have it."""

from tests.orchestration.conftest import module_nights, night_vendors, nights

__all__ = ["module_nights", "night_vendors", "nights"]
