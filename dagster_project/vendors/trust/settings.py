"""Trust's settings."""

from __future__ import annotations

from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr

from dagster_project.config.raw_settings import RawSettings
from dagster_project.config.section import VendorSettings
from dagster_project.config.values import Ids, InvalidSetting, Url, WholeNumber, Zone

RANGE_PARAMS: Final = "TRUST_RANGE_PARAMS"
COMPANIES: Final = "TRUST_COMPANY_IDS"


def _parse_two_names(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    names = tuple(part.strip() for part in text.split(","))
    if len(names) != 2 or not all(names):
        raise InvalidSetting(" is not two names.", "write it as start_date,end_date")
    return names


class TrustSettings(VendorSettings):
    """Trust."""

    vendor = "trust"
    title = "Trust"
    accounts_setting = COMPANIES

    client_id: SecretStr = Field(validation_alias="TRUST_CLIENT_ID", description="the client")
    client_secret: SecretStr = Field(
        validation_alias="TRUST_CLIENT_SECRET", description="its secret"
    )
    company_ids: Ids = Field(
        validation_alias=COMPANIES, description="the companies, a comma list", examples=["1"]
    )
    time_zone: Zone = Field(
        default=ZoneInfo("America/Santiago"),
        validation_alias="TRUST_TIMEZONE",
        description="the companies' calendar",
    )
    range_params: Annotated[tuple[str, str], BeforeValidator(_parse_two_names)] = Field(
        default=("start_date", "end_date"),
        validation_alias=RANGE_PARAMS,
        description="names of the date range's parameters, which the vendor does not document",
    )
    settle_days: WholeNumber = Field(
        default=7,
        validation_alias="TRUST_SETTLE_DAYS",
        description="how long a day may still change",
    )
    base_url: Url = Field(
        default="https://api.trust.lat",
        validation_alias="TRUST_BASE_URL",
        description="where the API is",
    )
    auth_url: Url = Field(
        default="https://atenea.trust.lat",
        validation_alias="TRUST_AUTH_URL",
        description="where tokens are granted",
    )

    @property
    def params(self) -> str:
        """The range's parameters as they are shown and stored."""
        return ",".join(self.range_params)

    @classmethod
    def missing(cls, given: RawSettings) -> tuple[str, ...]:
        companies = [part for part in given.get(COMPANIES, "").split(",") if part.strip()]
        return (
            super().missing(given)
            if companies
            else tuple(dict.fromkeys([*super().missing(given), COMPANIES]))
        )


SETTINGS: Final = TrustSettings
