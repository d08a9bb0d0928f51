"""Mask the names of people in an SMS's text: what is shown of a text, and what its ``template_id`` is made of.

``mask_text`` serves for both, so that an id reveals no more than the shown text: texts that differ only in a
name have the same id. Names become ``{name}``. They are recognized

- by a list: first names that are common in Russia, in every case and also written in Latin letters, with
  the words beside them (surname, patronymic); names that are words too (Вера, Роман) where they are
  addressed;
- by their form, in any alphabet: whom a salutation addresses (``Уважаемый …,`` ``Здравствуйте, …!``,
  ``Dear …``), one to three capitalised words that a text or a sentence begins with before a comma or an
  exclamation mark, or that stand between a comma and a mark (``…, Айгерім!``), who follows a word for a
  person (``мастер …``), whoever has a patronymic or initials, and words of an alphabet that the rest of
  the text is not written in. Alphabets without capitals count as capitalised.

Ordinary words that begin a sentence like this (``Внимание, …``) are in a list too. It masks too much rather than
too little, since users can label such templates. A name that is in no list, in the middle of a sentence and
without any of these marks, cannot be recognized; only the rule of 20 recipients protects it. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from dagster_project.vendors.calltouch.name_words import (
    ALL_NAMES,
    BIDDING,
    ESTEEM,
    GREETINGS,
    NAMES,
    NOT_ADDRESSED,
    ORDINARY_WORDS,
    PERSONS,
)
from dagster_project.vendors.calltouch.templates import template_of


def _character_ranges(letters: Iterator[int]) -> str:
    """These code points as the inside of a regular expression's character class."""
    shown = ""
    first = last = -2
    for letter in letters:
        if letter != last + 1:
            shown += "" if last < 0 else f"{chr(first)}-{chr(last)}"
            first = letter
        last = letter
    return f"{shown}{chr(first)}-{chr(last)}"


_MARKS: Final = _character_ranges(
    point for point in range(0x300, 0x20000) if unicodedata.category(chr(point)) in ("Mn", "Mc")
)
"""Combining vowels and accents, which ``re`` does not count as part of a word."""
_LETTERS: Final = rf"[^\W\d_]++(?>(?:[{_MARKS}]++[^\W\d_]*+)*)"
_WORD: Final = rf"{_LETTERS}(?>(?:[-'’ʼʻ]{_LETTERS})*)"
_START: Final = r"(?<![\w'’ʼʻ-])"
_SOME_WORDS: Final = rf"{_WORD}(?: {_WORD}){{0,2}}"
_PARTS: Final = re.compile(_LETTERS)


def _first_words(phrases: str) -> frozenset[str]:
    """The first word of each phrase, as ``_PARTS`` finds it; a text without any of them need not be searched."""
    return frozenset(_PARTS.findall(phrase)[0] for phrase in phrases.split("|"))


_SALUTING: Final = _first_words(f"{GREETINGS}|{ESTEEM}")
_FOR_A_PERSON: Final = _first_words(PERSONS)
_SALUTED: Final = re.compile(
    rf"\b(?i:{GREETINGS}|{ESTEEM})[ ,]{{1,3}}({_SOME_WORDS})"
    r"(?=\s*+(?:[,،，!！?؟.。:;…)—–-]|\n|$))"
)
_MARKED: Final = re.compile("[,،，!！]")
_INITIAL: Final = re.compile(r"(?<![\w.])[^\W\d_a-zа-яё]\.")
_HEAD: Final = re.compile(
    rf"(?:\A[^\w{{#]*+|(?<=[!?…\n])[ \n]*+|(?<=[^\W\d_]{{4}}\.)[ \n]++)"
    rf"({_SOME_WORDS})(?=\s*+([,،，!！])(?:\s*+({_WORD}))?)"
)
_CALLED: Final = re.compile(rf"[,،，]\s*+({_SOME_WORDS})(?=\s*+([,،，!！?؟.。…]|\n|$))")
_BEFORE: Final = re.compile(rf"{_START}({_WORD})\W*\Z")
_LOOKED_BACK: Final = 40
"""How many characters before a comma are searched for the word before it."""
_PERSON: Final = re.compile(rf"(\b(?i:{PERSONS})\b\.?:? )({_SOME_WORDS})")
_PATRONYMIC: Final = re.compile(
    r"(?:ич|ича|ичу|ичем|вна|вны|вне|вну|вной|чна|чны|чне|чну|чной|шна|оглы|кызы|қызы|улы|ұлы)\Z"
)
_INITIALS: Final = re.compile(
    rf"{_START}({_WORD}) ([^\W\d_])\.(?: ?[^\W\d_]\.)?|{_START}([^\W\d_])\.(?: ?[^\W\d_]\.)? ?({_WORD})"
)
_OTHER_ALPHABET: Final = re.compile(r"[\u0530-\u1dff\u2c80-\ud7ff\uf900-\uffdc]")
_OTHER_WORDS: Final = re.compile(
    rf"(?>(?:[\u0530-\u1dff\u2c80-\ud7ff\uf900-\uffdc][{_MARKS}]*+)+"
    rf"(?: (?:[\u0530-\u1dff\u2c80-\ud7ff\uf900-\uffdc][{_MARKS}]*+)+)*)"
)
_USUAL_LETTERS: Final = re.compile("[A-Za-zА-яЁёІіЇїЄєҐґЎў]")
_MOST_OTHER: Final = 3
_PLACE: Final = re.compile(r"\{(?:name|code|link|email)\}")
_LONGEST_WITHOUT_CAPITALS: Final = 12
_BIRTHDAY: Final = re.compile(
    r"(?i:\bрожден|\bроди(?:лся|лась)\b|\bименин|\bюбиле|\bдр\b|birthday|туған күн|народжен)"
)
_MONTH: Final = re.compile(
    r"(?i:(?>(?:\b(?:january|february|march|april|may|june|july|august|september|october|november|december) )*)"
    r"#(?>(?:[ -]?(?:январ|феврал|март|апрел|ма[йя]|июн|июл|август|сентябр|октябр|ноябр|декабр|jan|feb|mar|apr"
    r"|may|jun|jul|aug|sep|oct|nov|dec)[^\W\d_]*+\.?| #)*))"
)
_RUN: Final = re.compile(rf"{_WORD}(?>(?: {_WORD})*)")
_BESIDE: Final = re.compile(
    r"(?:ов|ев|ёв|ин|ын|ский|цкий|ской|ко|ук|юк|ова|ева|ёва|ина|ына|ская|цкая|дзе|швили|ян|ич|вна"
    r"|чна|шна)\Z"
)


def mask_text(text: str) -> str:
    """Mask a text for showing, and for its ``template_id``.

    In a birthday the month is masked, like the day.
    """
    template = template_of(text)
    if "#" in template and _BIRTHDAY.search(template):
        template = _MONTH.sub("#", template)
    return mask_names(template)


def mask_names(template: str) -> str:
    """Replace the names in a template by ``{name}``.

    A masked name helps to recognize the next one, so it repeats until nothing more is found.
    """
    while (masked := _mask_once(template)) != template:
        template = masked
    return template


def _mask_once(template: str) -> str:
    words = set(_PARTS.findall(template.lower().replace("ё", "е")))
    if not words.isdisjoint(_SALUTING):
        template = _SALUTED.sub(_mask_saluted, template)
    if _MARKED.search(template):
        template = _HEAD.sub(_mask_head, template)
        template = _CALLED.sub(_mask_called, template)
    if _INITIAL.search(template):
        template = _INITIALS.sub(_mask_initials, template)
    if not words.isdisjoint(_FOR_A_PERSON):
        template = _PERSON.sub(_mask_person, template)
    if _OTHER_ALPHABET.search(template) and _is_latin_or_cyrillic(template):
        template = _OTHER_WORDS.sub(_mask_other, template)
    if words.isdisjoint(NAMES) and not any(map(_PATRONYMIC.search, words)):
        return template
    return _RUN.sub(_mask_run, template)


def _is_latin_or_cyrillic(template: str) -> bool:
    """Whether most letters of the text are Latin or Cyrillic."""
    text = _PLACE.sub("", template)
    return len(_USUAL_LETTERS.findall(text)) > len(_OTHER_ALPHABET.findall(text))


def _is_name(word: str, names: frozenset[str] = NAMES) -> bool:
    return word[0].isupper() and any(
        part in names for part in word.lower().replace("ё", "е").split("-")
    )


def _is_capital(word: str) -> bool:
    """Whether a word is capitalized like a name; in alphabets without capitals every word is."""
    return word[0].isupper() or "ა" <= word[0] <= "ჿ" or unicodedata.category(word[0]) == "Lo"


def _may_be_name(word: str) -> bool:
    return _is_capital(word) and word.lower() not in NOT_ADDRESSED


def _is_ordinary(word: str) -> bool:
    word = word.lower()
    return word in ORDINARY_WORDS or word.endswith(BIDDING)


def _may_be_people(words: str) -> bool:
    """Whether these words, where a person may be addressed, all look like names.

    In an alphabet without capitals one short word does; several are a sentence.
    """
    if not all(_is_capital(word) and not _is_ordinary(word) for word in words.split(" ")):
        return False
    return words[0].isupper() or (" " not in words and len(words) <= _LONGEST_WITHOUT_CAPITALS)


def _mask_saluted(match: re.Match[str]) -> str:
    """Mask capitalized words after a salutation; an ordinary word leaves the salutation as it is."""
    if not all(map(_may_be_name, match[1].split(" "))):
        return match[0]
    return match[0][: match.start(1) - match.start()] + "{name}"


def _mask_head(match: re.Match[str]) -> str:
    words, mark, after = match.groups()
    is_known = " " not in words and _is_name(words, ALL_NAMES)
    if not is_known and not _begins_with_people(words, match.start() == 0):
        return match[0]
    if not is_known and _begins_enumeration(words, mark, after):
        return match[0]
    return match[0][: match.start(1) - match.start()] + "{name}"


def _begins_with_people(words: str, of_text: bool) -> bool:
    """Whether the words are names; a text that begins in lower case begins with what somebody typed into a form."""
    is_typed = of_text and words.islower() and " " not in words and not _is_ordinary(words)
    return is_typed or _may_be_people(words)


def _begins_enumeration(words: str, mark: str, after: str | None) -> bool:
    """Whether an enumeration begins here (``Москва, Казань``), and not a sentence to somebody."""
    return (
        mark not in "!！"
        and after is not None
        and after[0].isupper()
        and not (_is_ordinary(after) or words.isupper())
    )


def _mask_called(match: re.Match[str]) -> str:
    words, end = match.groups()
    text, at = match.string, match.start()
    before = _BEFORE.search(text[max(at - _LOOKED_BACK, 0) : at])
    if not words[0].isupper() and (not end or end not in ",،，!！"):
        return match[0]  # without capitals, the end of a sentence
    follows_a_name = before and before[1][0].isupper() and not _is_ordinary(before[1])
    if follows_a_name or not _may_be_people(words):
        return match[0]
    return match[0][: match.start(1) - match.start()] + "{name}"


def _mask_person(match: re.Match[str]) -> str:
    words = match[2].split(" ")
    named = 0
    while named < len(words) and _may_be_people(words[named]):
        named += 1
    return " ".join([match[1] + "{name}", *words[named:]]) if named else match[0]


def _mask_initials(match: re.Match[str]) -> str:
    word, initial = match[1] or match[4], match[2] or match[3]
    return "{name}" if initial.isupper() and _may_be_people(word) else match[0]


def _mask_other(match: re.Match[str]) -> str:
    """Mask a few words of another alphabet; more of them are a text of their own."""
    return "{name}" if match[0].count(" ") < _MOST_OTHER else match[0]


def _mask_run(match: re.Match[str]) -> str:
    """Mask first names, and surnames next to them, in a run of words."""
    words = match[0].split(" ")
    masked = list(map(_is_name, words))
    for at, (before, word) in enumerate(pairwise(words)):
        if _PATRONYMIC.search(word) and word[0].isupper() and _may_be_people(before):
            masked[at : at + 2] = [True, True]
    if not any(masked):
        return match[0]
    for at in [place for place, is_name in enumerate(masked) if is_name]:
        if at and words[at - 1][0].isupper() and _BESIDE.search(words[at - 1]):
            masked[at - 1] = True
        for beside in (at + 1, at + 2):
            if beside == len(words) or not _may_be_name(words[beside]):
                break
            masked[beside] = True
    shown: list[str] = []
    for word, is_masked in zip(words, masked, strict=True):
        if not is_masked:
            shown.append(word)
        elif not shown or shown[-1] != "{name}":
            shown.append("{name}")
    return " ".join(shown)
