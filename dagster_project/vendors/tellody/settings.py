"""Tellody's settings."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from dagster_project.config.section import VendorSettings
from dagster_project.config.values import Url, WholeNumber, Zone


class TellodySettings(VendorSettings):
    """Tellody."""

    vendor = "tellody"
    title = "Tellody"
    accounts_setting = "TELLODY_ACCOUNT"

    username: SecretStr = Field(
        validation_alias="TELLODY_USERNAME", description="the login; it is not stored"
    )
    password: SecretStr = Field(validation_alias="TELLODY_PASSWORD", description="its password")
    account: str = Field(
        default="main",
        validation_alias="TELLODY_ACCOUNT",
        description="the label stored with the rows; the user name is not",
    )
    time_zone: Zone = Field(
        default=ZoneInfo("Europe/Athens"),
        validation_alias="TELLODY_TIMEZONE",
        description="the account's calendar",
    )
    currency: str | None = Field(
        default=None,
        validation_alias="TELLODY_CURRENCY",
        description="the vendor documents none; not set: unknown",
        examples=["EUR"],
    )
    settle_days: WholeNumber = Field(
        default=3,
        validation_alias="TELLODY_SETTLE_DAYS",
        description="how long a day may still change",
    )
    base_url: Url = Field(
        default="https://app.tellody.com",
        validation_alias="TELLODY_BASE_URL",
        description="where the API is",
    )
    payments_url: Url = Field(
        default="",
        validation_alias="TELLODY_PAYMENTS_URL",
        description="where the API of purchases is; not set: the same",
        examples=["https://app.tellody.com"],
    )

    @field_validator("payments_url", mode="before")
    @classmethod
    def _default_to_base_url(cls, url: str, info: ValidationInfo) -> str:
        return url or info.data.get("base_url", url)


SETTINGS: Final = TellodySettings
