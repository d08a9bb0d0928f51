"""The SMS marts: equal to what counting the rows gives, written only where they differ."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dagster_project.config.sections import RetentionSettings
from dagster_project.warehouse import labels, marts
from dagster_project.warehouse.ledger.prune import prune
from tests.bi.conftest import DAY, MOSCOW, NEXT, Loads, Readers, masked, pseudonym, sms

People = Callable[[int], list[str]]
OUTCOMES = [
    ("delivered", None),
    ("failed", "expired"),
    ("failed", "invalid_number"),
    ("pending", None),
]


NO_TEXT_ID = "00000000-0000-0000-0000-000000000001"


def some_day(dice: random.Random, count: int) -> list[dict[str, Any]]:
    rows = []
    for _ in range(count):
        outcome, reason = dice.choice(OUTCOMES)
        rows.append(
            sms(
                f"+7916{dice.randrange(60):07d}",
                dice.choice(["Скидка 5%", "Ваш код: 1234", f"{dice.choice('АБВГД')}, привет"]),
                outcome,
                reason,
                f"{dice.randrange(24):02d}:{dice.randrange(60):02d}:00",
                segments=dice.randrange(1, 4),
                country=dice.choice(["RU", "KZ", None]),
            )
        )
    return rows


def counted_by_hand(loads: Loads) -> dict[str, Any]:
    """The marts as plain counting over the rows gives them, templates aside."""
    queries = {
        "sms_day": "SELECT sent_on, site_id, coalesce(country, 'unknown'), outcome,"
        " coalesce(reason, 'none'), count(*), sum(segments), count(*) FILTER (WHERE occurrence > 1)"
        " FROM warehouse.calltouch_sms GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
        "sms_hour": "SELECT sent_on, site_id, extract(hour FROM sent_at AT TIME ZONE 'Europe/Moscow')"
        "::int, outcome, count(*) FROM warehouse.calltouch_sms GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        "sms_reach": "SELECT period, start, site_id, count(*), count(*) FILTER (WHERE n >= 4), sum(n)"
        " FROM (SELECT period, date_trunc(period, sent_on)::date AS start, site_id, recipient,"
        " count(*) AS n FROM warehouse.calltouch_sms, unnest(ARRAY['month', 'week']) AS period"
        " GROUP BY 1, 2, 3, 4) r GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "sms_bad_numbers": "SELECT month, site_id, reason, count(*), sum(n - 1) FROM ("
        " SELECT date_trunc('month', sent_on)::date AS month, site_id, reason, recipient, count(*) AS n"
        " FROM warehouse.calltouch_sms WHERE outcome = 'failed' GROUP BY 1, 2, 3, 4) f"
        " WHERE n >= 2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "sms_frequency": "SELECT period, start, site, least(n, 5), count(*), sum(n) FROM ("
        " SELECT period, date_trunc(period, sent_on)::date AS start, site, recipient, count(*) AS n"
        " FROM warehouse.calltouch_sms, unnest(ARRAY['month', 'week']) AS period,"
        " unnest(ARRAY[site_id, 0]) AS site GROUP BY 1, 2, 3, 4) r GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        "sms_template_hour": "SELECT sent_on, site_id, extract(hour FROM sent_at AT TIME ZONE"
        " 'Europe/Moscow')::int, count(*), count(*) FILTER (WHERE outcome = 'delivered'),"
        " count(*) FILTER (WHERE outcome = 'failed') FROM warehouse.calltouch_sms"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "segments_wasted": "SELECT month, site_id, reason, sum(segments) FROM ("
        " SELECT date_trunc('month', sent_on)::date AS month, site_id, reason, segments,"
        " row_number() OVER (PARTITION BY date_trunc('month', sent_on), site_id, reason, recipient"
        " ORDER BY sent_at, segments) AS place FROM warehouse.calltouch_sms WHERE outcome = 'failed') f"
        " WHERE place > 1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    }
    with loads.warehouse.connect_admin() as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def counted_by_marts(readers: Readers) -> dict[str, Any]:
    queries = {
        "sms_day": "SELECT sent_on, site_id, country, outcome, reason, sum(messages), sum(segments),"
        " sum(repeats) FROM bi.sms_day GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
        "sms_hour": "SELECT sent_on, site_id, hour, outcome, sum(messages) FROM bi.sms_hour"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        "sms_reach": "SELECT period, period_start, site_id, recipients, recipients_4plus, messages"
        " FROM bi.sms_reach WHERE category = 'all' ORDER BY 1, 2, 3",
        "sms_bad_numbers": "SELECT month, site_id, reason, recipients, messages_wasted"
        " FROM bi.sms_bad_numbers ORDER BY 1, 2, 3",
        "sms_frequency": "SELECT period, period_start, coalesce(site_id, 0), frequency, recipients,"
        " messages FROM bi.sms_frequency WHERE dimension = 'all' ORDER BY 1, 2, 3, 4",
        "sms_template_hour": "SELECT day, site_id, hour, sum(messages), sum(delivered), sum(failed)"
        " FROM bi.sms_template_hour GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "segments_wasted": "SELECT month, site_id, reason, segments_wasted FROM bi.sms_bad_numbers"
        " ORDER BY 1, 2, 3",
    }
    return {name: readers.ask(query) for name, query in queries.items()}


@pytest.mark.both_servers
def test_marts_equal_plain_counting_after_loads_reloads_and_losses(
    loads: Loads, readers: Readers
) -> None:
    dice = random.Random(7)
    days = [date(2024, 3, 31), DAY, NEXT, date(2024, 4, 29), date(2024, 5, 2)]
    for _ in range(15):
        loads.sms(dice.choice(days), some_day(dice, dice.randrange(150)), dice.choice([101, 202]))
    loads.count_months()
    assert counted_by_marts(readers) == counted_by_hand(loads)
    apart = (
        "SELECT bool_and(total = parts) FROM (SELECT"
        " sum(messages) FILTER (WHERE category = 'all') AS total,"
        " sum(messages) FILTER (WHERE category <> 'all') AS parts"
        " FROM bi.sms_reach GROUP BY period, period_start, site_id) r"
    )
    assert readers.one(apart)


def test_people_of_all_sites_are_as_counting_gives_them_whether_one_site_has_rows_or_several(
    loads: Loads, people: People
) -> None:
    stands = "SELECT * FROM mart.sms_frequency WHERE site_id = 0"
    counted = "SELECT * FROM mart.count_frequency(0, '2024-04-01') UNION SELECT * FROM mart.count_frequency(0, '2024-05-01')"

    def is_taken_over() -> bool:
        with loads.warehouse.connect_admin() as connection:
            [(answer,)] = connection.execute(
                "SELECT mart.frequency_of_only_site('2024-04-01') IS NOT NULL"
            ).fetchall()
        return bool(answer)

    def see_all_sites() -> set[tuple[Any, ...]]:
        loads.count_months()
        with loads.warehouse.connect_admin() as connection:
            found = set(connection.execute(stands).fetchall())
            assert found == set(connection.execute(counted).fetchall())
        return found

    sale, code = ([sms(phone, text) for phone in people(20)] for text in ("Скидка 5%", "Код: 1234"))
    loads.sms(date(2024, 4, 30), sale + code)
    loads.sms(date(2024, 5, 1), sale[:7])
    of_one = see_all_sites()
    assert is_taken_over()
    with loads.warehouse.connect_admin() as connection:
        line = f"{masked_id(sale)},Sale,promotion,spring"
        labels.load_labels(connection, ["template_id,label,category,campaign", line])
    assert {row[3] for row in see_all_sites() - of_one} == {"campaign"}
    loads.sms(NEXT, [sms(phone, "Скидка 5%") for phone in people(25)], 202)
    of_two = see_all_sites()
    assert not is_taken_over()
    loads.sms(NEXT, [], 202)
    assert see_all_sites() != of_two


def masked_id(rows: list[dict[str, Any]]) -> str:
    return pseudonym(masked(rows[0]["message"]))


def versions(loads: Loads) -> list[tuple[Any, ...]]:
    """Where and by which transaction each row of the marts was written."""
    tables = ("sms_day", "sms_hour", "sms_maturity", "sms_reach", "sms_bad_numbers",
              "messaging_day", "rare_template", "template", "account", "sms_frequency", "sms_template_hour")  # fmt: skip
    with loads.warehouse.connect_admin() as connection:
        return [
            (table, *row)
            for table in tables
            for row in connection.execute(
                f"SELECT ctid::text, xmin::text, xmax::text FROM mart.{table} ORDER BY 1"
            ).fetchall()
        ]


def test_a_day_loaded_again_unchanged_writes_no_row_of_the_marts(loads: Loads) -> None:
    rows = some_day(random.Random(1), 120)
    asked = datetime(2024, 4, 3, tzinfo=UTC)
    loads.sms(DAY, rows, asked=asked)
    loads.count_months()
    before = versions(loads)
    loads.sms(DAY, rows, asked=asked)
    loads.unchanged(DAY, len(rows), asked)
    loads.count_months()
    assert versions(loads) == before


def test_a_changed_row_rewrites_only_the_counts_it_touches(loads: Loads) -> None:
    rows = some_day(random.Random(2), 120)
    asked = datetime(2024, 4, 3, tzinfo=UTC)
    loads.sms(DAY, rows, asked=asked)
    loads.sms(NEXT, rows, asked=asked)
    before = set(versions(loads))
    pending = next(row for row in rows if row["outcome"] == "pending")
    changed = [row | {"outcome": "delivered"} if row is pending else row for row in rows]
    loads.sms(DAY, changed, asked=asked)
    new = [version for version in versions(loads) if version not in before]
    assert 0 < len([v for v in new if v[0] == "sms_day"]) <= 2
    assert 0 < len([v for v in new if v[0] == "sms_hour"]) <= 2


def test_hours_are_local_also_where_clocks_change_by_half_an_hour(
    loads: Loads, readers: Readers
) -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    day = date(2024, 4, 7)
    rows = [sms(f"+6140000000{n}", at=f"{hour:02d}:{minute}:00") for n, (hour, minute) in
            enumerate([(0, "05"), (1, "10"), (3, "29"), (3, "31"), (23, "59")])]  # fmt: skip
    loads.sms(day, rows, zone=lord_howe)
    hours = "SELECT hour, sum(messages)::int FROM bi.sms_hour GROUP BY 1 ORDER BY 1"
    assert readers.ask(hours) == [(0, 1), (1, 1), (3, 2), (23, 1)]


def test_maturity_tells_how_a_day_ripened_and_how_long_it_took(
    loads: Loads, readers: Readers
) -> None:
    polls = [datetime(2024, 4, 2, 6, tzinfo=MOSCOW), datetime(2024, 4, 4, 6, tzinfo=MOSCOW)]
    first = {"first_loaded_at": polls[0] + timedelta(minutes=1)}
    finals = first | {"final_seen_at": polls[0]}
    loads.sms(DAY, [sms("+1", **finals), sms("+2", outcome="pending", **first)], asked=polls[0])
    later = first | {"final_seen_at": polls[1]}
    loads.sms(DAY, [sms("+1", **finals), sms("+2", **later)], asked=polls[1])
    loads.unchanged(DAY, 2, datetime(2024, 4, 5, 6, tzinfo=MOSCOW))
    ripened = (
        "SELECT observed_on, age_days, outcome, messages, turned_final, hours_to_final"
        " FROM bi.sms_maturity ORDER BY 1, 3"
    )
    assert readers.ask(ripened) == [
        (date(2024, 4, 2), 1, "delivered", 1, 0, 0),
        (date(2024, 4, 2), 1, "pending", 1, 0, 0),
        (date(2024, 4, 4), 3, "delivered", 2, 1, 66),
        (date(2024, 4, 5), 4, "delivered", 2, 0, 0),
    ]


def test_a_text_is_shown_once_twenty_recipients_of_its_site_had_it(
    loads: Loads, readers: Readers, people: People
) -> None:
    shown = "SELECT DISTINCT template_label FROM bi.sms_day WHERE site_id = %s AND sent_on = %s"
    loads.sms(DAY, [sms(phone, "Скидка 5%") for phone in people(19)] * 3)
    assert readers.ask(shown, values=(101, DAY)) == [("(rare)",)]
    loads.sms(NEXT, [sms(phone, "Скидка 7%") for phone in people(20)[5:]])
    assert readers.ask(shown, values=(101, NEXT)) == [("Скидка #%",)]
    assert readers.ask(shown, values=(101, DAY)) == [("(rare)",)], "decided when it was written"
    loads.sms(NEXT, [sms(people(1)[0], "Скидка 9%")], 202)
    assert readers.ask(shown, values=(202, NEXT)) == [("(rare)",)]
    texts = "SELECT site_id, template_text FROM bi.template WHERE category <> 'rare'"
    assert readers.ask(texts) == [(101, "Скидка #%")]
    with loads.warehouse.connect(autocommit=True) as connection:
        marts.recount(connection, [101], [DAY])
        marts.refresh_stale(connection, masked)
    assert readers.ask(shown, values=(101, DAY)) == [("Скидка #%",)]


def test_a_name_that_a_text_addresses_is_masked_and_a_salutation_is_not(
    loads: Loads, readers: Readers, people: People
) -> None:
    texts = ["Иван, заказ 1 собран", "Анна-Мария, заказ 2 собран", "Внимание, скидки!"]
    texts.append("Здравствуйте, Пётр Ильич! Ждём")
    rows = [sms(phone, text) for text in texts for phone in people(20)]
    loads.sms(DAY, rows)
    loads.sms(NEXT, [sms(phone, "Олег, заказ 3 собран") for phone in people(20)])
    shown = "SELECT template_label, sum(messages) FROM bi.sms_day GROUP BY 1 ORDER BY 2, 1"
    assert sorted(readers.ask(shown)) == [
        ("{name}, заказ # собран", 60),
        ("Внимание, скидки!", 20),
        ("Здравствуйте, {name}! Ждём", 20),
    ]


def test_rare_templates_leave_no_text_and_no_whole_pseudonym_behind(
    loads: Loads, people: People
) -> None:
    loads.sms(DAY, [sms(phone, "Иван, ваш анализ готов") for phone in people(19)])
    with loads.warehouse.connect_admin() as connection:
        assert connection.execute("SELECT masked_text FROM mart.template").fetchall() == [
            ("(rare)",)
        ]
        stats = connection.execute(
            "SELECT cardinality(recipients), pg_typeof(recipients)::text FROM mart.rare_template"
        ).fetchall()
    assert stats == [(19, "integer[]")]


def test_a_week_across_two_months_is_counted_whole_whichever_of_them_is_loaded(
    loads: Loads, readers: Readers
) -> None:
    april, may = date(2024, 4, 30), date(2024, 5, 1)
    loads.sms(april, [sms("+1"), sms("+2")])
    loads.count_months()
    loads.sms(may, [sms("+2"), sms("+3")])
    loads.count_months()
    weeks = (
        "SELECT period_start, recipients, messages FROM bi.sms_reach"
        " WHERE period = 'week' AND category = 'all'"
    )
    assert readers.ask(weeks) == [(date(2024, 4, 29), 3, 4)]
    loads.sms(april, [])
    loads.count_months()
    assert readers.ask(weeks) == [(date(2024, 4, 29), 2, 2)]
    loads.sms(may, [])
    loads.count_months()
    assert readers.ask(weeks) == []


def test_tallies_of_rare_templates_are_forgotten_once_they_are_old(
    loads: Loads, people: People
) -> None:
    today = datetime.now(UTC).date()
    kept, gone = today - timedelta(days=89), today - timedelta(days=91)
    loads.sms(gone, [sms(phone, "Старый текст") for phone in people(19)])
    loads.sms(kept, [sms(phone, "Новый текст") for phone in people(19)])
    with loads.warehouse.connect(autocommit=True) as connection:
        pruned = prune(connection, RetentionSettings(pii_days=90), {})
    assert pruned["mart.rare_template"] == 1
    with loads.warehouse.connect_admin() as connection:
        tallies = connection.execute("SELECT last_seen_on FROM mart.rare_template").fetchall()
    assert tallies == [(kept,)]


def test_texts_that_were_shown_with_names_are_masked_once_more(
    loads: Loads, readers: Readers, people: People
) -> None:
    loads.sms(DAY, [sms(phone, "Ждём, Иван зовёт") for phone in people(20)])
    with loads.warehouse.connect_admin() as connection:
        connection.execute("UPDATE mart.template SET names_masked = false")
    with loads.warehouse.connect(autocommit=True) as connection:
        assert marts.refresh_stale(connection, lambda text: text.replace("Иван", "{name}"))
    texts = "SELECT template_text, template_label FROM bi.template WHERE category <> 'rare'"
    assert readers.ask(texts) == [("Ждём, {name} зовёт", "Ждём, {name} зовёт")]


def test_repeats_count_rows_equal_in_number_second_and_text(loads: Loads, readers: Readers) -> None:
    loads.sms(DAY, [sms("+1"), sms("+1"), sms("+1"), sms("+1", at="12:00:01")])
    assert readers.one("SELECT sum(messages), sum(repeats) FROM bi.sms_day") == (4, 2)


def test_readers_see_rows_and_marts_change_together(loads: Loads, readers: Readers) -> None:
    """A load that fails after its marts leaves both as they were."""
    loads.sms(DAY, [sms("+1")])
    with loads.warehouse.connect() as connection:
        connection.execute("DELETE FROM warehouse.calltouch_sms")
        connection.execute(
            "SELECT * FROM mart.refresh_sms(101, ARRAY[%s]::date[], 'Europe/Moscow', %s)",
            (DAY, DAY),
        )
        connection.rollback()
    assert readers.one("SELECT sum(messages) FROM bi.sms_day") == 1


def test_several_processes_work_off_the_queue_together_and_leave_nothing(
    loads: Loads, readers: Readers
) -> None:
    for site in range(101, 105):
        for month in (3, 4, 5):
            loads.sms(date(2024, month, 1), [sms("+1"), sms("+2")], site)
    with ThreadPoolExecutor(4) as pool:
        counted = sum(pool.map(lambda _: loads.count_months(), range(4)))
    assert counted == 12
    months = (
        "SELECT count(*), sum(recipients) FROM bi.sms_reach"
        " WHERE category = 'all' AND period = 'month'"
    )
    assert readers.ask(months) == [(12, 24)]
    with loads.warehouse.connect_admin() as connection:
        assert connection.execute("SELECT count(*) FROM mart.stale").fetchone() == (0,)


def test_of_a_load_that_goes_on_the_months_that_it_has_passed_are_counted(
    loads: Loads, readers: Readers
) -> None:
    for site, months in ((101, (5, 4, 3)), (102, (5,))):
        for month in months:
            loads.sms(date(2024, month, 1), [sms("+1")], site)
    counted = (
        "SELECT site_id, extract(month FROM period_start)::int FROM bi.sms_reach"
        " WHERE category = 'all' AND period = 'month' ORDER BY 1, 2"
    )
    assert loads.count_months(passed_only=True) == 2
    assert readers.ask(counted) == [(101, 4), (101, 5)]
    assert loads.count_months(passed_only=True) == 0
    assert loads.count_months(passed_only=True, finished=[102]) == 1, "nothing more comes of it"
    assert readers.ask(counted) == [(101, 4), (101, 5), (102, 5)]
    assert loads.count_months() == 1
    assert readers.ask(counted) == [(101, 3), (101, 4), (101, 5), (102, 5)]


def test_what_others_are_counting_is_not_waited_for_while_a_load_goes_on(loads: Loads) -> None:
    for month in (5, 4, 3):
        loads.sms(date(2024, month, 1), [sms("+1")])
    with loads.warehouse.connect() as slow:
        assert slow.execute("SELECT of_site FROM mart.take_stale()").fetchone() == (101,)
        assert loads.count_months(passed_only=True) == 0
        slow.rollback()
    assert loads.count_months(passed_only=True) == 2


def test_a_note_left_while_its_month_is_counted_is_not_lost(loads: Loads, readers: Readers) -> None:
    loads.sms(DAY, [sms("+1")])
    with loads.warehouse.connect() as slow:
        assert slow.execute("SELECT of_site FROM mart.take_stale()").fetchone() == (101,)
        loads.sms(NEXT, [sms("+2")])
        slow.execute("SELECT mart.refresh_month(101, '2024-04-01')")
        slow.commit()
    assert loads.count_months() == 1
    assert (
        readers.one(
            "SELECT recipients FROM bi.sms_reach WHERE category = 'all' AND period = 'month'"
        )
        == 2
    )


def test_what_the_vendor_does_not_tell_stands_apart_from_what_is_empty(
    loads: Loads, readers: Readers, people: People
) -> None:
    somebody = people(25)
    rows = [sms(phone, "") for phone in somebody]
    rows += [sms(phone, None) for phone in somebody[:3]]
    rows += [sms("", "")]
    rows += [sms(None, "", "failed", "no_detail") for _ in range(4)]
    rows += [sms(None, None)]
    asked = datetime(2024, 4, 3, tzinfo=UTC)
    loads.sms(DAY, rows, asked=asked)
    loads.count_months()

    told = readers.ask(
        "SELECT template_label, category, country, reason, sum(messages), sum(segments)"
        " FROM bi.sms_day GROUP BY 1, 2, 3, 4"
    )
    assert sorted(told, key=repr) == [
        ("", "unlabelled", "RU", "none", 25, 25),
        ("", "unlabelled", "none", "no_detail", 4, 4),
        ("", "unlabelled", "unknown", "none", 1, 1),
        ("(no text)", "no text", "RU", "none", 3, None),
        ("(no text)", "no text", "none", "none", 1, None),
    ]
    hours = readers.ask("SELECT category, sum(messages) FROM bi.sms_hour GROUP BY 1 ORDER BY 1")
    assert hours == [("no text", 4), ("unlabelled", 30)]
    reach = "SELECT category, recipients, messages FROM bi.sms_reach WHERE period = 'month'"
    assert sorted(readers.ask(reach)) == [
        ("all", 26, 29),
        ("no text", 3, 3),
        ("unlabelled", 26, 26),
    ]
    assert readers.ask("SELECT * FROM bi.sms_bad_numbers") == []
    found = readers.ask(
        "SELECT DISTINCT template_id::text, country, recipient IS NULL, segments FROM bi_detail.sms_detail",
        "warehouse_bi_detail",
    )
    assert {row for row in found if row[0] == NO_TEXT_ID} == {
        (NO_TEXT_ID, "RU", False, None),
        (NO_TEXT_ID, "none", True, None),
    }
    assert {row[1:] for row in found if row[0] != NO_TEXT_ID} == {
        ("RU", False, 1),
        ("unknown", False, 1),
        ("none", True, 1),
    }
    before = versions(loads)
    loads.sms(DAY, rows, asked=asked)
    loads.count_months()
    assert versions(loads) == before


def test_figures_that_a_vendor_does_not_tell_are_null_across_vendors(
    loads: Loads, readers: Readers
) -> None:
    totals = dict.fromkeys(("sms_sent", "downloads", "url_clicks", "vouchers_viewed"), 5)
    loads.rows(
        "tellody_activity",
        "main",
        DAY,
        [{**totals, "email_sent": None, "optouts": 2, "downloads": None}],
    )
    counters = ("total", "sent", "pending", "failed", "received", "pressed", "closed", "unknown")
    day = {"window_from": DAY, "window_to": DAY, "is_daily": True, "asked_at": datetime.now(UTC)}
    loads.rows(
        "trust", "7", DAY, [{**day, **dict.fromkeys(counters, 3), "received": None, "closed": None}]
    )
    told = readers.ask(
        "SELECT vendor, channel, attempted, delivered, engaged, opted_out, dismissed, loaded"
        " FROM bi.messaging_day WHERE loaded ORDER BY 1, 2"
    )
    assert told == [
        ("tellody", "email", None, None, None, None, None, True),
        ("tellody", "sms", 5, None, None, None, None, True),
        ("tellody", "unattributed", None, None, None, 2, None, True),
        ("trust", "push", 3, None, 3, None, None, True),
    ]
    assert readers.one("SELECT email_sent FROM bi.tellody_activity_day") is None


def test_one_id_is_shown_for_one_text_of_a_site_and_counts_what_the_others_had(
    loads: Loads, readers: Readers, people: People
) -> None:
    """Of names that only the site's other texts tell: each has an id of its own until then."""
    texts = ["Айгерим, заказ 1 собран", "Гоар, заказ 2 собран", "Заказ 3 готов", "Заказ 4 отменён"]
    loads.sms(DAY, [sms(phone, texts[0]) for phone in people(20)])
    first = readers.one("SELECT template_id FROM bi.template WHERE category <> 'rare'")
    assert label(loads, f"{first},Order,service,") == 1
    rows = [sms(phone, text) for text in texts for phone in people(20)]
    loads.sms(NEXT, [*rows, sms(people(1)[0], texts[0])])
    loads.count_months()
    shown = "SELECT template_id, template_text, template_label FROM bi.template WHERE category <> 'rare'"
    ids = {text: (name, one) for one, text, name in readers.ask(shown)}
    assert ids["{name}, заказ # собран"] == ("Order", first)
    assert sorted(ids) == ["{name}, заказ # собран", "Заказ # готов", "Заказ # отменён"]
    assert len({one for _, one in ids.values()}) == 3
    counted = "SELECT sent_on, sum(messages), category FROM bi.sms_day WHERE template_id = %s GROUP BY 1, 3"
    assert sorted(readers.ask(counted, values=(first,))) == [
        (DAY, 20, "service"),
        (NEXT, 41, "service"),
    ]
    hours = "SELECT sum(messages) FROM bi.sms_hour WHERE category = 'service'"
    assert readers.one(hours) == 61
    detail = "SELECT count(DISTINCT template_id) FROM bi_detail.sms_detail WHERE sent_on = %s"
    assert readers.one(detail, "warehouse_bi_detail", values=(NEXT,)) == 3
    other = pseudonym(masked(texts[1]))
    assert label(loads, f"{other},Ready,service,") == 1, (
        "an id that was shown before stands for the text"
    )
    assert (
        readers.one(
            "SELECT template_label FROM bi.template WHERE template_id = %s", values=(first,)
        )
        == "Ready"
    )
    before = versions(loads)
    with loads.warehouse.connect(autocommit=True) as connection:
        marts.recount(connection, [101], [DAY, NEXT])
    loads.count_months()
    assert versions(loads) == before


def label(loads: Loads, line: str) -> int:
    with loads.warehouse.connect(autocommit=True) as connection:
        changed = len(labels.load_labels(connection, ["template_id,label,category,campaign", line]))
        marts.refresh_stale(connection, masked)
        return changed
