"""Tellody's section of the settings."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from dagster_project.config.section import Url, VendorSettings, WholeNumber, Zone


class TellodySettings(VendorSettings):
    """Tellody."""

    vendor = "tellody"
    title = "Tellody"

    username: SecretStr = Field(
        validation_alias="TELLODY_USERNAME", description="The login; it is not stored."
    )
    password: SecretStr = Field(validation_alias="TELLODY_PASSWORD", description="Its password.")
    account: str = Field(
        default="main",
        validation_alias="TELLODY_ACCOUNT",
        description="The label that is stored with the rows.",
    )
    time_zone: Zone = Field(
        default=ZoneInfo("Europe/Athens"),
        validation_alias="TELLODY_TIMEZONE",
        description="The time zone of days.",
    )
    currency: str | None = Field(
        default=None,
        validation_alias="TELLODY_CURRENCY",
        description="The currency of amounts; unknown where it is not set.",
        examples=["EUR"],
    )
    settle_days: WholeNumber = Field(
        default=3,
        validation_alias="TELLODY_SETTLE_DAYS",
        description="How long a day may still change.",
    )
    base_url: Url = Field(
        default="https://app.tellody.com",
        validation_alias="TELLODY_BASE_URL",
        description="Where the API is.",
    )
    payments_url: Url = Field(
        default="",
        validation_alias="TELLODY_PAYMENTS_URL",
        description="Where the API of purchases is; the same where it is not set.",
        examples=["https://app.tellody.com"],
    )

    @field_validator("payments_url", mode="before")
    @classmethod
    def _the_same(cls, url: str, info: ValidationInfo) -> str:
        return url or info.data.get("base_url", url)


SETTINGS: Final = TellodySettings
