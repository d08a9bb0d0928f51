"""Every setting, read once from the environment (or ``.env``), typed and validated.

A source without credentials is ``None`` here and left out everywhere. Secrets are
``pydantic.SecretStr``: they do not print, log or pickle as text by accident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from dagster_project.config.environment import read_environment
from dagster_project.errors import SettingsError

DEFAULT_HOME = ".warehouse"
LARGEST_ID = 2**63 - 1
"""What a ``bigint`` holds."""
LARGEST_NUMBER = 2**31 - 1


@dataclass(frozen=True)
class CalltouchSite:
    """One Calltouch project. ``daily_points`` is ``None`` where the budget is not bounded."""

    site_id: int
    token: SecretStr
    time_zone: ZoneInfo
    daily_points: int | None


@dataclass(frozen=True)
class CalltouchSettings:
    base_url: str
    result_path: str
    sites: tuple[CalltouchSite, ...]
    time_zone: ZoneInfo
    requests_per_second: float
    settle_days: int


@dataclass(frozen=True)
class TellodySettings:
    base_url: str
    payments_url: str
    username: SecretStr
    password: SecretStr
    account: str
    time_zone: ZoneInfo
    currency: str | None
    settle_days: int = 3


@dataclass(frozen=True)
class TrustSettings:
    base_url: str
    auth_url: str
    client_id: SecretStr
    client_secret: SecretStr
    company_ids: tuple[int, ...]
    time_zone: ZoneInfo
    range_params: tuple[str, str]
    settle_days: int = 7


@dataclass(frozen=True)
class MailSettings:
    """How alarms leave by e-mail. ``security``: ``starttls``, ``tls`` from the first byte, or ``none``."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int
    username: str | None
    password: SecretStr | None
    security: str


@dataclass(frozen=True)
class AlarmSettings:
    """Where alarms go (nowhere, unless set), and how late a day may be before one is raised."""

    webhook_url: SecretStr | None = None
    mail: MailSettings | None = None
    overdue_hours: int = 36


@dataclass(frozen=True)
class RetentionSettings:
    """How many days are kept: of stored responses, of receipts, of Dagster's log, of personal data."""

    raw_days: int = 30
    receipt_days: int = 400
    dagster_days: int = 90
    pii_days: int = 90


@dataclass(frozen=True)
class Settings:
    """All of it. ``warehouse_url`` is ``None`` for the embedded Postgres under ``home``.

    A day of at least ``hold_from_rows`` rows that comes back with less than ``hold_below_share`` of
    them is held; a share of 0 holds none. Of a first load up to ``rejects_above_records`` records, or
    up to ``rejects_above_share`` of them, may be rejected. ``reconcile_months``: finished months of an
    account that are compared with the vendor in a day at most, a call each. ``ui_hosts``: names that
    Dagster's UI goes by besides those of loopback.
    """

    home: Path
    warehouse_url: SecretStr | None
    start_date: date
    range_days: int
    pii_hash_key: SecretStr | None
    calltouch: CalltouchSettings | None = None
    tellody: TellodySettings | None = None
    trust: TrustSettings | None = None
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dagster_url: SecretStr | None = None
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    hold_below_share: float = 0.5
    hold_from_rows: int = 1000
    rejects_above_records: int = 10
    rejects_above_share: float = 0.01
    reconcile_months: int = 3
    ui_hosts: tuple[str, ...] = ()

    @property
    def embedded(self) -> bool:
        return self.warehouse_url is None


def load_settings(
    environment: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> Settings:
    """Read every setting; the environment wins over the ``.env`` file.

    Raises:
        SettingsError: a value is malformed, or ``WAREHOUSE_URL`` is set without ``PII_HASH_KEY``.
    """
    return _Reader(read_environment(environment, dotenv)).settings()


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this very machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bounded(digits: str) -> int:
    """A number of any length, as far as it matters that it is too large."""
    return int(digits.lstrip("0")[:20] or "0")


class _Reader:
    """Turns strings into settings, and names the setting in every complaint."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = given
        self.missing: dict[str, tuple[str, ...]] = {}

    def settings(self) -> Settings:
        url = self.secret("WAREHOUSE_URL")
        key = self.secret("PII_HASH_KEY")
        if url is not None and key is None:
            raise SettingsError(
                "PII_HASH_KEY is not set, and WAREHOUSE_URL is.",
                way_out="set PII_HASH_KEY to a long random text and keep it: pseudonyms depend on it.",
            )
        if key is not None and len(key.get_secret_value()) < 16:
            raise SettingsError(
                "PII_HASH_KEY is shorter than 16 characters.", way_out="use a long random text."
            )
        return Settings(
            home=Path(self.text("WAREHOUSE_HOME", DEFAULT_HOME)).expanduser().resolve(),
            warehouse_url=url,
            start_date=self.day("WAREHOUSE_START_DATE", "2024-01-01"),
            range_days=self.integer("WAREHOUSE_RANGE_DAYS", "366") or 1,
            hold_below_share=self.share("WAREHOUSE_HOLD_BELOW_SHARE", "0.5"),
            hold_from_rows=self.integer("WAREHOUSE_HOLD_FROM_ROWS", "1000"),
            rejects_above_records=self.integer("WAREHOUSE_REJECTS_ABOVE_RECORDS", "10"),
            rejects_above_share=self.share("WAREHOUSE_REJECTS_ABOVE_SHARE", "0.01"),
            reconcile_months=self.integer("WAREHOUSE_RECONCILE_MONTHS", "3"),
            pii_hash_key=key,
            calltouch=self.calltouch(),
            tellody=self.tellody(),
            trust=self.trust(),
            missing=self.missing,
            dagster_url=self.secret("DAGSTER_URL"),
            alarms=self.alarms(),
            retention=self.retention(),
            ui_hosts=self.hosts("WAREHOUSE_UI_HOSTS"),
        )

    def calltouch(self) -> CalltouchSettings | None:
        sites = self.integers("CALLTOUCH_SITE_IDS")
        absent = [] if sites else ["CALLTOUCH_SITE_IDS"]
        token = self.secret("CALLTOUCH_ACCESS_TOKEN")
        if token is None:
            absent += [
                f"CALLTOUCH_ACCESS_TOKEN_{site}"
                for site in sites
                if self.secret(f"CALLTOUCH_ACCESS_TOKEN_{site}") is None
            ]
            if not sites:
                absent.append("CALLTOUCH_ACCESS_TOKEN")
        if absent:
            if sites and len(absent) < len(sites):
                raise SettingsError(
                    f"{', '.join(absent)}: not set, and neither is CALLTOUCH_ACCESS_TOKEN.",
                    source="calltouch",
                    way_out="set a token for each site, or one for all.",
                )
            self.missing["calltouch"] = tuple(absent)
            return None
        return CalltouchSettings(
            base_url=self.url("CALLTOUCH_BASE_URL", "https://api.calltouch.ru"),
            result_path=self.text(
                "CALLTOUCH_RESULT_PATH", "/lead-service/v1/api/sms-to-clients/result"
            ),
            sites=tuple(self.site(site) for site in sites),
            time_zone=self.zone("CALLTOUCH_TIMEZONE", "Europe/Moscow"),
            requests_per_second=self.number("CALLTOUCH_REQUESTS_PER_SECOND", "5"),
            settle_days=self.integer("CALLTOUCH_SETTLE_DAYS", "7"),
        )

    def site(self, site_id: int) -> CalltouchSite:
        def name(setting: str) -> str:
            own = f"{setting}_{site_id}"
            return own if self.given.get(own) else setting

        points_name = name("CALLTOUCH_DAILY_POINTS")
        token = self.secret(name("CALLTOUCH_ACCESS_TOKEN"))
        assert token is not None
        return CalltouchSite(
            site_id=site_id,
            token=token,
            time_zone=self.zone(name("CALLTOUCH_TIMEZONE"), "Europe/Moscow"),
            daily_points=self.integer(points_name, "0") if self.given.get(points_name) else None,
        )

    def tellody(self) -> TellodySettings | None:
        username, password = self.secret("TELLODY_USERNAME"), self.secret("TELLODY_PASSWORD")
        if username is None or password is None:
            self._note_missing("tellody", "TELLODY_USERNAME", "TELLODY_PASSWORD")
            return None
        base_url = self.url("TELLODY_BASE_URL", "https://app.tellody.com")
        return TellodySettings(
            base_url=base_url,
            payments_url=self.url("TELLODY_PAYMENTS_URL", base_url),
            username=username,
            password=password,
            account=self.text("TELLODY_ACCOUNT", "main"),
            time_zone=self.zone("TELLODY_TIMEZONE", "Europe/Athens"),
            currency=self.given.get("TELLODY_CURRENCY") or None,
            settle_days=self.integer("TELLODY_SETTLE_DAYS", "3"),
        )

    def trust(self) -> TrustSettings | None:
        client_id, secret = self.secret("TRUST_CLIENT_ID"), self.secret("TRUST_CLIENT_SECRET")
        companies = self.integers("TRUST_COMPANY_IDS")
        if client_id is None or secret is None or not companies:
            self._note_missing(
                "trust", "TRUST_CLIENT_ID", "TRUST_CLIENT_SECRET", "TRUST_COMPANY_IDS"
            )
            return None
        names = tuple(
            part.strip()
            for part in self.text("TRUST_RANGE_PARAMS", "start_date,end_date").split(",")
        )
        if len(names) != 2 or not all(names):
            raise SettingsError(
                "TRUST_RANGE_PARAMS is not two names.", way_out="write it as start_date,end_date"
            )
        return TrustSettings(
            base_url=self.url("TRUST_BASE_URL", "https://api.trust.lat"),
            auth_url=self.url("TRUST_AUTH_URL", "https://atenea.trust.lat"),
            client_id=client_id,
            client_secret=secret,
            company_ids=companies,
            time_zone=self.zone("TRUST_TIMEZONE", "America/Santiago"),
            range_params=(names[0], names[1]),
            settle_days=self.integer("TRUST_SETTLE_DAYS", "7"),
        )

    def alarms(self) -> AlarmSettings:
        url = self.secret("ALARM_WEBHOOK_URL")
        if url is not None:
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise SettingsError(
                    "ALARM_WEBHOOK_URL is not a URL.", way_out="write it as https://host/path"
                )
            self._refuse_plain("ALARM_WEBHOOK_URL", parts)
        return AlarmSettings(
            webhook_url=url,
            mail=self.mail(),
            overdue_hours=self.positive("ALARM_OVERDUE_HOURS", "36"),
        )

    def mail(self) -> MailSettings | None:
        to = tuple(part.strip() for part in self.given.get("ALARM_EMAIL_TO", "").split(","))
        to = tuple(filter(None, to))
        if not to:
            return None
        host, username = self.given.get("ALARM_SMTP_HOST"), self.given.get("ALARM_SMTP_USERNAME")
        if not host:
            raise SettingsError("ALARM_EMAIL_TO is set, and ALARM_SMTP_HOST is not.")
        security = self.text("ALARM_SMTP_SECURITY", "starttls").lower()
        if security not in ("starttls", "tls", "none"):
            raise SettingsError(
                "ALARM_SMTP_SECURITY is none of the three.", way_out="use starttls, tls or none."
            )
        addresses = (*to, self.text("ALARM_SMTP_FROM", username or to[0]))
        if not all("@" in one and one.isprintable() for one in addresses):
            raise SettingsError(
                "ALARM_EMAIL_TO or ALARM_SMTP_FROM is not an e-mail address.",
                way_out="write them as name@host, several with commas.",
            )
        return MailSettings(
            to=to,
            sender=addresses[-1],
            host=host,
            port=self.positive("ALARM_SMTP_PORT", "465" if security == "tls" else "587"),
            username=username or None,
            password=self.secret("ALARM_SMTP_PASSWORD"),
            security=security,
        )

    def retention(self) -> RetentionSettings:
        return RetentionSettings(
            raw_days=self.positive("RAW_RETENTION_DAYS", "30"),
            receipt_days=self.positive("RECEIPT_RETENTION_DAYS", "400"),
            dagster_days=self.positive("DAGSTER_RETENTION_DAYS", "90"),
            pii_days=self.positive("PII_RETENTION_DAYS", "90"),
        )

    def _note_missing(self, source: str, *names: str) -> None:
        self.missing[source] = tuple(name for name in names if not self.given.get(name))

    def text(self, name: str, default: str) -> str:
        return self.given.get(name) or default

    def secret(self, name: str) -> SecretStr | None:
        value = self.given.get(name)
        return SecretStr(value) if value else None

    def url(self, name: str, default: str) -> str:
        value = self.text(name, default).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{name} is not a URL.", way_out="write it as https://host")
        if parts.username or parts.password:
            raise SettingsError(
                f"{name} carries credentials.", way_out="use the settings made for them."
            )
        self._refuse_plain(name, parts)
        return value

    def _refuse_plain(self, name: str, parts: SplitResult) -> None:
        """Without TLS credentials and personal data could be read on their way."""
        if parts.scheme == "https" or is_loopback(parts.hostname or ""):
            return
        if not self.yes("ALLOW_PLAIN_HTTP", "no"):
            raise SettingsError(
                f"{name} is http:// to another host: credentials and personal data would travel"
                " readable by anybody on the way.",
                way_out="write it as https://, or set ALLOW_PLAIN_HTTP=yes where the network is yours.",
            )

    def yes(self, name: str, default: str) -> bool:
        value = self.text(name, default).lower()
        if value not in ("yes", "no"):
            raise SettingsError(f"{name} is neither yes nor no: {value[:40]!r}.")
        return value == "yes"

    def zone(self, name: str, default: str) -> ZoneInfo:
        value = self.text(name, default)
        try:
            return ZoneInfo(value)
        except (OSError, ValueError, KeyError) as error:
            raise SettingsError(
                f"{name}: no time zone is called {value!r}.",
                way_out="use a name like Europe/Moscow",
            ) from error

    def integer(self, name: str, default: str) -> int:
        value = self.text(name, default)
        if not value.isdecimal():
            raise SettingsError(f"{name} is not a whole number: {value[:40]!r}.")
        if (number := _bounded(value)) > LARGEST_NUMBER:
            raise SettingsError(f"{name} is larger than {LARGEST_NUMBER}: {value[:40]}.")
        return number

    def positive(self, name: str, default: str) -> int:
        number = self.integer(name, default)
        if number < 1:
            raise SettingsError(f"{name} must be at least 1.")
        return number

    def number(self, name: str, default: str) -> float:
        value = self.text(name, default)
        try:
            number = float(value)
        except ValueError as error:
            raise SettingsError(f"{name} is not a number: {value!r}.") from error
        if not 0 < number < float("inf"):
            raise SettingsError(f"{name} must be above 0: {value!r}.")
        return number

    def share(self, name: str, default: str) -> float:
        value = self.text(name, default)
        try:
            share = float(value)
        except ValueError as error:
            raise SettingsError(f"{name} is not a number: {value!r}.") from error
        if not 0 <= share <= 1:
            raise SettingsError(f"{name} must be from 0 to 1: {value!r}.")
        return share

    def hosts(self, name: str) -> tuple[str, ...]:
        parts = [part.strip().lower() for part in self.given.get(name, "").split(",")]
        if not all(re.fullmatch(r"[a-z0-9.-]*|\[[0-9a-f:.]+\]", part) for part in parts):
            raise SettingsError(
                f"{name} is not a list of hosts' names.",
                way_out="write it as warehouse.example.com,10.0.0.5, without scheme and port.",
            )
        return tuple(filter(None, parts))

    def integers(self, name: str) -> tuple[int, ...]:
        parts = [part.strip() for part in self.given.get(name, "").split(",") if part.strip()]
        if not all(part.isdecimal() for part in parts):
            raise SettingsError(
                f"{name} is not a list of whole numbers.", way_out="write it as 101,102"
            )
        ids = tuple(_bounded(part) for part in parts)
        for written, number in zip(parts, ids, strict=True):
            if not 0 < number <= LARGEST_ID:
                raise SettingsError(
                    f"{name}: {written[:40]} is not a number from 1 to 2^63 - 1.",
                    way_out="copy the number from the vendor's account.",
                )
        if len(set(ids)) != len(ids):
            raise SettingsError(f"{name} names one twice.")
        return ids

    def day(self, name: str, default: str) -> date:
        value = self.text(name, default)
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise SettingsError(
                f"{name} is not a day: {value!r}.", way_out="write it as 2024-01-01"
            ) from error
