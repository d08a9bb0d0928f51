"""The sections of the settings about alarms: what is told, and to whom."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from dagster_project.config.raw_settings import RawSettings
from dagster_project.config.section import Section
from dagster_project.config.values import (
    InvalidSetting,
    PositiveNumber,
    SecretUrl,
    TextList,
)
from dagster_project.errors import SettingsError


class MailSettings(Section):
    """Alarms by e-mail.

    ``security``: ``starttls``, ``tls`` from the first byte, or ``none``."""

    to: TextList = Field(
        validation_alias="ALARM_EMAIL_TO",
        description="the same by e-mail, to these addresses",
        examples=["nights@example.com"],
    )
    host: str = Field(
        validation_alias="ALARM_SMTP_HOST",
        description="the mail server",
        examples=["smtp.example.com"],
    )
    security: str = Field(
        default="starttls",
        validation_alias="ALARM_SMTP_SECURITY",
        description="`starttls`, `tls` from the first byte, or `none`",
    )
    port: PositiveNumber = Field(
        default=587,
        validation_alias="ALARM_SMTP_PORT",
        description="its port; `465` with `tls`",
    )
    username: str | None = Field(
        default=None,
        validation_alias="ALARM_SMTP_USERNAME",
        description="its login, if it wants one",
    )
    password: SecretStr | None = Field(
        default=None, validation_alias="ALARM_SMTP_PASSWORD", description="the login's password"
    )
    sender: str = Field(
        default="",
        validation_alias="ALARM_SMTP_FROM",
        description="the address that alarms come from; not set: the login, or the first of the addresses",
        examples=["warehouse@example.com"],
    )

    @field_validator("security", mode="before")
    @classmethod
    def _check_security(cls, text: str) -> str:
        if text.lower() not in ("starttls", "tls", "none"):
            raise InvalidSetting(" is none of the three.", "use starttls, tls or none.")
        return text.lower()

    @field_validator("sender", mode="before")
    @classmethod
    def _default_sender(cls, text: str, info: ValidationInfo) -> str:
        return text or info.data.get("username") or next(iter(info.data.get("to", ())), "")

    @field_validator("to", "sender", mode="after")
    @classmethod
    def _check_addresses(cls, found: tuple[str, ...] | str) -> tuple[str, ...] | str:
        for one in (found,) if isinstance(found, str) else found:
            if "@" not in one or not one.isprintable():
                raise InvalidSetting(
                    " is not an e-mail address.", "write it as name@host, several with commas."
                )
        return found

    @classmethod
    def read(cls, given: RawSettings, *, account: str | None = None) -> Self:
        found = super().read(given)
        if found.security == "tls" and not given.get("ALARM_SMTP_PORT"):
            return found.model_copy(update={"port": 465})
        return found


class AlarmSettings(Section):
    """Alarms.

    Where they go (nowhere, unless set), and how late a day may be before one is raised.
    """

    webhook_url: SecretUrl = Field(
        default=None,
        validation_alias="ALARM_WEBHOOK_URL",
        description="told of failures as JSON with a `text`, as Slack-compatible endpoints take it",
        examples=["https://hooks.example.com/services/…"],
    )
    overdue_hours: PositiveNumber = Field(
        default=36,
        validation_alias="ALARM_OVERDUE_HOURS",
        description="alarm when a source has had no good day for so long after its end",
    )
    mail: MailSettings | None = None

    @classmethod
    def read(cls, given: RawSettings, *, account: str | None = None) -> Self:
        if not any(part.strip() for part in given.get("ALARM_EMAIL_TO", "").split(",")):
            return super().read(given)
        if not given.get("ALARM_SMTP_HOST"):
            raise SettingsError("ALARM_EMAIL_TO is set, but ALARM_SMTP_HOST is not.")
        return super().read(given).model_copy(update={"mail": MailSettings.read(given)})
