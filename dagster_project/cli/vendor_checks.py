"""What the doctor asks of vendors: their credentials, their clocks, and what single sources have to say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests

from dagster_project.config.settings import Settings
from dagster_project.errors import WarehouseError
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed, VendorClient
from dagster_project.model.finding import Finding
from dagster_project.model.response import ExtractStats
from dagster_project.monitoring.mending import Ledger
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.vendor_store import WarehouseStore

VENDOR_CLOCK_SECONDS = 120.0


def failed(about: str, error: WarehouseError) -> Finding:
    return Finding(about, "wrong", error.what, error.hint or error.recovery)


def clock_finding(whose: str, off: float, bound: float) -> Finding:
    text = f"{whose} and this machine's differ by {abs(off):.1f} s."
    if abs(off) <= bound:
        return Finding("clock", "good", text)
    return Finding("clock", "wrong", text, "set both by NTP: days and points hang on it.")


def credentials(ledger: Ledger) -> Iterator[Finding]:
    for feed in FEEDS:
        if feed.accounts(ledger.settings):
            client = feed.client(ledger.settings, WarehouseStore(ledger.warehouse))
            with closing(client):
                yield from _lets_in(feed, ledger.settings, client)


def _lets_in(feed: Feed, settings: Settings, client: VendorClient) -> Iterator[Finding]:
    """Each account where the vendor refuses by account; else one sign-in stands for all."""
    each = feed.check.each_account
    accounts = feed.accounts(settings)
    for account in accounts if each else accounts[:1]:
        who = f"{feed.source} {account.label}" if each else feed.source
        stats = ExtractStats()
        try:
            feed.check.ask(client, account, stats)
        except WarehouseError as error:
            yield failed(who, error)
            continue
        cost = f"{pluralize(stats.requests, 'request')}, {pluralize(stats.points, 'point')}"
        asked = cost if stats.requests else "signed in already"
        yield Finding(who, "good", f"the vendor accepts the credentials ({asked}).")


def inspections(ledger: Ledger) -> Iterator[Finding]:
    """What single sources have to say beside their credentials."""
    for feed in FEEDS:
        section = ledger.settings.section(feed.settings)
        if feed.inspect is not None and section is not None:
            yield from feed.inspect(section, WarehouseStore(ledger.warehouse))


def vendor_clocks(ledger: Ledger) -> Iterator[Finding]:
    """By the Date header of any answer; no credential is sent along."""
    for section in ledger.settings.vendors.values():
        vendor, url = section.title, section.base_url
        try:
            before = time.time()
            reply = requests.head(url, timeout=10, allow_redirects=False)
            said = parsedate_to_datetime(reply.headers["Date"]).timestamp()
        except (requests.RequestException, KeyError, ValueError) as error:
            text = f"{urlsplit(url).hostname} does not tell its time ({type(error).__name__})."
            yield Finding("clock", "note", text)
            continue
        off = said + 0.5 - (before + time.time()) / 2
        yield clock_finding(f"{vendor}'s clock", off, VENDOR_CLOCK_SECONDS)
