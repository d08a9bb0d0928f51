"""Make the template of an SMS: its text with everything masked that varies between SMS.

Masked are e-mail addresses, links, tokens with a digit (with the digits, spaces and marks that continue them:
phone numbers, dates, sums, codes), and the secret after a word such as ``код``, ``пароль`` or ``code``. Words that
describe the secret (``код для входа: …``) and a colon may be between the two.

Names of people stay. A template does not say how many people received it, so recipients must be counted before
one is published. Every pattern is linear in the length of the text.
"""

from __future__ import annotations

import re
from string import ascii_letters
from typing import Final

_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?>(?:\.[\w-]++)*)")
_LINK: Final = re.compile(
    r"(?i:https?://|(?<!\w)www\.)\S*+|(?<![\w.-])(?>(?:[\w-]++\.)+)[^\W\d_]{2,24}/\S*+"
)
_DIGITS: Final = re.compile(r"\d\w*+(?>(?:[ .,:/+-]{0,2}+\d\w*+)*)")
_LETTERS: Final = f"{ascii_letters}{''.join(map(chr, range(0x400, 0x530)))}_"
_HINTS: Final = ("код", "парол", "пин", "code", "passw", "pin", "otp", "kod", "parol")
_KEYWORD: Final = (
    r"\b(?:(?:промо|пин)?код(?:а|у|ом|е|ы|ов)?|парол(?:ь|я|ю|ем|е|и)|(?:pass|pin|promo)?codes?"
    r"|password|pin|пин|otp|kod|parol)\b"
)
_SECRET: Final = re.compile(
    rf"{_KEYWORD}((?>(?:[\s:=—–\-«\"'(]++(?!{_KEYWORD})[^\W\d_]++(?!\w)){{1,8}}))", re.IGNORECASE
)
_WORD: Final = re.compile(r"([\s:=—–\-«\"'(]++)([^\W\d_]++)")
_DESCRIPTIONS: Final = (
    "авторизации активации аккаунт аккаунта аутентификации безопасности бронирования ваш вашего "
    "верификации восстановления временный вход входа выдачи в для доступа доступ единый заказ "
    "заказа заявки и из изменения кабинет кабинета карты клиента купона личный личного личном на "
    "новый номера одноразовый оплаты от операции отмены очереди партнера пароля перевода "
    "подтверждения подтверждение получения посылки при приложения приложение проверки промо "
    "регистрации сайт сайта сброса скидки скидку смены телефона товара по это "
    "access activation authorization confirmation for is login of on the to verification your"
)
_DESCRIBES: Final = frozenset(_DESCRIPTIONS.split())


def template_of(text: str) -> str:
    """Mask a text: ``{email}``, ``{link}``, ``{code}`` and ``#`` replace what varies."""
    if "/" in text or "www." in text:
        text = " ".join(map(_mask_link, text.split(" ")))
    if "@" in text:
        text = _EMAIL.sub("{email}", text)
    if any(map(text.lower().__contains__, _HINTS)):
        text = _SECRET.sub(_mask_secret, text)
    *pieces, last = _DIGITS.split(text)
    return "#".join([*(piece.rstrip(_LETTERS) for piece in pieces), last])


def _mask_link(piece: str) -> str:
    return _LINK.sub("{link}", piece) if "/" in piece or "www." in piece else piece


def _mask_secret(match: re.Match[str]) -> str:
    """Mask the first word that is no description, and the first word after a colon."""
    secret_seen = False
    kept = [match[0][: match.start(1) - match.start()]]
    for gap, word in _WORD.findall(match[1]):
        after_colon = ":" in gap or "=" in gap
        is_secret = after_colon or not (secret_seen or word.casefold() in _DESCRIBES)
        kept.append(f"{gap}{{code}}" if is_secret else f"{gap}{word}")
        secret_seen = secret_seen or is_secret
    return "".join(kept)
