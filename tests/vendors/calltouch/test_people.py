"""Names of people are masked in what is shown of a text; words are not, unless they could be one."""

from __future__ import annotations

import time

import pytest

from dagster_project.vendors.calltouch.people import mask_names
from dagster_project.vendors.calltouch.personal import shown_template


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Иван, ваш заказ готов", "{name}, ваш заказ готов"),
        ("ИВАН, ваш заказ готов", "{name}, ваш заказ готов"),
        ("Ваш мастер Иван приедет", "Ваш мастер {name} приедет"),
        ("Передайте Ивану и Анне привет", "Передайте {name} и {name} привет"),
        ("Встреча с Петром Ильичом", "Встреча с {name}"),
        ("Менеджер Петров Сергей ждёт", "Менеджер {name} ждёт"),
        ("Врач Смирнова Ольга Игоревна", "Врач {name}"),
        ("Анна-Мария, заказ собран", "{name}, заказ собран"),
        ("Артём и Алёна", "{name} и {name}"),
        ("Уважаемый Константинопольский!", "Уважаемый {name}!"),
        ("Здравствуйте, Нгозипопо Иванова! Ждём", "Здравствуйте, {name}! Ждём"),
        ("Добрый день, Вера. Ждём", "Добрый день, {name}. Ждём"),
        ("Надежда, добрый день", "{name}, добрый день"),
        ("Dear Xóchitl, your order", "Dear {name}, your order"),
        ("Ivan, vash zakaz gotov", "{name}, vash zakaz gotov"),
        ("Yuliya, Aleksey, Tatyana", "{name}, {name}, {name}"),
    ],
)
def test_a_name_is_masked(text: str, shown: str) -> None:
    assert mask_names(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Внимание, скидки!",
        "Уважаемый клиент, ждём",
        "Уважаемый Клиент! Ждём",
        "Здравствуйте, Ваш заказ готов",
        "Здравствуйте! Ваш заказ готов.",
        "Вера в лучшее и Надежда",
        "Роман в подарок",
        "Скидки ко дню # Марта",
        "Розы от # руб.",
        "Москва, Санкт-Петербург",
        "Ваш код: {code}",
        "{link} {email} #",
        "",
    ],
)
def test_what_is_no_name_stays(text: str) -> None:
    assert mask_names(text) == text


def test_what_is_shown_of_a_text_has_neither_digits_nor_names() -> None:
    assert shown_template("Иван, заказ 15 собран: shop.ru/x1") == "{name}, заказ # собран: {link}"


@pytest.mark.parametrize("piece", ["Иван ", "иван ", "Здравствуйте, ", "А", "А-", "А ", "Dear Х "])
def test_a_text_of_a_megabyte_takes_no_more_than_a_moment(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()

    mask_names(text)

    assert time.process_time() - started < 5
