"""The sections of the settings that belong to no vendor, and the list of all sections."""

from __future__ import annotations

import pkgutil
from datetime import date
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from dagster_project.config.alarm_sections import AlarmSettings, MailSettings
from dagster_project.config.project import DEFAULT_HOME, ENV_FILE
from dagster_project.config.section import PLAIN_HTTP, Section, VendorSettings
from dagster_project.config.values import (
    Hosts,
    InvalidSetting,
    Owners,
    PositiveNumber,
    Share,
    WholeNumber,
    YesNo,
)

SHORTEST_KEY: Final = 16
VENDORS: Final = Path(__file__).resolve().parents[1] / "vendors"


def _parse_home(text: object) -> object:
    return Path(text).expanduser().resolve() if isinstance(text, str | Path) else text


def _parse_day(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidSetting(f" is not a day: {text[:40]!r}.", "write it as 2024-01-01") from None


def _check_key(key: object) -> object:
    if isinstance(key, str) and len(key) < SHORTEST_KEY:
        raise InvalidSetting(
            f" is shorter than {SHORTEST_KEY} characters.", "use a long random text."
        )
    return key


class WarehouseSettings(Section):
    """The warehouse.

    Embedded under ``home``, unless ``warehouse_url`` names a server.

    A day of at least ``hold_from_rows`` rows that comes back with less than ``hold_below_share`` of
    them is held; a share of 0 holds none. Of a first load up to ``rejects_above_records`` records, or
    up to ``rejects_above_share`` of them, may be rejected. ``reconcile_months``: finished months of an
    account that are compared with the vendor in a day at most, a call each. ``ui_hosts``: names that
    Dagster's UI goes by besides those of loopback. ``owners``: whom it names on every asset.
    """

    warehouse_url: SecretStr | None = Field(
        default=None,
        validation_alias="WAREHOUSE_URL",
        description="`postgresql://user:password@host/database`, PostgreSQL 15 or later; TLS is verified unless the URL says otherwise. Not set: the embedded Postgres",
        examples=["postgresql://user:password@host:5432/warehouse"],
    )
    dagster_url: SecretStr | None = Field(
        default=None,
        validation_alias="DAGSTER_URL",
        description="Dagster's own storage, as `postgresql+psycopg2://…`; not set: `<database>_dagster` beside the warehouse",
        examples=["postgresql+psycopg2://user:password@host:5432/warehouse_dagster"],
    )
    home: Annotated[Path, BeforeValidator(_parse_home)] = Field(
        default=Path(DEFAULT_HOME),
        validation_alias="WAREHOUSE_HOME",
        description="embedded Postgres, its secrets, Dagster's home; with any server the number of the newest erasure, by which an older copy of the database is known: keep it. A path in"
        " `.env` starts from that file's folder. Not set: `.warehouse` in the project, wherever a command is"
        " called. `WAREHOUSE_ENV_FILE`, in the environment alone, names another file than the project's `.env`",
    )
    start_date: Annotated[date, BeforeValidator(_parse_day)] = Field(
        default=date(2024, 1, 1),
        validation_alias="WAREHOUSE_START_DATE",
        description="first partition",
    )
    range_days: WholeNumber = Field(
        default=366,
        validation_alias="WAREHOUSE_RANGE_DAYS",
        description="days a backfill run takes at most",
    )
    hold_below_share: Share = Field(
        default=0.5,
        validation_alias="WAREHOUSE_HOLD_BELOW_SHARE",
        description="a day that comes back with less than this share of its rows is held: its old rows stay, its check fails, `--accept-shrink` (in the launchpad `accept_shrink: true`) takes it; `0` holds none for this reason",
    )
    hold_from_rows: WholeNumber = Field(
        default=1000,
        validation_alias="WAREHOUSE_HOLD_FROM_ROWS",
        description="only days of at least so many rows are held for that",
    )
    rejects_above_records: WholeNumber = Field(
        default=10,
        validation_alias="WAREHOUSE_REJECTS_ABOVE_RECORDS",
        description="a run that loads a day for the first time ends with 1, and the day's check `readable` fails, where more records than this are rejected, and more than the next line's share; or all of them. What can be read is loaded. A day that stands is [held](operating.md#held-days) instead",
    )
    rejects_above_share: Share = Field(
        default=0.01,
        validation_alias="WAREHOUSE_REJECTS_ABOVE_SHARE",
        description="the share",
    )
    reconcile_months: WholeNumber = Field(
        default=3,
        validation_alias="WAREHOUSE_RECONCILE_MONTHS",
        description="finished months of an account that are compared with the vendor in a day at most, one call each; `0`: none",
    )
    ui_hosts: Hosts = Field(
        default=(),
        validation_alias="WAREHOUSE_UI_HOSTS",
        description="names, a comma list, under which browsers reach Dagster's UI, besides `localhost` and `127.0.0.1`; any other `Host` is refused",
    )
    owners: Owners = Field(
        default=(),
        validation_alias="WAREHOUSE_OWNERS",
        description="who owns the data, a comma list of e-mail addresses and `team:…`, shown on every asset in Dagster's UI; not set: nobody is named",
        examples=["data@example.com,team:marketing"],
    )
    allow_plain_http: YesNo = Field(
        default=False,
        validation_alias=PLAIN_HTTP,
        description="`yes`: a vendor's or the webhook's URL may be `http://` to another host than this one; else it is refused, since credentials and personal data would travel in the clear",
    )
    pii_hash_key: Annotated[SecretStr | None, BeforeValidator(_check_key)] = Field(
        default=None,
        validation_alias="PII_HASH_KEY",
        description="key of the pseudonyms, a long random text; required with `WAREHOUSE_URL`, made once if embedded; keep it",
    )

    @field_validator("range_days", mode="after")
    @classmethod
    def _at_least_one(cls, days: int) -> int:
        return days or 1

    @property
    def embedded(self) -> bool:
        return self.warehouse_url is None


class RetentionSettings(Section):
    """How long things are kept, in days.

    Of stored responses, of receipts, of Dagster's log, of personal data.
    """

    raw_days: PositiveNumber = Field(
        default=30,
        validation_alias="RAW_RETENTION_DAYS",
        description="stored responses, in days; the newest complete one of a loaded day stays longer",
    )
    pii_days: PositiveNumber = Field(
        default=90,
        validation_alias="PII_RETENTION_DAYS",
        description="after so many days texts, responses and rejects are reduced",
    )
    receipt_days: PositiveNumber = Field(
        default=400,
        validation_alias="RECEIPT_RETENTION_DAYS",
        description="receipts and extractions, in days",
    )
    dagster_days: PositiveNumber = Field(
        default=90,
        validation_alias="DAGSTER_RETENTION_DAYS",
        description="Dagster's event log, in days",
    )


class ProgramSettings(Section):
    """Of single commands.

    The log's form, the new key of a rekey, the login of BI.
    """

    log_format: str = Field(
        default="text",
        validation_alias="WAREHOUSE_LOG_FORMAT",
        description="`json`: one line of JSON on standard error for each window and problem ([fields](deployment.md))",
    )
    new_key: SecretStr | None = Field(
        default=None,
        validation_alias="PII_HASH_KEY_NEW",
        description="of `warehouse rekey` alone: the key that takes its place",
    )
    bi_url: SecretStr | None = Field(
        default=None,
        validation_alias="WAREHOUSE_BI_URL",
        description="of `make bi` alone: the BI role's URL, where `WAREHOUSE_URL` names a server of yours",
        examples=["postgresql://warehouse_bi:password@host:5432/warehouse"],
    )
    superset_port: str = Field(
        default="8088",
        validation_alias="SUPERSET_PORT",
        description="of `make bi` alone",
    )


OWN_SECTIONS: Final[tuple[type[Section], ...]] = (
    WarehouseSettings,
    AlarmSettings,
    MailSettings,
    RetentionSettings,
    ProgramSettings,
)
INTERNAL_NAMES: Final = frozenset(
    {
        *("WAREHOUSE_CLOCK_FILE", "WAREHOUSE_DAGSTER_STORAGE_URL", "WAREHOUSE_SUPERSET"),
        *("WAREHOUSE_BROKER_URL", "WAREHOUSE_RESULTS_URL", "WAREHOUSE_DATABASE", "WAREHOUSE_TAG"),
        ENV_FILE,
    }
)
"""Names that the program, its image or its tests set for themselves; they are no settings."""


@cache
def vendor_sections() -> tuple[type[VendorSettings], ...]:
    """The settings of every vendor: ``SETTINGS`` of ``settings.py`` in each folder of ``vendors/``."""
    names = sorted(one.name for one in pkgutil.iter_modules([str(VENDORS)]) if one.ispkg)
    modules = (import_module(f"dagster_project.vendors.{name}.settings") for name in names)
    return tuple(module.SETTINGS for module in modules)
