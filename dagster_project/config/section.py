"""Base of the settings' sections: typed classes whose fields have a variable's name and default.

A field's ``validation_alias`` is its variable's name. ``.env.example`` and ``docs/settings.md`` show its
``description``, and its ``examples`` if it has no default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, ClassVar, Final, Self
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic.fields import FieldInfo

from dagster_project.config.raw_settings import RawSettings
from dagster_project.config.values import IS_URL, InvalidSetting, Url, WholeNumber, Zone
from dagster_project.errors import SettingsError

PER_ACCOUNT: Final[dict[str, JsonValue]] = {"per_account": True}
"""A field's ``json_schema_extra``: its variable may be set for a single account too, ``NAME_101``."""


@dataclass(frozen=True)
class Variable:
    """One variable of a section, for the documents and for finding misspelled names."""

    name: str
    default: str | None
    example: str | None
    about: str
    is_secret: bool
    per_account: bool


class Section(BaseModel):
    """Base of the sections, made by ``read`` from texts, or in Python from typed values."""

    model_config = ConfigDict(
        frozen=True, populate_by_name=True, extra="forbid", validate_default=True
    )

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
            section = cls(
                **{alias: given[name] for alias, name in names.items() if given.get(name)}
            )
        except ValidationError as error:
            raise _settings_error(error, given, names) from None
        for field in cls.model_fields.values():
            if IS_URL in field.metadata and (text := given.get(names[_alias(field)])):
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
