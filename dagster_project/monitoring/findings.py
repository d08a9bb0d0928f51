"""What the doctor found: grouped where many are of one kind, and summed up in one line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from dagster_project.model.finding import Finding
from dagster_project.text import remedies
from dagster_project.text.wording import pluralize, shorten

_CLOSES_FUNCTION = re.compile(r"REVOKE EXECUTE ON FUNCTION (.+) FROM PUBLIC")
_LIMITS_FILES = re.compile(r"ALTER ROLE (\S+) SET temp_file_limit = .+")
_LIMITS_LOGIN = re.compile(r"ALTER ROLE (\S+) (?:SET )?(CONNECTION LIMIT|\w+) .+")
_FUNCTIONS_SHOWN = 3


def summarize(findings: Sequence[Finding]) -> str:
    """The last line, which says whether to read the others."""
    states = Counter(finding.state for finding in findings)
    wrong = f"{states['wrong']} to be mended" if states["wrong"] else "nothing is wrong"
    return f"{wrong}, {pluralize(states['note'], 'note')}, {states['good']} good."


def group_gaps(gaps: Sequence[tuple[str, str]]) -> list[Finding]:
    """What is open and should not be, by who can close it: one line for all that only a superuser can."""
    functions: list[str] = []
    unlimited: list[str] = []
    logins: dict[str, list[tuple[str, str]]] = {}
    others: list[Finding] = []
    for gap, mend in gaps:
        if found := _CLOSES_FUNCTION.fullmatch(mend):
            functions.append(found[1])
        elif found := _LIMITS_FILES.fullmatch(mend):
            unlimited.append(found[1])
        elif found := _LIMITS_LOGIN.fullmatch(mend):
            logins.setdefault(found[1], []).append((found[2], mend))
        else:
            others.append(_for_administrator(f"{gap}.", mend))
    for login, limits in logins.items():
        names, mends = zip(*limits, strict=True)
        text = f"the login {login} reads bi without {', '.join(names)}."
        others.append(_for_administrator(text, "; ".join(mends)))
    return [*_for_superuser(functions, unlimited), *others]


def _for_administrator(text: str, mend: str) -> Finding:
    return Finding("roles", "wrong", text, f"as an administrator: {mend};")


def _for_superuser(functions: Sequence[str], unlimited: Sequence[str]) -> list[Finding]:
    open_things = []
    if functions:
        named = ", ".join(shorten(functions, _FUNCTIONS_SHOWN))
        open_things.append(
            f"everybody may call {pluralize(len(functions), 'built-in function')} ({named})"
        )
    if unlimited:
        open_things.append(f"temporary files of {', '.join(unlimited)} have no limit")
    if not open_things:
        return []
    text = f"only a superuser of the server can close this: {'; '.join(open_things)}."
    return [Finding("roles", "wrong", text, remedies.CLOSE_GAPS)]
