"""The dashboard in a real browser, over the demo: every figure that it shows against the rows (``make bi-test``).

``BI_TEST_HOME`` names the ``WAREHOUSE_HOME`` of a demo that stands already, which saves loading one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.server import embedded
from tests.support.browser import browsing
from tests.support.superset import Dashboard, serving

pytestmark = [pytest.mark.superset, pytest.mark.timeout(1800)]

LOADS = 20
SMS, PEOPLE, TELLODY, TRUST = "SMS (Calltouch)", "People and hours (Calltouch)", "Tellody", "Trust"
STRONG, PALE = (0x2F, 0x9E, 0x6E), (0xB5, 0xE0, 0xCB)


@dataclass
class Shown:
    """The dashboard, and the demo's warehouse below it."""

    dashboard: Dashboard
    warehouse: Warehouse
    home: Path
    first: date
    after: date

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Values by their place, or one mapping of values by name."""
        named = values[0] if values and isinstance(values[0], dict) else values
        with self.warehouse.connect_admin() as connection:
            return connection.execute(query.encode(), named).fetchall()

    def row(self, query: str, *values: Any) -> tuple[Any, ...]:
        [found] = self.rows(query, *values)
        return found

    def replay(self, day: date, site: str) -> None:
        """Build a site's day again from its stored responses."""
        days = ("--from", str(day), "--to", str(day))
        run(self.home, "--demo", "replay", "--source", "calltouch", "--account", site, *days)

    def open(self, **chosen: tuple[str, str]) -> None:
        """With the range of days, and other filters: name to column and value."""
        days = f"'{self.first} : {self.after}'"
        masks = {"days": (f"(time_range:{days})", days)}
        for name, (column, value) in chosen.items():
            masks[name] = (
                f"(filters:!((col:{column},op:IN,val:!('{value}'))))",
                f"!('{value}')",
            )
        self.dashboard.open(masks)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("superset")
    standing = os.environ.get("BI_TEST_HOME")
    home = Path(standing) if standing else folder / "home"
    demo = home.with_name(f"{home.name}-demo")
    # Its first start prints the administrator's password.
    assert not (demo / "superset").exists(), f"remove {demo / 'superset'} first"
    if not standing:
        run(home, "demo")
    warehouse = Warehouse.on_server(embedded.ensure_running(demo))
    try:
        with serving(home, folder) as (url, password), browsing(folder) as browser:
            with warehouse.connect_admin() as connection:
                found = connection.execute("SELECT max(day) FROM bi.messaging_day").fetchone()
            assert found is not None
            last = found[0]
            yield Shown(
                Dashboard(browser, url, password), warehouse, home,
                last - timedelta(days=24), last - timedelta(days=9),
            )  # fmt: skip
    finally:
        if not standing:
            embedded.stop(demo)


def run(home: Path, *arguments: str) -> None:
    subprocess.run(
        [Path(sys.executable).with_name("warehouse"), *arguments],
        env={**os.environ, "WAREHOUSE_HOME": str(home)},
        check=True,
    )


def whole(number: Any) -> str:
    return "not reported" if number is None else f"{number:,}"


def share(part: Any, of: Any) -> str:
    return "not reported" if part is None or not of else f"{100 * part / of:.1f} %"


def messages(shown: Shown, condition: str = "true") -> dict[str, str]:
    """What the tiles of messages should say, by their titles."""
    attempted, delivered, failed, reported = shown.row(
        "SELECT sum(attempted), sum(delivered), sum(failed),"
        " sum(CASE WHEN delivered IS NOT NULL THEN attempted END) FROM bi.messaging_day"
        f" WHERE settled AND day >= %s AND day < %s AND {condition}",
        shown.first,
        shown.after,
    )
    return {
        "Attempted": whole(attempted),
        "Received": whole(delivered),
        "Failed": whole(failed),
        "Received ÷ attempted": share(delivered, reported),
        "Final rate": share(delivered, None if delivered is None else delivered + failed),
        "No receipt": whole(None if delivered is None else reported - delivered - failed),
    }


def sms(shown: Shown, condition: str = "true") -> dict[str, str]:
    """What the tiles of SMS should say, from the rows themselves."""
    attempted, delivered, failed, segments = shown.row(
        "SELECT count(*), count(*) FILTER (WHERE s.outcome = 'delivered'),"
        " count(*) FILTER (WHERE s.outcome = 'failed'), sum(s.segments)"
        " FROM warehouse.calltouch_sms s JOIN ops.day_state d ON d.source = 'calltouch'"
        " AND d.account = s.site_id::text AND d.day = s.sent_on AND d.settled"
        f" WHERE s.sent_on >= %s AND s.sent_on < %s AND {condition}",
        shown.first,
        shown.after,
    )
    return {
        "SMS attempted": whole(attempted),
        "Segments": whole(segments),
        "Segments per SMS received": f"{segments / delivered:,.2f}",
        "Received ÷ attempted": share(delivered, attempted),
        "Final rate": share(delivered, delivered + failed),
        "Failed": whole(failed),
    }


def number(text: str) -> int:
    return int(text.replace(",", "")) if text != "not reported" else 0


def tile(answers: dict[str, list[dict[str, Any]]], title: str) -> list[dict[str, Any]]:
    [rows] = [rows for name, rows in answers.items() if name.startswith(title)]
    return rows


def total(rows: list[dict[str, Any]], *names: str) -> int:
    return sum(int(row[name] or 0) for row in rows for name in names)


@pytest.mark.parametrize("vendor", ["", "calltouch", "tellody", "trust"])
def test_the_overview_equals_the_rows_and_itself(shown: Shown, vendor: str) -> None:
    shown.open(**({"vendor": ("vendor", vendor)} if vendor else {}))
    condition = f"vendor = '{vendor}'" if vendor else "true"
    figures, answers = shown.dashboard.figures(), shown.dashboard.answers()
    assert figures == messages(shown, condition)
    for row in tile(answers, "By vendor"):
        told = messages(shown, f"vendor = '{row['vendor']}'")
        assert {name.capitalize(): row[name] for name in ("attempted", "received", "failed")} == {
            name: told[name] for name in ("Attempted", "Received", "Failed")
        }
        assert row["received ÷ attempted"] == told["Received ÷ attempted"]
        assert row["final rate"] == told["Final rate"]
        assert row["no receipt"] == told["No receipt"]
    outcomes = tile(answers, "Outcomes by day")
    settled = [row for row in outcomes if row["not settled: delivered"] is None]
    assert total(outcomes, "delivered") == number(figures["Received"])
    assert total(settled, "failed") <= total(outcomes, "failed") == number(figures["Failed"])
    assert {row["vendor"] for row in tile(answers, "By vendor")} == (
        {vendor} if vendor else {"calltouch", "tellody", "trust"}
    )


@pytest.mark.parametrize(
    ("filters", "condition"),
    [
        ({}, "true"),
        ({"country": ("country", "KZ")}, "s.country = 'KZ'"),
        ({"account": ("account_label", "Smile clinic")}, "s.site_id = 40202"),
    ],
    ids=["all", "country", "account"],
)
def test_every_tile_of_sms_follows_the_filters(
    shown: Shown, filters: dict[str, tuple[str, str]], condition: str
) -> None:
    shown.open(**filters)
    shown.dashboard.go(SMS)
    figures, answers = shown.dashboard.figures(), shown.dashboard.answers()
    assert figures == sms(shown, condition)
    outcomes = tile(answers, "Outcomes by day")
    settled = total(outcomes, "delivered", "failed", "undetermined")
    assert settled == number(figures["SMS attempted"])
    assert total(tile(answers, "Why SMS failed"), "SMS") == number(figures["Failed"])
    countries = tile(answers, "SMS by country")
    assert sum(number(row["attempted"]) for row in countries) == settled
    assert sum(number(row["segments"]) for row in countries) == number(figures["Segments"])
    worst = tile(answers, "The ten worst")
    rates = [float(row["received ÷ attempted"].rstrip(" %")) for row in worst]
    assert rates == sorted(rates)
    if not filters:
        assert len(worst) == 10


def test_a_vendors_tab_says_what_the_overview_says_of_it(shown: Shown) -> None:
    shown.open()
    shown.dashboard.go(TRUST)
    assert shown.dashboard.figures() == messages(shown, "vendor = 'trust'")
    shown.dashboard.go(TELLODY)
    said = shown.dashboard.figures()
    sent, mails, clicks, optouts = shown.row(
        "SELECT sum(t.sms_sent), sum(t.email_sent), sum(t.url_clicks), sum(t.optouts)"
        " FROM warehouse.tellody_activity t JOIN ops.day_state d ON d.source = 'tellody_activity'"
        " AND d.account = t.account AND d.day = t.activity_on AND d.settled"
        " WHERE t.activity_on >= %s AND t.activity_on < %s",
        shown.first,
        shown.after,
    )
    assert said == {
        "SMS sent": whole(sent),
        "E-mails sent": whole(mails),
        "Received": "not reported",
        "Clicks per 1000": f"{1000 * clicks / (sent + mails):,.1f}",
        "Opt-outs per 1000": f"{1000 * optouts / (sent + mails):,.1f}",
    }


def test_people_are_told_by_site_and_hours_as_averages(shown: Shown) -> None:
    shown.open()
    shown.dashboard.go(PEOPLE)
    answers = shown.dashboard.answers()
    for row in tile(answers, "People reached by month and site [not"):
        [people] = shown.row(
            "SELECT count(DISTINCT s.recipient) FROM warehouse.calltouch_sms s"
            " JOIN bi.account a ON a.site_id = s.site_id"
            " WHERE a.account_label = %s AND to_char(s.sent_on, 'YYYY-MM') = left(%s, 7)",
            row["site"],
            row["month"],
        )
        assert row["people"] == whole(people)
    hours = tile(answers, "When SMS are sent")
    [average] = shown.row(
        "SELECT count(*)::numeric / count(DISTINCT s.sent_on) FROM warehouse.calltouch_sms s"
        " WHERE s.sent_on >= %s AND s.sent_on < %s AND extract(isodow FROM s.sent_on) = 3"
        " AND extract(hour FROM s.sent_at AT TIME ZONE 'Europe/Moscow') = 11",
        shown.first,
        shown.after,
    )
    [told] = [row["SMS"] for row in hours if (row["weekday"], row["hour_name"]) == ("3 Wed", "11")]
    assert float(told) == pytest.approx(float(average))


def by_label(shown: Shown) -> dict[tuple[str, str], str]:
    accounts = shown.rows("SELECT vendor, account, account_label FROM bi.account")
    return {(vendor, account): label for vendor, account, label in accounts}


def signed(part: Any, of: Any) -> str:
    percent = (Decimal(100) * part / of - 100).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return f"{percent:+} %"


def reported_sum(days: dict[tuple[date, str], list[Any]], figure: int) -> Any:
    """A figure added up over days of accounts; None where none of them reports it."""
    told = [one[figure] for one in days.values() if one[figure] is not None]
    return sum(told) if told else None


def months_by_hand(shown: Shown, condition: str) -> dict[str, dict[str, str]]:
    """What "Month by month" should say, from the days."""
    rows = shown.rows(
        "SELECT day, vendor || account, bool_and(loaded), sum(attempted), sum(delivered),"
        " sum(failed), sum(CASE WHEN delivered IS NOT NULL THEN attempted END),"
        " bool_and(loaded AND NOT settled)"
        f" FROM bi.messaging_day WHERE {condition} GROUP BY 1, 2"
    )
    days = {(day, account): figures for day, account, *figures in rows}
    told = {}
    for month in sorted({day.replace(day=1) for day, _ in days}):
        here = {key: one for key, one in days.items() if key[0].replace(day=1) == month}
        accounts = {account for _, account in here}
        length = monthrange(month.year, month.month)[1]
        last_month = (month - timedelta(days=1)).replace(day=1)
        loaded, unsettled, comparable, before, year, same = [], [], [], 0, [0, 0], []
        for account in accounts:
            loaded.append(sum(one[0] for key, one in here.items() if key[1] == account))
            unsettled.append(sum(one[5] for key, one in here.items() if key[1] == account))
            earlier = [
                one[1]
                for key, one in days.items()
                if key[1] == account and key[0].replace(day=1) == last_month and one[0]
            ]
            whole_before = len(earlier) == monthrange(last_month.year, last_month.month)[1]
            comparable.append(whole_before and loaded[-1] == length)
            before += sum(filter(None, earlier))
            pairs = [
                (one[1], days[key[0].replace(year=month.year - 1), account][1])
                for key, one in here.items()
                if key[1] == account and (key[0].month, key[0].day) != (2, 29) and one[0]
                and days.get((key[0].replace(year=month.year - 1), account), [False])[0]
            ]  # fmt: skip
            same.append(len(pairs))
            year = [total + sum(pair[n] or 0 for pair in pairs) for n, total in enumerate(year)]
        attempted, delivered, failed, reported = (reported_sum(here, n) for n in (1, 2, 3, 4))
        told[f"{month:%Y-%m}"] = {
            "days loaded": "whole month"
            if set(loaded) == {length}
            else f"part: {min(loaded)} of {length}",
            "days not settled, at most": whole(max(unsettled)),
            "attempted": whole(attempted),
            "received": whole(delivered),
            "received ÷ attempted": share(delivered, reported),
            "final rate": share(
                delivered, None if delivered is None or failed is None else delivered + failed
            ),
            "attempted, against the month before": signed(attempted, before)
            if all(comparable) and before
            else "not comparable",
            "attempted, against the same days a year before": (
                f"{signed(*year)} over {min(same)} days"
                if min(same) and year[1]
                else "not comparable"
            ),
        }
    return told


@pytest.mark.parametrize("vendor", ["", "calltouch", "tellody", "trust"])
def test_months_are_what_their_days_add_up_to(shown: Shown, vendor: str) -> None:
    shown.open(**({"vendor": ("vendor", vendor)} if vendor else {}))
    condition = f"vendor = '{vendor}'" if vendor else "true"
    said = tile(shown.dashboard.answers(), "Month by month")
    assert {row.pop("month"): without_order(row) for row in said} == months_by_hand(
        shown, condition
    )


def without_order(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table without the figure that it is sorted by."""
    return {name: value for name, value in row.items() if name != "order"}


def test_two_filters_at_once_leave_what_both_say(shown: Shown) -> None:
    shown.open(vendor=("vendor", "calltouch"), account=("account_label", "Smile clinic"))
    condition = "vendor = 'calltouch' AND account = '40202'"
    assert shown.dashboard.figures() == messages(shown, condition)
    said = tile(shown.dashboard.answers(), "Month by month")
    assert {row["month"]: row["attempted"] for row in said} == {
        month: row["attempted"] for month, row in months_by_hand(shown, condition).items()
    }
    shown.open(vendor=("vendor", "trust"), account=("account_label", "Smile clinic"))
    assert set(shown.dashboard.figures().values()) == {"no data"}
    shown.open(country=("country", "KZ"), account=("account_label", "Warm Home shop"))
    shown.dashboard.go(SMS)
    assert shown.dashboard.figures() == sms(shown, "s.country = 'KZ' AND s.site_id = 40101")
    countries = tile(shown.dashboard.answers(), "SMS by country")
    assert [row["country"] for row in countries] == ["KZ"]


def test_people_over_all_sites_are_each_counted_once(shown: Shown) -> None:
    shown.open()
    shown.dashboard.go(PEOPLE)
    said = tile(shown.dashboard.answers(), "People reached by month over all sites")
    assert said
    for row in said:
        people, once, four, five, sent = shown.row(
            "SELECT count(*), count(*) FILTER (WHERE n = 1), count(*) FILTER (WHERE n >= 4),"
            " count(*) FILTER (WHERE n >= 5), sum(n) FROM (SELECT count(*) AS n"
            " FROM warehouse.calltouch_sms WHERE to_char(sent_on, 'YYYY-MM') = left(%s, 7)"
            " AND recipient IS NOT NULL GROUP BY recipient) each",
            row["month"],
        )
        assert without_order(row) == {
            "month": row["month"],
            "people": whole(people),
            "with one message": whole(once),
            "with 4 or more messages": whole(four),
            "with 5 or more": whole(five),
            "messages per person": f"{sent / people:,.2f}",
        }


def test_lines_of_tellody_and_trust_are_their_rows(shown: Shown) -> None:
    shown.open()
    shown.dashboard.go(TELLODY)
    said = tile(shown.dashboard.answers(), "Clicks and opt-outs by day")
    rows = shown.rows(
        "SELECT activity_on, sms_sent + email_sent, url_clicks, optouts"
        " FROM warehouse.tellody_activity WHERE activity_on >= %s AND activity_on < %s",
        shown.first,
        shown.after,
    )
    assert len(said) == len(rows) == (shown.after - shown.first).days
    by_day = {day_of(row["day"]): row for row in said}
    for day, sent, clicks, optouts in rows:
        assert float(by_day[day]["clicks per 1000"]) == pytest.approx(1000 * clicks / sent)
        assert float(by_day[day]["optouts per 1000"]) == pytest.approx(1000 * optouts / sent)
    shown.dashboard.go(TRUST)
    said = tile(shown.dashboard.answers(), "Trust by day")
    rows = shown.rows(
        "SELECT stats_on, sum(received), sum(pressed), sum(failed)"
        " FROM warehouse.trust_campaign_statistics"
        " WHERE is_daily AND stats_on >= %s AND stats_on < %s GROUP BY 1",
        shown.first,
        shown.after,
    )
    by_day = {day_of(row["day"]): row for row in said}
    assert len(by_day) == len(rows)
    for day, *figures in rows:
        assert [
            by_day[day][f"{name}, a day"] for name in ("received", "pressed", "failed")
        ] == figures


def day_of(milliseconds: int) -> date:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date()


def test_purchases_are_their_rows(shown: Shown) -> None:
    shown.open()
    shown.dashboard.go(TELLODY)
    said = tile(shown.dashboard.answers(), "Credits bought")
    rows = shown.rows(
        "SELECT to_char(purchased_on, 'YYYY-MM-DD'), sum(credits), sum(amount)"
        " FROM warehouse.tellody_credit_purchase WHERE purchased_on >= %s AND purchased_on < %s"
        " GROUP BY 1 ORDER BY 1 DESC",
        shown.first,
        shown.after,
    )
    assert rows
    assert [
        (row["bought on"], row["credits"], row["amount"], row["price of a credit"]) for row in said
    ] == [
        (day, f"{credits:,.2f}", f"{amount:,.2f}", f"{amount / credits:,.4f}")
        for day, credits, amount in rows
    ]


def test_how_far_the_data_reaches_is_what_the_ledger_says(shown: Shown) -> None:
    shown.open()
    shown.dashboard.go("Data")
    figures, answers = shown.dashboard.figures(), shown.dashboard.answers()
    labels = by_label(shown)
    rows = shown.rows(
        "SELECT source, account, min(day), max(day), count(*) FILTER (WHERE NOT settled)"
        " FROM ops.day_state WHERE source <> 'tellody_purchases' GROUP BY 1, 2"
    )
    [turned] = shown.row(
        "SELECT round((sum(hours_to_final) / nullif(sum(turned_final), 0))::numeric, 1)"
        " FROM mart.sms_maturity WHERE observed_on - sent_on BETWEEN 0 AND 14"
    )
    shares = shown.rows(
        "SELECT observed_on - sent_on, sum(messages) FILTER (WHERE outcome IN"
        " ('delivered', 'failed'))::numeric / sum(messages) FROM mart.sms_maturity"
        " WHERE observed_on - sent_on BETWEEN 0 AND 14 GROUP BY 1"
    )
    said = {
        (row["source"], row["account_label"]): row
        for row in tile(answers, "How far the data reaches")
    }
    assert len(said) == len(rows) + 1  # and the purchases
    for source, account, first, last, unsettled in rows:
        row = said[source, labels[source.partition("_")[0], account]]
        assert (day_of(row["first_day"]), day_of(row["data_until"])) == (first, last)
        assert (row["gap_days"], row["unsettled_days"]) == (0, unsettled)
    assert figures["Time to final"] == ("none seen yet" if turned is None else f"{turned:,.1f}")
    bars = {row["age_days"]: row["share"] for row in tile(answers, "Share of SMS with a final")}
    assert bars.keys() == dict(shares).keys()
    for age, part in shares:
        assert float(bars[age]) == pytest.approx(float(part or 0))


def test_unsettled_days_are_pale_in_twenty_loads(shown: Shown) -> None:
    """Strong bars stand left of pale ones, whatever order the series came in."""
    last = shown.after + timedelta(days=9)
    script = """
      const tile = [...document.querySelectorAll('.chart-slice')].find(each =>
        each.querySelector('.header-title').innerText.startsWith('Outcomes'));
      const canvas = tile.querySelector('canvas');
      const top = Math.round(canvas.height / 4);
      const {data, width, height} = canvas.getContext('2d')
        .getImageData(0, top, canvas.width, canvas.height - top);
      const columns = [[], []];
      for (let x = 0; x < width; x++) for (const [place, rgb] of arguments[0].entries()) {
        let seen = 0;
        for (let y = 0; y < height; y++) {
          const at = 4 * (y * width + x);
          if (rgb.every((value, i) => Math.abs(value - data[at + i]) < 3)) seen++;
        }
        if (seen > 3) columns[place].push(x);
      }
      return columns;
    """
    days = f"'{shown.first} : {last}'"
    vendor = "(filters:!((col:vendor,op:IN,val:!(calltouch))))"
    for _ in range(LOADS):
        shown.dashboard.open(
            {"days": (f"(time_range:{days})", days), "vendor": (vendor, "!(calltouch)")}
        )
        strong, pale = shown.dashboard.browser.run(script, [STRONG, PALE])
        assert strong
        assert pale
        assert max(strong) < min(pale)


@pytest.mark.parametrize("tab", ["Overview", SMS, TELLODY, TRUST, "Data"])
def test_on_a_phone_no_figure_is_cut(shown: Shown, tab: str) -> None:
    browser = shown.dashboard.browser
    browser.command("window/rect", width=390, height=900)
    try:
        shown.open()
        shown.dashboard.go(tab)
        assert shown.dashboard.figures()
        cut = browser.run(
            "const cut = [];"
            "for (const tile of document.querySelectorAll('.chart-slice')) {"
            " if (!tile.offsetParent) continue;"
            " const cells = tile.querySelectorAll('tbody td');"
            " if (cells.length !== 1) continue;"
            " const range = document.createRange(); range.selectNodeContents(cells[0]);"
            " const text = range.getBoundingClientRect(), frame = tile.getBoundingClientRect();"
            " if (text.left < frame.left || text.right > frame.right || text.bottom > frame.bottom"
            "     || !text.width) cut.push(cells[0].innerText);"
            "}"
            "return cut;"
        )
        assert cut == []
    finally:
        browser.command("window/rect", width=1400, height=900)


# SMS of the days chosen by the hour under which they are told, from the rows themselves: templates of a site's day with
# fewer than %(below)s are rare, and hours of a category with fewer are together.
TOLD_BY_HOUR = """
WITH sms AS (
  SELECT s.site_id, s.sent_on, extract(hour FROM s.sent_at AT TIME ZONE 'Europe/Moscow')::integer AS hour,
    CASE WHEN count(*) OVER (PARTITION BY s.site_id, s.sent_on, s.template_id) >= %(below)s
      THEN coalesce(t.category, 'rare') ELSE 'rare' END AS category
  FROM warehouse.calltouch_sms s
  LEFT JOIN bi.template t ON t.site_id = s.site_id AND t.template_id = s.template_id
  WHERE s.sent_on >= %(first)s AND s.sent_on < %(after)s
)
SELECT sent_on, category, CASE WHEN count(*) OVER (PARTITION BY site_id, sent_on, category, hour) >= %(below)s
  THEN lpad(hour::text, 2, '0') ELSE 'few' END AS hour_name
FROM sms
"""


@pytest.mark.parametrize("below", [20, 0], ids=["on", "off"])
def test_small_counts_are_told_together_where_a_threshold_is_set(shown: Shown, below: int) -> None:
    with shown.warehouse.connect_admin() as connection:
        connection.execute("SELECT mart.fold_below(%s)", (below,))
    shown.replay(shown.first, "40202")  # any load counts all days afresh
    chosen = {"below": below, "first": shown.first, "after": shown.after}
    expected = {
        (weekday, hour): average
        for weekday, hour, average in shown.rows(
            "SELECT to_char(sent_on, 'ID Dy'), hour_name, count(*)::numeric / (array_agg(days))[1]"
            " FROM (SELECT t.*, count(*) FILTER (WHERE is_first) OVER (PARTITION BY extract(isodow"
            " FROM sent_on)) AS days FROM (SELECT t.*, row_number() OVER (PARTITION BY sent_on) = 1"
            f" AS is_first FROM ({TOLD_BY_HOUR}) t) t) t GROUP BY 1, 2",
            chosen,
        )
    }
    [rare] = shown.row(f"SELECT count(*) FROM ({TOLD_BY_HOUR}) t WHERE category = 'rare'", chosen)
    shown.open()
    shown.dashboard.go(PEOPLE)
    shown.dashboard.refresh()
    hours = tile(shown.dashboard.answers(), "When SMS are sent")
    said = {(row["weekday"], row["hour_name"]): float(row["SMS"]) for row in hours}
    assert said == pytest.approx({key: float(average) for key, average in expected.items()})
    assert ("few" in {hour for _, hour in said}) == bool(below)
    shown.dashboard.go(SMS)
    shown.dashboard.refresh()
    assert shown.dashboard.figures() == sms(shown), "sums stay the same"
    shown.open(category=("category", "rare"))
    shown.dashboard.go(SMS)
    shown.dashboard.refresh()
    assert shown.dashboard.figures()["SMS attempted"] == (whole(rare) if rare else "no data")
    assert below == 0 or rare > 0


def test_what_changed_after_a_day_was_settled_is_what_its_receipts_say(shown: Shown) -> None:
    with shown.warehouse.connect_admin() as connection:
        connection.execute(
            "DELETE FROM warehouse.calltouch_sms WHERE sent_on = %(day)s AND sms_key IN (SELECT sms_key"
            " FROM warehouse.calltouch_sms WHERE site_id = 40202 AND sent_on = %(day)s LIMIT 3)",
            {"day": shown.first},
        )
    shown.replay(shown.first, "40202")
    came, changed, went, loads = shown.row(
        "SELECT sum(rows_inserted), sum(rows_updated), sum(rows_deleted), count(*)"
        " FROM ops.load_receipt WHERE account = '40202' AND day = %s AND is_replay"
        " AND rows_inserted + rows_updated + rows_deleted > 0",
        shown.first,
    )
    assert came >= 3
    shown.open()
    shown.dashboard.go("Data")
    shown.dashboard.refresh()
    figures, answers = shown.dashboard.figures(), shown.dashboard.answers()
    rows = tile(answers, "What changed after a day was settled")
    of_day = {
        row["account"]: row
        for row in rows
        if (row["settled day"], row["source"]) == (str(shown.first), "calltouch")
    }
    told = of_day["Smile clinic"]
    assert [
        told[name] for name in ("rows that came", "changed", "went", "loads that changed it")
    ] == [whole(each) for each in (came, changed, went, loads)]
    assert told["why"] == "rows built again from stored answers"
    changes = [row for row in rows if row["settled day"] != "none changed"]
    assert figures["Settled days that changed"] == whole(len(changes))
    quiet = {
        (row["source"], row["account"]) for row in rows if row["settled day"] == "none changed"
    }
    assert ("tellody_activity", "Warm Home club") in quiet
    shown.open(account=("account_label", "Warm Home club"))
    shown.dashboard.go("Data")
    assert shown.dashboard.figures()["Settled days that changed"] == "0"
    assert {
        row["settled day"]
        for row in tile(shown.dashboard.answers(), "What changed after a day was settled")
    } == {"none changed"}


def test_the_vendors_month_is_shown_beside_ours(shown: Shown) -> None:
    shown.open()
    shown.dashboard.go("Data")
    rows = tile(shown.dashboard.answers(), "The vendor's own month")
    assert shown.dashboard.figures()["Months that differ"] == "not compared"
    assert {row["month compared"] for row in rows} == {"none compared yet"}
    assert "Smile clinic" in {row["account"] for row in rows}
    month = shown.first.replace(day=1)
    with shown.warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on,"
            " newest_receipt_id, outcome, figures, requests, points, code_version)"
            " SELECT 'calltouch', '40202', %s, now(), current_date, max(receipt_id), 'differs',"
            """ '{"records": [1234, 1230]}', 1, 1, 't' FROM ops.load_receipt""",
            (month,),
        )
    try:
        shown.dashboard.refresh()
        figures, answers = shown.dashboard.figures(), shown.dashboard.answers()
    finally:
        with shown.warehouse.connect_admin() as connection:
            connection.execute("DELETE FROM ops.reconciliation WHERE code_version = 't'")
    assert figures["Months that differ"] == "1"
    first, *others = tile(answers, "The vendor's own month")
    assert without_order(first) == {
        "month compared": f"{month:%Y-%m}", "source": "calltouch", "account": "Smile clinic",
        "figure": "records", "result": "differs",
        "the vendor's": "1,234", "ours": "1,230", "difference": "-4",
    }  # fmt: skip
    assert {row["month compared"] for row in others} == {"none compared yet"}
