"""The names of all settings, and how to find misspelled ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Final

from dagster_project.config.section import Variable
from dagster_project.config.sections import INTERNAL_NAMES, OWN_SECTIONS, vendor_sections

ALIKE: Final = 0.85
"""How similar two names must be, from 0 to 1, for one to count as a misspelling of the other."""
OWN_PREFIXES: Final = ("WAREHOUSE", "PII", "ALARM")
_ACCOUNT: Final = re.compile(r"_\d+$")


@cache
def variables() -> Mapping[str, Variable]:
    """All variables of all sections, by name."""
    sections = (*OWN_SECTIONS, *vendor_sections())
    return {one.name: one for section in sections for one in section.variables()}


def is_setting(name: str) -> bool:
    """Whether a section reads this name, possibly for one account only."""
    return _variable(name) is not None or name in INTERNAL_NAMES


def secret_names(given: Iterable[str]) -> frozenset[str]:
    """Those of these names whose values are secret."""
    found = {name: _variable(name) for name in given}
    return frozenset(name for name, one in found.items() if one is not None and one.is_secret)


@cache
def vendor_names() -> frozenset[str]:
    """The vendors' names, which their settings begin with."""
    return frozenset(section.vendor for section in vendor_sections())


def find_unknown(given: Iterable[str], places: Mapping[str, str]) -> list[str]:
    """A sentence for each name that looks like a setting and is not read."""
    found = []
    for name in sorted(given):
        bare = name.removesuffix("_FILE")
        if is_setting(name) or is_setting(bare):
            continue
        if meant := _closest(bare):
            advice = f"did you mean {meant}{name[len(bare) :]}?"
        elif bare.startswith(_prefixes()):
            advice = "there is none of that name."
        else:
            continue
        place = places.get(name, "the environment")
        found.append(f"{name} ({place}) is not a setting: {advice}")
    return found


def _variable(name: str) -> Variable | None:
    if name in variables():
        return variables()[name]
    one = variables().get(_ACCOUNT.sub("", name))
    return one if one is not None and one.per_account else None


def _closest(name: str) -> str | None:
    account = _ACCOUNT.search(name)
    ending = account[0] if account else ""
    found = get_close_matches(name.removesuffix(ending), variables(), n=1, cutoff=ALIKE)
    return (
        f"{found[0]}{ending}"
        if found and not (ending and not variables()[found[0]].per_account)
        else None
    )


@cache
def _prefixes() -> tuple[str, ...]:
    vendors = (name.upper() for name in vendor_names())
    return tuple(f"{one}_" for one in (*OWN_PREFIXES, *vendors))
