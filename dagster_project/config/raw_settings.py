"""Settings as texts, each with the place that gave it: what every section is read from."""

from __future__ import annotations

from collections.abc import Mapping


class RawSettings(dict[str, str]):
    """Texts by the names of their settings.

    ``places`` says of a setting where it stands, such as ``.env, line 7``; one that the environment
    gives has no place. ``unknown`` are names, each with its place, that look like settings and are none.
    """

    def __init__(self, texts: Mapping[str, str], places: Mapping[str, str] | None = None) -> None:
        super().__init__(texts)
        self.places = dict(places or {})
        self.unknown: list[str] = []

    def describe(self, name: str) -> str:
        """The setting's name, with its place: ``RAW_RETENTION_DAYS (.env, line 7)``."""
        place = self.places.get(name)
        return f"{name} ({place})" if place else name
