"""All settings, read once from the environment (or ``.env``), typed and validated.

A vendor without credentials has no section here and is left out everywhere. Secrets are
``pydantic.SecretStr``, so that they are not printed or logged by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field

from dagster_project.config.alarm_sections import AlarmSettings
from dagster_project.config.environment import read_environment
from dagster_project.config.known_names import find_unknown
from dagster_project.config.raw_settings import RawSettings
from dagster_project.config.section import VendorSettings
from dagster_project.config.sections import RetentionSettings, WarehouseSettings, vendor_sections
from dagster_project.errors import SettingsError

S = TypeVar("S", bound=VendorSettings)


class Settings(WarehouseSettings):
    """The warehouse's own section, and all other sections.

    ``vendors`` has the sections of vendors with credentials, ``missing`` the settings that the others
    lack, both by the vendor's name. ``unknown``: sentences about names that look like settings.
    """

    alarms: AlarmSettings = Field(default_factory=AlarmSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    vendors: Mapping[str, VendorSettings] = Field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @classmethod
    def read(cls, given: RawSettings, *, account: str | None = None) -> Self:
        settings = super().read(given)
        if settings.warehouse_url is not None and settings.pii_hash_key is None:
            raise SettingsError(
                "PII_HASH_KEY is not set, but WAREHOUSE_URL is.",
                hint="set PII_HASH_KEY to a long random text and keep it: pseudonyms depend on it.",
            )
        missing = {one.vendor: one.missing(given) for one in vendor_sections()}
        found = {
            "alarms": AlarmSettings.read(given),
            "retention": RetentionSettings.read(given),
            "vendors": {
                one.vendor: one.read(given) for one in vendor_sections() if not missing[one.vendor]
            },
            "missing": {vendor: names for vendor, names in missing.items() if names},
            "unknown": tuple(find_unknown(given, given.places)),
        }
        return settings.model_copy(update=found)

    def section(self, kind: type[S]) -> S | None:
        """The vendor's section; None if it has no credentials."""
        found = self.vendors.get(kind.vendor)
        return found if isinstance(found, kind) else None


def load_settings(
    environment: Mapping[str, str] | None = None, dotenv: Path | None = None
) -> Settings:
    """Read all settings; the environment wins over the ``.env`` file. See ``read_environment``.

    Raises:
        SettingsError: a value is malformed, or ``WAREHOUSE_URL`` is set without ``PII_HASH_KEY``.
    """
    return Settings.read(read_environment(environment, dotenv))
