"""What the played Calltouch sends: campaign templates, recipients, statuses, ugly texts.

Templates are written as bodies of JSON strings, already escaped, with the places ``{0}`` name, ``{1}``
number, ``{2}`` roubles and ``{3:x}`` link. Every figure is invented; the domains cannot exist.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

STATUSES: tuple[tuple[str, str], ...] = (
    ("waiting", "Статус еще не получен"),
    ("waiting", "Ожидает отправки"),
    ("sent", "Передано оператору"),
    ("delivered", "Доставлено"),
    ("error", "Невозможно доставить"),
    ("error", "Неверный номер"),
    ("error", "Запрещено"),
    ("error", "Недостаточно средств"),
    ("error", "Недоступный номер"),
    ("sent", "Просрочено"),
    ("unknown", "Неизвестный статус"),
    ("unknown", "Статус еще не получен"),
)
(
    NO_STATUS,
    QUEUED,
    WITH_OPERATOR,
    DELIVERED,
    UNDELIVERABLE,
    BAD_NUMBER,
    FORBIDDEN,
    NO_MONEY,
    UNREACHABLE,
    EXPIRED,
    UNKNOWN,
    UNKNOWN_YET,
) = range(len(STATUSES))


def _status_json(status: str, detail: str, *, escaped: bool) -> bytes:
    text = json.dumps({"smsStatus": status, "smsStatusDetail": detail}, ensure_ascii=escaped)
    return (text[1:-1] + ',"smsMessage":"').encode()


STATUS_JSON = tuple(_status_json(*pair, escaped=False) for pair in STATUSES)
STATUS_JSON_ESCAPED = tuple(_status_json(*pair, escaped=True) for pair in STATUSES)


@dataclass(frozen=True, slots=True)
class Template:
    """A text, how often it is sent, how many of it arrive, and when in the day."""

    text: str
    weight: float
    delivered: float
    rhythm: str
    weekend: float = 1.0


# Shares of a day by hour, from midnight; they need not add up to one.
RHYTHMS: dict[str, tuple[int, ...]] = {
    "campaign": (0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 14, 22, 12, 8, 6, 6, 8, 14, 10, 4, 1, 0, 0, 0),
    "service": (0, 0, 0, 0, 0, 0, 0, 1, 4, 8, 9, 9, 8, 8, 8, 8, 9, 10, 10, 8, 5, 2, 0, 0),
    "codes": (3, 2, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 7, 7, 6, 6, 7, 8, 9, 10, 10, 9, 7, 5),
    "morning": (0, 0, 0, 0, 0, 0, 0, 3, 20, 35, 20, 6, 3, 2, 2, 2, 3, 3, 1, 0, 0, 0, 0, 0),
}

SHOP: tuple[Template, ...] = (
    Template("Ваш код авторизации: {1}", 15, 0.965, "codes"),
    Template("{1} - код подтверждения заказа. Никому его не сообщайте", 9, 0.96, "codes"),
    Template(
        "{0}, заказ №{1} собран и ждет вас до конца недели. К оплате {2} р.", 11, 0.97, "service"
    ),
    Template(
        "Заказ №{1} передан курьеру. Отследить: https://tdom.example/t/{3:x}", 9, 0.955, "service"
    ),
    Template("Заказ №{1} отменен, {2} р. вернутся на карту за 3 дня", 2, 0.95, "service"),
    Template("Внимание, скидки!\\nТолько сегодня", 14, 0.87, "campaign", 0.4),
    Template(
        "{0}, дарим {2} бонусов! Спишите до 30% чека: tdom.example/b/{3:x}",
        12,
        0.84,
        "campaign",
        0.5,
    ),
    Template(
        "Распродажа до -70% в «Тёплом доме». Подробнее https://tdom.example/s",
        10,
        0.82,
        "campaign",
        0.6,
    ),
    Template(
        "{0}, вы забыли товары в корзине на {2} р. Вернуться: tdom.example/c/{3:x}",
        6,
        0.89,
        "service",
    ),
    Template(
        "Оцените покупку №{1} и получите {2} баллов: tdom.example/r/{3:x}", 5, 0.86, "service"
    ),
    Template("{0}, с днём рождения! Ваш промокод BD{1} на скидку 15%", 2, 0.93, "morning"),
    Template(
        "Новая коллекция текстиля уже в магазинах. Отказ от рассылки: tdom.example/u",
        5,
        0.74,
        "campaign",
        0.3,
    ),
)
CLINIC: tuple[Template, ...] = (
    Template(
        "{0}, ждём вас завтра в клинике «Улыбка». Отменить: +7 495 000-{1}", 45, 0.97, "morning"
    ),
    Template("Код для входа в личный кабинет: {1}", 20, 0.965, "codes"),
    Template(
        "{0}, пора на осмотр! Профгигиена за {2} р. Запись: ulybka.example/z/{3:x}",
        22,
        0.85,
        "campaign",
        0.2,
    ),
    Template("Спасибо за визит! Оставьте отзыв: ulybka.example/o/{3:x}", 13, 0.88, "service"),
)
SETS: dict[str, tuple[Template, ...]] = {"shop": SHOP, "clinic": CLINIC}
SALE = 7

UGLY: tuple[str, ...] = (
    "Строка 1\\r\\nСтрока 2\\n\\n\\tс отступом",
    "Кавычки \\\"двойные\\\", 'одинарные', «ёлочки» и \\\\обратная косая\\\\",
    "C:\\\\temp\\\\new \\\\u0041 \\\\n не перевод строки",
    "Скидка 🔥🔥 только для вас 👩‍👩‍👧 🇷🇺",
    "Скидка \\ud83d\\udd25 по коду {1}",
    "Нулевой\\u0000символ внутри {1}",
    "Одинокий суррогат \\ud83d в середине {1}",
    "Обрезано посреди эмодзи \\ude00",
    "",
    " ",
    "\\u2028разделитель строк\\u2029и абзацев\\u0085, нулевой\\u200bширины, \\ufeffBOM",
    "مرحبا {0} \\u202eтекст справа налево",
    "'; DROP TABLE sms; -- \\\\. \\\\N $1 %s %(name)s {{}}",
    "\\u0001\\u0008\\u000c\\u001f\\u007f управляющие",
    "e\\u0301 и é: одно и то же?",
    "Длинное сообщение для {0}: " + "очень длинный текст рассылки, " * 50 + "конец",
    "Очень длинное: " + "0123456789абвгдежзиклмнопрст " * 700,
)

NAMES: tuple[str, ...] = (
    "Анна", "Мария", "Елена", "Ольга", "Наталья", "Ирина", "Светлана", "Татьяна", "Екатерина", "Юлия",
    "Дарья", "Алёна", "Ксения", "Вера", "Любовь", "Александр", "Дмитрий", "Сергей", "Андрей", "Алексей",
    "Максим", "Иван", "Михаил", "Николай", "Артём", "Владимир", "Егор", "Фёдор", "Пётр", "Тимур",
)  # fmt: skip

CODES: tuple[str, ...] = (
    "903", "905", "906", "909", "910", "911", "912", "913", "914", "915", "916", "917", "918", "919",
    "920", "921", "922", "923", "924", "925", "926", "927", "928", "929", "930", "931", "937", "950",
    "951", "952", "953", "960", "961", "962", "963", "964", "965", "967", "968", "977", "980", "981",
    "982", "983", "985", "987", "988", "989", "996", "999",
)  # fmt: skip
FOREIGN: tuple[str, ...] = (
    "7701{0:07d}", "37529{0:07d}", "38067{0:07d}", "99890{0:07d}", "37491{1:06d}", "995555{1:06d}",
    "99670{0:07d}", "49151{0:08d}", "44779{0:07d}", "905321{1:06d}",
)  # fmt: skip
INVALID: tuple[str, ...] = (
    "7920938",
    "0",
    "",
    "79209383654123456",
    "не указан",
    "7000{0:07d}",
    "+",
)

MASKED, ABROAD, WRONG = 975, 988, 997


def kind_of(person: int) -> int:
    """0..999: below ``MASKED`` plain, then written in masks, then foreign, from ``WRONG`` on invalid."""
    return (person * 2_654_435_761 >> 7) % 1000


def phone_of(person: int, salt: int) -> str:
    """The number as Calltouch would write it; the same person in a mask may be written differently."""
    mixed = (person * 2_246_822_519 + 374_761_393) & 0xFFFFFFFF
    kind = kind_of(person)
    code, local = CODES[mixed % len(CODES)], f"{mixed % 10_000_000:07d}"
    if kind < MASKED:
        return f"7{code}{local}"
    if kind < ABROAD:
        return _masked(code, local, salt % 5)
    choices = FOREIGN if kind < WRONG else INVALID
    return choices[mixed % len(choices)].format(mixed % 10_000_000, mixed % 1_000_000)


def _masked(code: str, local: str, mask: int) -> str:
    if mask == 0:
        return f"8{code}{local}"
    if mask == 1:
        return f"+7 {code} {local[:3]} {local[3:5]} {local[5:]}"
    if mask == 2:
        return f"({code}) {local[:3]}-{local[3:5]}-{local[5:]}"
    if mask == 3:
        return f"8 ({code}) {local[:3]} {local[3:]}"
    return f"7{code}{local}"
