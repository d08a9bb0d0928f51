"""What the text of a setting may be: types for the fields of sections, each with its parser and its refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, SecretStr

LARGEST_ID: Final = 2**63 - 1
"""The largest ``bigint``."""
LARGEST_NUMBER: Final = 2**31 - 1
_QUOTED: Final = 40


class InvalidSetting(ValueError):
    """A text is not what its setting needs; ``what`` says so, and follows the setting's name."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


def _parsed_by(read: Callable[[str], Any]) -> BeforeValidator:
    """A validator that parses texts with ``read``, and accepts other values as they are."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


def _parse_bounded(digits: str) -> int:
    """Parse a number of any length; a very long one is only known to be too large."""
    return int(digits.lstrip("0")[:20] or "0")


def _parse_whole(text: str) -> int:
    if not text.isdecimal():
        raise InvalidSetting(f" is not a whole number: {text[:_QUOTED]!r}.")
    if (number := _parse_bounded(text)) > LARGEST_NUMBER:
        raise InvalidSetting(f" is larger than {LARGEST_NUMBER}: {text[:_QUOTED]}.")
    return number


def _parse_positive(text: str) -> int:
    if (number := _parse_whole(text)) < 1:
        raise InvalidSetting(" must be at least 1.")
    return number


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidSetting(f" is not a number: {text[:_QUOTED]!r}.") from None


def _parse_rate(text: str) -> float:
    if not 0 < (number := _parse_number(text)) < float("inf"):
        raise InvalidSetting(f" must be above 0: {text[:_QUOTED]!r}.")
    return number


def _parse_share(text: str) -> float:
    if not 0 <= (share := _parse_number(text)) <= 1:
        raise InvalidSetting(f" must be from 0 to 1: {text[:_QUOTED]!r}.")
    return share


def _parse_yes_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise InvalidSetting(f" is neither yes nor no: {text[:_QUOTED]!r}.")
    return text.lower() == "yes"


def _parse_zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        raise InvalidSetting(
            f": no time zone is called {text[:_QUOTED]!r}.", "use a name like Europe/Moscow"
        ) from None


def _split_url(text: str, form: str) -> SplitResult:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidSetting(" is not a URL.", f"write it as {form}")
    return parts


def _parse_url(text: str) -> str:
    parts = _split_url(text, "https://host")
    if parts.username or parts.password:
        raise InvalidSetting(" carries credentials.", "use the settings made for them.")
    return text.rstrip("/")


def _parse_secret_url(text: str) -> SecretStr:
    _split_url(text, "https://host/path")
    return SecretStr(text)


def _parse_ids(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise InvalidSetting(" is not a list of whole numbers.", "write it as 101,102")
    ids = tuple(_parse_bounded(part) for part in parts)
    for written, number in zip(parts, ids, strict=True):
        if not 0 < number <= LARGEST_ID:
            raise InvalidSetting(
                f": {written[:_QUOTED]} is not a number from 1 to 2^63 - 1.",
                "copy the number from the vendor's account.",
            )
    if len(set(ids)) != len(ids):
        raise InvalidSetting(" names one twice.")
    return ids


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


_OWNER: Final = re.compile(r"team:\S.*|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")


def _parse_owners(text: str) -> tuple[str, ...]:
    owners = _parse_list(text)
    for owner in owners:
        if not _OWNER.fullmatch(owner):
            raise InvalidSetting(
                f" names an owner that Dagster does not take: {owner[:40]!r}.",
                "write an e-mail address, or team: and a name",
            )
    return owners


def _parse_hosts(text: str) -> tuple[str, ...]:
    parts = _parse_list(text.lower())
    if not all(re.fullmatch(r"[a-z0-9.-]*|\[[0-9a-f:.]+\]", part) for part in parts):
        raise InvalidSetting(
            " is not a list of hosts' names.",
            "write it as warehouse.example.com,10.0.0.5, without scheme and port.",
        )
    return parts


IS_URL: Final = "url"

WholeNumber = Annotated[int, _parsed_by(_parse_whole)]
PositiveNumber = Annotated[int, _parsed_by(_parse_positive)]
Rate = Annotated[float, _parsed_by(_parse_rate)]
Share = Annotated[float, _parsed_by(_parse_share)]
YesNo = Annotated[bool, _parsed_by(_parse_yes_no)]
Zone = Annotated[ZoneInfo, _parsed_by(_parse_zone)]
Url = Annotated[str, _parsed_by(_parse_url), IS_URL]
SecretUrl = Annotated[SecretStr | None, _parsed_by(_parse_secret_url), IS_URL]
Ids = Annotated[tuple[int, ...], _parsed_by(_parse_ids)]
TextList = Annotated[tuple[str, ...], _parsed_by(_parse_list)]
Hosts = Annotated[tuple[str, ...], _parsed_by(_parse_hosts)]
Owners = Annotated[tuple[str, ...], _parsed_by(_parse_owners)]
