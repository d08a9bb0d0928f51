"""Base of the settings' sections: typed classes whose fields have a variable's name and default.

A field's ``validation_alias`` is its variable's name. ``.env.example`` and ``docs/settings.md`` show its
``description``, and its ``examples`` if it has no default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Final, Self
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, JsonValue, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dagster_project.config.raw_settings import RawSettings
from dagster_project.errors import SettingsError

LARGEST_ID: Final = 2**63 - 1
"""The largest ``bigint``."""
LARGEST_NUMBER: Final = 2**31 - 1
PER_ACCOUNT: Final[dict[str, JsonValue]] = {"per_account": True}
"""A field's ``json_schema_extra``: its variable may be set for a single account too, ``NAME_101``."""
_QUOTED: Final = 40


class InvalidSetting(ValueError):
    """A text is not what its setting needs; ``what`` says so, and follows the setting's name."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


@dataclass(frozen=True)
class Variable:
    """One variable of a section, for the documents and for finding misspelled names."""

    name: str
    default: str | None
    example: str | None
    about: str
    is_secret: bool
    per_account: bool


# --- What a text may be -----------------------------------------------------------------------------


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


def _parse_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidSetting(" is not a URL.", "write it as https://host")
    if parts.username or parts.password:
        raise InvalidSetting(" carries credentials.", "use the settings made for them.")
    return text.rstrip("/")


def _parse_secret_url(text: str) -> SecretStr:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidSetting(" is not a URL.", "write it as https://host/path")
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


_IS_URL: Final = "url"

WholeNumber = Annotated[int, _parsed_by(_parse_whole)]
PositiveNumber = Annotated[int, _parsed_by(_parse_positive)]
Rate = Annotated[float, _parsed_by(_parse_rate)]
Share = Annotated[float, _parsed_by(_parse_share)]
YesNo = Annotated[bool, _parsed_by(_parse_yes_no)]
Zone = Annotated[ZoneInfo, _parsed_by(_parse_zone)]
Url = Annotated[str, _parsed_by(_parse_url), _IS_URL]
SecretUrl = Annotated[SecretStr | None, _parsed_by(_parse_secret_url), _IS_URL]
Ids = Annotated[tuple[int, ...], NoDecode, _parsed_by(_parse_ids)]
TextList = Annotated[tuple[str, ...], NoDecode, _parsed_by(_parse_list)]
Hosts = Annotated[tuple[str, ...], NoDecode, _parsed_by(_parse_hosts)]
Owners = Annotated[tuple[str, ...], NoDecode, _parsed_by(_parse_owners)]


# --- Sections --------------------------------------------------------------------------------------


class Section(BaseSettings):
    """Base of the sections, made by ``read`` from texts, or in Python from typed values."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what ``read`` passes."""
        return (init_settings,)

    @classmethod
    def read(cls, given: RawSettings, *, account: str | None = None) -> Self:
        """Read the section from these texts; settings for the given account win.

        Raises:
            SettingsError: a text is not what its setting needs, or a setting without a default is absent.
        """
        names = {variable.name: variable.name for variable in cls.variables()}
        if account is not None:
            own = {name: f"{name}_{account}" for name in names}
            names |= {name: one for name, one in own.items() if given.get(one)}
        try:
            section = cls(**_texts_by_alias(cls, given, names))
        except ValidationError as error:
            raise _settings_error(error, given, names) from None
        for field in cls.model_fields.values():
            if _IS_URL in field.metadata and (text := given.get(names[_alias(field)])):
                refuse_plain_http(given, names[_alias(field)], urlsplit(text))
        return section

    @classmethod
    def variables(cls) -> Iterator[Variable]:
        """The section's variables in order, those without a default first."""
        found = [_variable(one) for one in cls.model_fields.values() if one.validation_alias]
        return iter(sorted(found, key=lambda one: one.default is not None))


class VendorSettings(Section):
    """A vendor's settings. A vendor without credentials is left out everywhere.

    ``vendor`` is its name in status and messages; ``title`` its own name; ``accounts_setting`` the
    variable that lists its accounts, where one does.
    """

    vendor: ClassVar[str]
    title: ClassVar[str]
    accounts_setting: ClassVar[str | None] = None

    time_zone: Zone
    settle_days: WholeNumber
    base_url: Url

    @classmethod
    def default_time_zone(cls) -> ZoneInfo:
        return ZoneInfo(str(cls.model_fields["time_zone"].default))

    @classmethod
    def default_settle_days(cls) -> int:
        return int(cls.model_fields["settle_days"].default)

    @classmethod
    def missing(cls, given: RawSettings) -> tuple[str, ...]:
        """The required settings that are not set; empty: none is missing."""
        required = [f for f in cls.model_fields.values() if f.is_required() and f.validation_alias]
        return tuple(name for name in map(_alias, required) if not given.get(name))


def _texts_by_alias(
    cls: type[Section], given: RawSettings, names: dict[str, str]
) -> dict[str, Any]:
    """The texts that are set, by the names that the class has for them."""
    source = EnvSettingsSource(cls, case_sensitive=True, env_ignore_empty=True)
    source.env_vars = {alias: given[name] for alias, name in names.items() if given.get(name)}
    return source()


def _settings_error(
    error: ValidationError, given: RawSettings, names: dict[str, str]
) -> SettingsError:
    """The error of the first wrong setting; it shows the text only if the check quotes it."""
    first = error.errors(include_url=False, include_input=False)[0]
    alias = str(first["loc"][0]) if first["loc"] else ""
    name = given.describe(names.get(alias, alias))
    if first["type"] == "missing":
        return SettingsError(f"{name} is not set.", hint="set it.")
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidSetting):
        return SettingsError(f"{name}{cause.what}", hint=cause.hint)
    return SettingsError(f"{name} is not accepted: {first['msg']}.")


def _alias(field: FieldInfo) -> str:
    assert isinstance(field.validation_alias, str)
    return field.validation_alias


def _variable(field: FieldInfo) -> Variable:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return Variable(
        name=_alias(field),
        default=None if field.is_required() else _format_default(field.default),
        example=str(field.examples[0]) if field.examples else None,
        about=field.description or "",
        is_secret="SecretStr" in str(field.annotation),
        per_account=bool(extra.get("per_account")),
    )


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


PLAIN_HTTP: Final = "ALLOW_PLAIN_HTTP"


def refuse_plain_http(given: RawSettings, name: str, parts: SplitResult) -> None:
    """Refuse ``http://`` to another host, where credentials and personal data could be read on the way."""
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return
    if given.get(PLAIN_HTTP, "").lower() != "yes":
        raise SettingsError(
            f"{given.describe(name)} is http:// to another host: credentials and personal data would be sent"
            " unencrypted.",
            hint="write it as https://, or set ALLOW_PLAIN_HTTP=yes where the network is yours.",
        )


def _format_default(default: Any) -> str | None:
    """A default as a person would write it; None: no default."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or None
    return None if default is None or default == "" else str(default)
