"""Names of people in templates, masked before a template is shown: ``{name}``.

A template that 20 recipients of a site had may still hold a first name that 20 of them share. Masked
are, with a capital letter: first names that are common in Russia, in every case and also written in
Latin letters, with the words beside them (surname, patronymic); and whatever a salutation addresses
(``Уважаемый …,`` ``Здравствуйте, …!``). Names that are words too (Вера, Роман) count as names where
they are addressed. It masks too much rather than too little: a user may label what it spoils.

A rare name beyond all of this is not known here; only the 20 recipients stand before it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_COMMON: Final = """
Александр Алексей Альберт Анатолий Андрей Антон Аркадий Арсений Артем Артемий Артур Афанасий Ахмед
Богдан Борис Вадим Валентин Валерий Василий Виктор Виталий Владимир Владислав Всеволод Вячеслав
Гавриил Геннадий Георгий Герман Глеб Григорий Давид Дамир Даниил Данил Данила Демид Денис Дмитрий
Евгений Егор Ефим Захар Иван Игнат Игорь Ильдар Ильнур Илья Иосиф Ирек Камиль Карен Кирилл Клим
Константин Кузьма Лаврентий Леонид Леонтий Лука Магомед Макар Максим Марат Марк Мартин Матвей
Мирон Михаил Мурат Назар Никита Николай Олег Оскар Остап Павел Петр Платон Прохор Рамиль Ратмир
Рашид Ренат Ринат Родион Роберт Ростислав Руслан Рустам Савва Савелий Салават Самвел Святослав
Семен Сергей Станислав Степан Тагир Тамерлан Тигран Тимофей Тимур Тихон Федор Филипп Фарид Эдуард
Эльдар Эмиль Юрий Яков Ян Ярослав
Агата Аделина Аида Айгуль Аксинья Александра Алена Алеся Алина Алиса Алла Альбина Альфия Амина
Анастасия Ангелина Анжела Анжелика Анна Антонина Арина Асель Ася Валентина Валерия Варвара Василиса
Вероника Виктория Виолетта Галина Гульнара Дарина Дарья Диана Дина Динара Ева Евгения Евдокия
Екатерина Елена Елизавета Жанна Зинаида Зоя Зульфия Ильмира Инга Инесса Инна Ирина Камилла Карина
Кира Клавдия Кристина Ксения Лариса Лейла Лидия Лиана Лилия Людмила Маргарита Марианна Марина Мария
Марьяна Милана Милена Мирослава Наталия Наталья Нелли Ника Нина Оксана Олеся Ольга Полина Раиса
Регина Римма Рита Розалия Рузанна Сабина Светлана Серафима Снежана София Софья Стефания Таисия
Тамара Татьяна Ульяна Фаина Фатима Христина Элеонора Элина Эльвира Эльмира Эмилия Юлиана Юлия Яна
Ярослава
Аня Вадик Валера Валя Ваня Варя Вася Вика Витя Вова Володя Галя Гена Гоша Гриша Даша Дима Женя Жора
Зина Ира Катя Коля Костя Ксюша Лена Леша Лиза Люба Люда Маша Миша Надя Настя Наташа Олечка Оля Паша
Петя Рома Саша Сережа Соня Стас Степа Таня Толя Федя Юля Юра Яша
"""
_ALSO_WORDS: Final = """
Августа Вера Лада Лев Любовь Майя Марта Мила Мира Надежда Роза Роман Света Слава
"""
_NO_PEOPLE: Final = """
абонент вам вас ваш ваша ваше ваши внимание вы гости гость друг друзья клиент клиенты клиентка
коллега коллеги мы наш наша наши пациент пациенты покупатель покупатели партнер партнеры
пользователь родители соседи участник участники это customer client friend friends guest your
you we our
"""
_NOT_ADDRESSED: Final = frozenset(_NO_PEOPLE.split())
_ENDINGS: Final = (
    ("ия", ("ия", "ии", "ию", "ией", "ие")),
    ("а", ("а", "ы", "и", "е", "у", "ой", "ою")),
    ("я", ("я", "и", "е", "ю", "ей", "ею")),
    ("й", ("й", "я", "ю", "ем", "е", "и")),
    ("ь", ("ь", "я", "ю", "ем", "е", "и")),
    ("", ("", "а", "у", "ом", "ем", "е")),
)
_LATIN: Final = str.maketrans(
    {
        **dict(zip("абвгдежзийклмнопрстуфыэ", "abvgdezziyklmnoprstufye", strict=True)),
        **{"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ь": ""},
        **{"ю": "yu", "я": "ya"},
    }
)
_SPELLINGS: Final = (
    ("iy", "y"),
    ("iya", "ia"),
    ("yu", "iu"),
    ("ya", "ia"),
    ("ks", "x"),
    ("y", "i"),
)


def _forms(name: str) -> Iterator[str]:
    """The name in every case, and in Latin letters, all in lower case."""
    name = name.lower()
    ending, endings = next((end, all_) for end, all_ in _ENDINGS if name.endswith(end))
    stem = name.removesuffix(ending)
    yield from (stem + one for one in endings)
    if name in ("павел", "лев", "петр"):
        short = name[:-2] + name[-1] if name != "петр" else name
        yield from (short + one for one in ("а", "у", "ом", "е"))
    latin = name.translate(_LATIN)
    yield latin
    yield from (latin.replace(usual, other) for usual, other in _SPELLINGS)


_NAMES: Final = frozenset(form for name in _COMMON.split() for form in _forms(name))
_ALL_NAMES: Final = _NAMES | {form for name in _ALSO_WORDS.split() for form in _forms(name)}
_WORD: Final = r"[^\W\d_]++(?:-[^\W\d_]++)*+"
_WORDS: Final = re.compile(_WORD)
_SALUTED: Final = re.compile(
    r"(?i:\b(?:здравствуйте?|привет(?:ствуем)?|добр(?:ый|ого) (?:день|дня|вечер|вечера)"
    r"|доброе утро|уважаем(?:ый|ая|ые|ого|ой)|дорог(?:ой|ая|ие|ого)|hello|hi|dear))"
    rf"[ ,]{{1,3}}({_WORD}(?: {_WORD}){{0,2}})(?=\s*+(?:[,!.:;…)—–-]|\n|$))"
)
_HEAD: Final = re.compile(rf"\A\W*+({_WORD})(?=[,!])")
_RUN: Final = re.compile(rf"{_WORD}(?: {_WORD})*+")
_BESIDE: Final = re.compile(
    r"(?:ов|ев|ёв|ин|ын|ский|цкий|ской|ко|ук|юк|ова|ева|ёва|ина|ына|ская|цкая|дзе|швили|ян|ич|вна"
    r"|чна|шна)\Z"
)


def mask_names(template: str) -> str:
    """The template with ``{name}`` for the people that it names."""
    template = _SALUTED.sub(_mask_saluted, template)
    template = _HEAD.sub(_mask_head, template)
    return _RUN.sub(_mask_run, template)


def _is_name(word: str, names: frozenset[str] = _NAMES) -> bool:
    return word[0].isupper() and any(
        part in names for part in word.lower().replace("ё", "е").split("-")
    )


def _may_be_one(word: str) -> bool:
    return word[0].isupper() and word.lower() not in _NOT_ADDRESSED


def _mask_saluted(match: re.Match[str]) -> str:
    """Whoever is addressed by capitalised words; an ordinary word leaves the salutation as it is."""
    if not all(map(_may_be_one, match[1].split(" "))):
        return match[0]
    return match[0][: match.start(1) - match.start()] + "{name}"


def _mask_head(match: re.Match[str]) -> str:
    if not _is_name(match[1], _ALL_NAMES):
        return match[0]
    return match[0][: match.start(1) - match.start()] + "{name}"


def _mask_run(match: re.Match[str]) -> str:
    """Of words that stand beside each other, first names and the surnames next to them."""
    words = match[0].split(" ")
    masked = list(map(_is_name, words))
    if not any(masked):
        return match[0]
    for at in [place for place, is_name in enumerate(masked) if is_name]:
        if at and words[at - 1][0].isupper() and _BESIDE.search(words[at - 1]):
            masked[at - 1] = True
        for beside in (at + 1, at + 2):
            if beside == len(words) or not _may_be_one(words[beside]):
                break
            masked[beside] = True
    shown: list[str] = []
    for word, is_masked in zip(words, masked, strict=True):
        if not is_masked:
            shown.append(word)
        elif not shown or shown[-1] != "{name}":
            shown.append("{name}")
    return " ".join(shown)
