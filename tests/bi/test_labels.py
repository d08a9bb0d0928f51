"""Labels from the user's CSV, and what they change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse import marts
from tests.bi.conftest import DAY, Loads, Readers, masked, pseudonym, sms

SALE = pseudonym(masked("Скидка 5%"))


def take(loads: Loads, *lines: str) -> int:
    with loads.warehouse.connect(autocommit=True) as connection:
        changed = marts.load_labels(connection, lines, "labels.csv")
        marts.refresh_stale(connection, masked)
        return changed


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
        (["template_id,label,category,campaign", *[f"{SALE},a,b,c"] * 2], "line 3: the template"),
        (["vendor,account,label", ",101,x"], "line 2"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(
    loads: Loads, lines: list[str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=r"labels\.csv") as caught:
        take(loads, *lines)
    assert complaint in str(caught.value)


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
