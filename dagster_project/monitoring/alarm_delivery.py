"""Alarms: what one says, and how it leaves by webhook and by e-mail.

Grain: one message tells of alarms that belong together (the days of one check in one run). It names
source, accounts and days, says what happened, and ends with the commands that mend it. The webhook
gets JSON whose ``text`` Slack-compatible endpoints show, and an object ``alarm`` for programs.

Neither channel's address is ever shown: a webhook's URL is its password.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final, Protocol

from dagster_project.config.alarm_sections import AlarmSettings, MailSettings
from dagster_project.monitoring.alarm import Alarm
from dagster_project.monitoring.alarm_queue import NotDelivered
from dagster_project.text.remedies import SPANS_SHOWN, acknowledge_alarms, join_commands, spans_text
from dagster_project.text.wording import shorten

TIMEOUT_SECONDS: Final = 10.0
LONGEST_TEXT: Final = 1500
"""Characters of what happened; with the rest of it a message stays below ``LONGEST_BODY``."""
LONGEST_BODY: Final = 10_000
NAMES_SHOWN: Final = 20
DAYS_SHOWN: Final = 60
TEXTS_SHOWN: Final = 10
_SLACK: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_TITLES: Final = {
    "run_failed": "run failed",
    "check_failed": "check failed",
    "overdue": "no data",
}


class Channel(Protocol):
    """Takes a message about alarms that belong together, or raises ``NotDelivered``."""

    name: str

    def deliver(self, alarms: Sequence[Alarm]) -> None: ...


def channels(settings: AlarmSettings) -> list[Channel]:
    """The channels that are configured."""
    found: list[Channel] = []
    if settings.webhook_url is not None:
        found.append(Webhook(settings.webhook_url.get_secret_value()))
    if settings.mail is not None:
        found.append(Mail(settings.mail))
    return found


class Webhook:
    name = "webhook"

    def __init__(self, url: str) -> None:
        self._url = url

    def deliver(self, alarms: Sequence[Alarm]) -> None:
        import requests  # takes a while, and who only reads alarms posts none

        body = {"text": text_of(alarms).translate(_SLACK), "alarm": fields_of(alarms)}
        try:
            reply = requests.post(
                self._url, json=body, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            # Its text quotes the URL.
            raise NotDelivered(f"the webhook cannot be reached ({type(error).__name__})") from None
        if not reply.ok or reply.is_redirect:
            raise NotDelivered(f"the webhook answered {reply.status_code}")


class Mail:
    name = "email"

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    def deliver(self, alarms: Sequence[Alarm]) -> None:
        settings = self._settings
        message = EmailMessage()
        message["Subject"] = title_of(alarms)
        message["From"] = settings.sender
        message["To"] = ", ".join(settings.to)
        raised_at = alarms[0].raised_at
        if raised_at is not None:
            message["Date"] = format_datetime(raised_at)
        # The same at every attempt, so that a repetition can be told from a second alarm.
        message["Message-ID"] = f"<alarm-{alarms[0].alarm_id}@{_domain(settings.sender)}>"
        message.set_content(text_of(alarms))
        try:
            with self._server() as server:
                server.send_message(message)
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(f"the mail server answered {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"the mail was not taken ({type(error).__name__})") from None

    @contextmanager
    def _server(self) -> Iterator[smtplib.SMTP]:
        settings = self._settings
        tls = ssl.create_default_context()
        place = settings.host, settings.port
        server = (
            smtplib.SMTP_SSL(*place, timeout=TIMEOUT_SECONDS, context=tls)
            if settings.security == "tls"
            else smtplib.SMTP(*place, timeout=TIMEOUT_SECONDS)
        )
        with server:
            if settings.security == "starttls":
                server.starttls(context=tls)
            if settings.username and settings.password is not None:
                server.login(settings.username, settings.password.get_secret_value())
            yield server


def title_of(alarms: Sequence[Alarm]) -> str:
    """``source: run failed, account 101, 2024-04-01..2024-04-03``."""
    sources = list(dict.fromkeys(alarm.source for alarm in alarms))
    parts = [f"{', '.join(sources)}: {_TITLES[alarms[0].kind]}"]
    accounts = _accounts(alarms)
    if accounts:
        parts.append(f"account {', '.join(shorten(accounts, NAMES_SHOWN))}")
    days = _days(alarms)
    if days:
        parts.append(spans_text(days))
    return ", ".join(parts)


def text_of(alarms: Sequence[Alarm]) -> str:
    """The message for people."""
    lines = [title_of(alarms), *_whats(alarms)]
    commands = _hints(alarms)
    if commands:
        lines += ["Way out:", *commands]
    known = [alarm.alarm_id for alarm in alarms if alarm.alarm_id]
    if known:
        lines.append(f"To leave it as it is: {acknowledge_alarms(known[:NAMES_SHOWN])}")
    if alarms[0].run_id:
        lines.append(f"Run {alarms[0].run_id}")
    return "\n".join(lines)


def fields_of(alarms: Sequence[Alarm]) -> dict[str, Any]:
    """The message for programs; ``ids`` tell a repetition. Of many days the newest are listed."""
    first = alarms[0]
    days = _days(alarms)
    return {
        "ids": [alarm.alarm_id for alarm in alarms][:NAMES_SHOWN],
        "kind": first.kind,
        "severity": first.severity,
        "source": first.source,
        "accounts": shorten(_accounts(alarms), NAMES_SHOWN),
        "days": [day.isoformat() for day in days[-DAYS_SHOWN:]],
        "days_count": len(days),
        "what": _whats(alarms),
        "way_out": _hints(alarms),
        "run_id": first.run_id,
        "raised_at": first.raised_at.isoformat() if first.raised_at else None,
    }


def _whats(alarms: Sequence[Alarm]) -> list[str]:
    """What happened, each text once, up to a length that a chat shows."""
    texts = shorten(list(dict.fromkeys(alarm.what for alarm in alarms)), TEXTS_SHOWN)
    found: list[str] = []
    left = LONGEST_TEXT
    for text in texts:
        if left <= 0:
            break
        found.append(text if len(text) <= left else f"{text[:left]} …")
        left -= len(text)
    return found


def _accounts(alarms: Sequence[Alarm]) -> list[str]:
    return sorted({account for alarm in alarms for account in alarm.accounts})


def _days(alarms: Sequence[Alarm]) -> list[date]:
    return sorted({day for alarm in alarms for day in alarm.days})


def _hints(alarms: Sequence[Alarm]) -> list[str]:
    """Commands of all of them; those that load neighbouring days are joined."""
    return join_commands(line for alarm in alarms for line in alarm.hint)[:SPANS_SHOWN]


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2].rstrip(">") or "localhost"
