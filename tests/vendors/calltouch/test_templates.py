"""Templates: what varies from SMS to SMS is masked, what does not is kept."""

from __future__ import annotations

import re
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.vendors.calltouch.templates import template_of

WORDS = st.sampled_from(
    ["Код", "код:", "пароль", "для", "входа", "code", "AB12", "https://a.b/c", "x@y.ru", "№",
     "2 990", "слово", "shop.ru/x", "-", ":", "=", "\n", "и/или", "🔥", "٣"]
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("Ваш код авторизации: 14111", "Ваш код авторизации: #"),
        ("Заказ №123456 на 2 990 руб. готов", "Заказ №# на # руб. готов"),
        ("Звоните +7 (495) 123-45-67 до 21:30", "Звоните +# (#) # до #"),
        ("Визит 01.04.2024 в 15:05", "Визит # в #"),
        ("Промокод BD123AB действует", "Промокод # действует"),
        ("AB-12 и 12-AB", "AB-# и #-AB"),
        ("Отзыв: https://clck.ru/3AbCd?x=1 Спасибо!", "Отзыв: {link} Спасибо!"),
        ("Корзина:\nshop.example/c/xYz\nЖдём", "Корзина:\n{link}\nЖдём"),
        ("Сайт www.shop.ru", "Сайт {link}"),
        ("Пишите на a.b+c@mail.ru!", "Пишите на {email}!"),
        ("50 руб./шт. и/или скидка", "# руб./шт. и/или скидка"),
        ("Внимание, скидки!\nТолько сегодня", "Внимание, скидки!\nТолько сегодня"),
        ("", ""),
    ],
)
def test_digits_links_and_addresses_are_masked(text: str, template: str) -> None:
    assert template_of(text) == template


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("Ваш пароль солнышко", "Ваш пароль {code}"),
        ("Код QWERTY. Никому не говорите", "Код {code}. Никому не говорите"),
        ("Код для входа в личный кабинет: QWERTY", "Код для входа в личный кабинет: {code}"),
        ("КОД: «ЯБЛОКО»", "КОД: «{code}»"),
        ("Код подписки на журнал: СЛОВО", "Код {code} на журнал: {code}"),
        ("По промокоду ВЕСНА скидка 15%", "По промокоду {code} скидка #%"),
        ("Your code is QWERT", "Your code is {code}"),
        ("Vash kod: abcd", "Vash kod: {code}"),
        ("Это ваш код, никому его не сообщайте", "Это ваш код, никому его не сообщайте"),
        ("Кодекс чести и кодировка", "Кодекс чести и кодировка"),
    ],
)
def test_the_secret_after_its_word_is_masked(text: str, template: str) -> None:
    assert template_of(text) == template


@given(st.lists(WORDS).map(" ".join))
def test_no_digit_and_no_link_is_left(text: str) -> None:
    template = template_of(text)

    assert not re.search(r"\d|://|@", template)


@given(st.lists(WORDS).map(" ".join), st.randoms(use_true_random=False))
def test_texts_that_differ_in_digits_share_a_template(text: str, choices: Random) -> None:
    other = re.sub("[0-9]", lambda _: choices.choice("0123456789"), text)

    assert template_of(other) == template_of(text)


@pytest.mark.parametrize(
    "piece",
    ["a", "a.", "a1", "1 ", " .", "код ", "код: ", "http://", "a/", "a.bc/ ", "@", "a@", "-", "а "],
)
def test_a_text_of_a_megabyte_takes_no_more_than_a_moment(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()

    template_of(text)

    assert time.process_time() - started < 5
