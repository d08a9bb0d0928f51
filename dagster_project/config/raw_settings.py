"""Raw settings: texts with the place that each comes from; the sections are read from them."""

from __future__ import annotations

from collections.abc import Mapping


class RawSettings(dict[str, str]):
    """The settings' texts by name.

    ``places`` has where a setting was found, such as ``.env, line 7``; a setting of the environment has no
    place.
    """

    def __init__(self, texts: Mapping[str, str], places: Mapping[str, str] | None = None) -> None:
        super().__init__(texts)
        self.places = dict(places or {})

    def describe(self, name: str) -> str:
        """The setting's name, with its place: ``RAW_RETENTION_DAYS (.env, line 7)``."""
        place = self.places.get(name)
        return f"{name} ({place})" if place else name
