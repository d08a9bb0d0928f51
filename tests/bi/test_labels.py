"""Labels from the user's CSV, and what they change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse import labels, marts
from tests.bi.conftest import DAY, Loads, Readers, masked, pseudonym, sms

SALE = pseudonym(masked("Скидка 5%"))


def take(loads: Loads, *lines: str) -> int:
    with loads.warehouse.connect(autocommit=True) as connection:
        changed = labels.load_labels(connection, lines, "labels.csv")
        marts.refresh_stale(connection, masked)
        return len(changed)


@pytest.fixture
def sale(loads: Loads, people: Callable[[int], list[str]]) -> None:
    loads.sms(DAY, [sms(phone, "Скидка 5%") for phone in people(20)])
    loads.count_months()


@pytest.mark.usefixtures("sale")
def test_a_template_gets_its_label_category_and_campaign_everywhere(
    loads: Loads, readers: Readers
) -> None:
    header = "site_id,template_id,template_text,label,category,campaign"
    line = f'101,{SALE},"Скидка, #%",Spring sale,marketing,spring'
    assert take(loads, header, line) == 1
    assert take(loads, header, line) == 0
    day = (
        "SELECT template_label, category, campaign, sum(messages) FROM bi.sms_day GROUP BY 1, 2, 3"
    )
    assert readers.ask(day) == [("Spring sale", "marketing", "spring", 20)]
    assert readers.ask("SELECT category, sum(messages) FROM bi.sms_hour GROUP BY 1") == [
        ("marketing", 20)
    ]
    reach = "SELECT category, recipients FROM bi.sms_reach WHERE period = 'month' ORDER BY 1"
    assert readers.ask(reach) == [("all", 20), ("marketing", 20)]


@pytest.mark.usefixtures("sale")
def test_an_account_gets_its_label(loads: Loads, readers: Readers) -> None:
    assert take(loads, "vendor,account,label", "calltouch,101,Shop") == 1
    for view in ("sms_day", "sms_hour", "messaging_day", "account", "data_until"):
        assert readers.one(f"SELECT DISTINCT account_label FROM bi.{view}") == "Shop", view
    assert take(loads, "vendor,account,label", "calltouch,101,") == 1
    assert readers.one("SELECT account_label FROM bi.account") == "101"


@pytest.mark.usefixtures("sale")
@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["id,name", "1,x"], "has the columns id, name"),
        ([], "(none)"),
        (["template_id,label,category,campaign", "x,a,b,c"], "line 2: 'x' is no template_id"),
        (
            ["template_id,label,category,campaign", f"{SALE},a,b,c,d"],
            "line 2: the fields do not fit",
        ),
        (
            ["template_id,label,category,campaign", f"{SALE},a,b,c", f"{SALE},other,b,c"],
            "line 3: the template stands there twice",
        ),
        (["vendor,account,label", ",101,x"], "line 2"),
        (
            ["template_id,label,category,campaign", f"{SALE},a,b,c", f"{pseudonym('x')},a,b,c"],
            "line 3: there is no template",
        ),
        (
            ["vendor,account,label", "calltouch,101,x", "calltouch,999,y"],
            "line 3: there is no account calltouch 999",
        ),
        (
            ["vendor,account,label", "calltouch,101,x", "calltouch,101,y"],
            "line 3: the account stands there twice",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(
    loads: Loads, lines: list[str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=r"labels\.csv") as caught:
        take(loads, *lines)
    assert complaint in str(caught.value)
    with loads.warehouse.connect_admin() as connection:
        rows = connection.execute(
            "SELECT label FROM mart.account UNION SELECT label FROM mart.template"
        )
        assert {row[0] for row in rows.fetchall()} == {"101", "(rare)", "Скидка #%"}


def test_an_export_of_two_sites_that_share_a_text_is_taken(
    loads: Loads, readers: Readers, people: Callable[[int], list[str]]
) -> None:
    for site in (101, 202):
        loads.sms(DAY, [sms(phone, "Скидка 5%") for phone in people(20)], site)
    header = "site_id,template_id,label,category,campaign"
    lines = [f"{site},{SALE},Sale,marketing,spring" for site in (101, 202)]
    assert take(loads, header, *lines) == 1
    assert readers.ask("SELECT DISTINCT template_label, campaign FROM bi.sms_day") == [
        ("Sale", "spring")
    ]


def test_a_label_follows_its_text_to_another_id_at_another_site(
    loads: Loads, readers: Readers, people: Callable[[int], list[str]]
) -> None:
    """Names are masked differently in time: one text, two ids. What comes later has the label, too."""
    loads.sms(DAY, [sms(phone, "Анна, ждём вас") for phone in people(20)], 101)
    loads.sms(DAY, [sms(phone, "Ольга, ждём вас") for phone in people(20)], 101)
    loads.count_months()
    [shown] = readers.ask("SELECT template_id FROM bi.template WHERE template_text LIKE '{name}%'")
    header = "template_id,label,category,campaign"
    assert take(loads, header, f"{shown[0]},Reminder,service,autumn") == 1
    for name in ("Мария", "Дарья"):
        loads.sms(DAY, [sms(phone, f"{name}, ждём вас") for phone in people(20)], 202)
    loads.sms(DAY, [sms(p, f"{n}, ждём вас") for p in people(20) for n in ("Мария", "Дарья")], 202)
    loads.count_months()
    named = "SELECT DISTINCT template_label, category, campaign FROM bi.sms_day WHERE site_id = 202"
    assert readers.ask(named) == [("Reminder", "service", "autumn")]
    hours = "SELECT DISTINCT category FROM bi.sms_hour WHERE site_id = 202"
    assert readers.ask(hours) == [("service",)]
    reached = (
        "SELECT sum(recipients) FROM bi.sms_frequency WHERE period = 'month'"
        " AND dimension = 'campaign' AND member = 'autumn' AND site_id IS NULL"
    )
    assert readers.one(reached) == 20


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Ваш код авторизации: 14111", "code"),
        ("12345 - код подтверждения заказа", "code"),
        ("Your code is 123456", "code"),
        ("Пароль: 55555. Никому не говорите", "code"),
        ("Скидка по промокоду SALE2024", "unlabelled"),
        ("Заказ 123456 передан курьеру", "unlabelled"),
    ],
)
def test_a_category_is_guessed_for_one_time_codes_alone(
    loads: Loads, text: str, category: str
) -> None:
    with loads.warehouse.connect_admin() as connection:
        row = connection.execute("SELECT mart.guess_category(%s)", (text,)).fetchone()
    assert row == (category,)
