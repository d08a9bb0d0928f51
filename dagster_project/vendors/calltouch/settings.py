"""Calltouch's settings: the API, and each site with its token, time zone and points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr

from dagster_project.config.raw_settings import RawSettings
from dagster_project.config.section import PER_ACCOUNT, Section, VendorSettings
from dagster_project.config.values import Ids, Rate, Url, WholeNumber, Zone
from dagster_project.errors import SettingsError

SITES: Final = "CALLTOUCH_SITE_IDS"
TOKEN: Final = "CALLTOUCH_ACCESS_TOKEN"  # noqa: S105 - a setting's name
POINTS: Final = "CALLTOUCH_DAILY_POINTS"


@dataclass(frozen=True)
class CalltouchSite:
    """One Calltouch site. ``daily_points`` is ``None`` if there is no limit."""

    site_id: int
    token: SecretStr
    time_zone: ZoneInfo
    daily_points: int | None


class _SiteSettings(Section):
    """What may be set for one site alone."""

    token: SecretStr | None = Field(
        default=None,
        validation_alias=TOKEN,
        description="their token",
        json_schema_extra=PER_ACCOUNT,
    )
    time_zone: Zone = Field(
        default=ZoneInfo("Europe/Moscow"),
        validation_alias="CALLTOUCH_TIMEZONE",
        description="the sites' calendar",
        json_schema_extra=PER_ACCOUNT,
    )
    daily_points: WholeNumber | None = Field(
        default=None,
        validation_alias=POINTS,
        description="API points a day that may be spent on a site; not set: not bounded",
        examples=["1000"],
        json_schema_extra=PER_ACCOUNT,
    )


class CalltouchSettings(_SiteSettings, VendorSettings):
    """Calltouch.

    A setting of one site alone has the site after its name.
    """

    vendor = "calltouch"
    title = "Calltouch"
    accounts_setting = SITES

    site_ids: Ids = Field(
        default=(),
        validation_alias=SITES,
        description="the sites, a comma list",
        examples=["101,102"],
    )
    requests_per_second: Rate = Field(
        default=5,
        validation_alias="CALLTOUCH_REQUESTS_PER_SECOND",
        description="over all processes that share the warehouse",
    )
    settle_days: WholeNumber = Field(
        default=7,
        validation_alias="CALLTOUCH_SETTLE_DAYS",
        description="how long a day may still change",
    )
    base_url: Url = Field(
        default="https://api.calltouch.ru",
        validation_alias="CALLTOUCH_BASE_URL",
        description="where the API is",
    )
    result_path: str = Field(
        default="/lead-service/v1/api/sms-to-clients/result",
        validation_alias="CALLTOUCH_RESULT_PATH",
        description="path of the results of SMS",
    )
    sites: tuple[CalltouchSite, ...] = ()

    @cached_property
    def site_of(self) -> Mapping[str, CalltouchSite]:
        """The sites by the label of their account."""
        return {str(site.site_id): site for site in self.sites}

    @classmethod
    def missing(cls, given: RawSettings) -> tuple[str, ...]:
        sites = _Sites.read(given).site_ids
        without = [f"{TOKEN}_{site}" for site in sites if not given.get(f"{TOKEN}_{site}")]
        if given.get(TOKEN):
            return () if sites else (SITES,)
        if not sites:
            return (SITES, TOKEN)
        if without and len(without) < len(sites):
            raise SettingsError(
                f"{', '.join(without)}: not set, and neither is {TOKEN}.",
                source=cls.vendor,
                hint="set a token for each site, or one for all.",
            )
        return tuple(without)

    @classmethod
    def read(cls, given: RawSettings, *, account: str | None = None) -> Self:
        section = super().read(given, account=account)
        own = [f"{one.name}_" for one in _SiteSettings.variables()]
        sites = (
            _site(
                _SiteSettings.read(given, account=str(one))
                if any(given.get(f"{name}{one}") for name in own)
                else section,
                one,
            )
            for one in section.site_ids
        )
        return section.model_copy(update={"sites": tuple(sites)})


class _Sites(Section):
    """The list of sites only, which decides what else must be set."""

    site_ids: Ids = Field(default=(), validation_alias=SITES)


def _site(section: _SiteSettings, site_id: int) -> CalltouchSite:
    if section.token is None:
        raise SettingsError(f"{TOKEN} is not set.", account=str(site_id))
    return CalltouchSite(site_id, section.token, section.time_zone, section.daily_points)


SETTINGS: Final = CalltouchSettings
