"""What texts tell: no secret that the process was given, in whatever form; no telephone number."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import re
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest
import requests

from dagster_project.config.environment import read_environment
from dagster_project.errors import SettingsError, TryLater
from dagster_project.monitoring.logs import ScrubbedRecord
from dagster_project.text import scrub
from dagster_project.text.scrub import (
    HIDDEN,
    hide_secrets,
    mask_personal,
    quote_text,
    remember_secret,
    scrub_text,
)

TOKEN = 'a/token+of "ours" & é=1'
SETTINGS = {
    "CALLTOUCH_ACCESS_TOKEN": TOKEN,
    "CALLTOUCH_ACCESS_TOKEN_102": "the-token-of-site-102",
    "TELLODY_USERNAME": "user-of-tellody",
    "TELLODY_PASSWORD": "pass-of-tellody",
    "TELLODY_ACCOUNT": "main",
    "TRUST_CLIENT_ID": "id-of-trust",
    "TRUST_CLIENT_SECRET": "secret-of-trust",
    "PII_HASH_KEY": "a key for pseudonyms",
    "PII_HASH_KEY_NEW": "the next key for pseudonyms",
    "WAREHOUSE_URL": "postgresql://loader:p%40ss-of-postgres@db/warehouse",
    "DAGSTER_URL": "postgresql+psycopg2://d@db/dagster?password=pass-of-dagster",
    "WAREHOUSE_BROKER_URL": "rediss://:pass-of-redis@broker:6379/0",
    "ALARM_WEBHOOK_URL": "https://hooks.example.com/services/T0/B0/of-the-hook",
    "ALARM_SMTP_PASSWORD": "pass-of-smtp",
    "PGPASSWORD": "pass-of-libpq",
    "https_proxy": "http://me:pass-of-proxy@proxy:3128",
}
SECRETS = [
    *(
        value
        for name, value in SETTINGS.items()
        if not name.endswith(("_URL", "_ACCOUNT", "_proxy"))
    ),
    *("p@ss-of-postgres", "p%40ss-of-postgres", "pass-of-dagster", "pass-of-redis"),
    "pass-of-proxy",
    *("https://hooks.example.com/services/T0/B0/of-the-hook", "/services/T0/B0/of-the-hook"),
]
PHONE = "8 (920) 938-36-54"


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "_secrets", scrub._Secrets())
    read_environment(SETTINGS, dotenv=None)


@pytest.mark.parametrize("secret", SECRETS)
def test_every_secret_among_the_settings_is_hidden(secret: str) -> None:
    assert secret.strip("/") not in hide_secrets(f"it said {secret}, and more")
    assert secret.strip("/") not in str(TryLater(f"it said {secret}", hint=f"not {secret}"))


WRITTEN = {
    "as it is": TOKEN,
    "in capitals": TOKEN.upper(),
    "URL-encoded": quote(TOKEN, safe=""),
    "URL-encoded, slashes left": quote(TOKEN),
    "URL-encoded in small letters": quote(TOKEN, safe="").lower(),
    "URL-encoded by requests": str(requests.Request("GET", f"http://h/{TOKEN}").prepare().url),
    "in a form": quote_plus(TOKEN),
    "JSON": json.dumps(TOKEN),
    "JSON in JSON": json.dumps(json.dumps({"token": TOKEN})),
    "JSON without escapes": json.dumps(TOKEN, ensure_ascii=False),
    "HTML": html.escape(TOKEN),
    "repr": repr(f"it's {TOKEN}"),
    "base64": base64.b64encode(TOKEN.encode()).decode(),
    "base64 behind a name": base64.b64encode(f"me:{TOKEN}".encode()).decode(),
    "base64 behind another": base64.b64encode(f"you:{TOKEN}!".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(f"x{TOKEN}".encode()).decode(),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_a_secret_is_hidden_in_every_form_in_which_others_write_it(form: str) -> None:
    shown = hide_secrets(f"before {WRITTEN[form]} behind")
    assert HIDDEN in shown
    assert WRITTEN[form].strip('"=')[4:-4] not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" behind")


def test_json_stays_json() -> None:
    text = {"a": f"one\n{TOKEN}\\{TOKEN}", "b": json.dumps({"c": f"\t{TOKEN}"})}
    hidden = json.loads(hide_secrets(json.dumps(text)))
    assert TOKEN not in hidden["a"]
    assert json.loads(hidden["b"]) == {"c": f"\t{HIDDEN}"}


def test_what_is_no_secret_stays() -> None:
    assert hide_secrets("account main, 12 rows of warehouse") == (
        "account main, 12 rows of warehouse"
    )
    read_environment({"WAREHOUSE_URL": "postgresql://postgres:postgres@h/d"}, dotenv=None)
    assert str(SettingsError("the server postgres at h")) == "the server postgres at h"


def test_short_secrets_are_hidden_as_words() -> None:
    remember_secret("abcd")
    assert hide_secrets("abcd, abcdef (abcd)") == f"{HIDDEN}, abcdef ({HIDDEN})"


def test_of_secrets_that_pass_the_latest_are_known() -> None:
    for number in range(1000):
        remember_secret(f"token-of-request-{number:04}", passing=True)
    assert hide_secrets("token-of-request-0999 pass-of-tellody") == f"{HIDDEN} {HIDDEN}"
    assert hide_secrets("token-of-request-0001") == "token-of-request-0001"


@pytest.mark.parametrize(
    "number",
    [
        *("89209383654", "+79209383654", "+7 (920) 938-36-54", PHONE, "8.920.938.36.54"),
        *("8 9 2 0 9 3 8 3 6 5 4", "8\u00a0920\u00a0938\u00a036\u00a054", "٨٩٢٠٩٣٨٣٦٥٤"),
        *("+44 20 7946 0958", "8–920–938–36–54", "8 - 920 - 938 - 36 - 54", "79161234567.0"),
        *("８９２０９３８３６５４", "8\u200b920\u200b938\u200b3654"),
    ],
)
def test_a_telephone_number_is_taken_out_however_it_is_spaced(number: str) -> None:
    for text in (f"of {number}, says", f"tel{number}x", f"of 2024-04-01 {number}"):
        assert scrub_text(text) == text.replace(number, "…")
        assert number not in quote_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "calltouch account 101 2024-04-01..2024-04-30: had 11,195 rows, came back with 12",
        "answered at 2024-04-01 02:00:01.123456+03:00 and 2024-04-01T00:00:00Z",
        "database warehouse at 192.168.100.200:5432 took 0.12345678901 s, 1234567890.5 s not",
        "run 01234567-1234-1234-1234-123456789012 wrote d41d8cd98f00b204e980099812345678",
        "warehouse backfill --account 101 --from 2024-04-01 --to 2024-04-30",
        "101 2024-04-01 2024-04-02 2024-04-03 12",
    ],
)
def test_figures_of_ours_stay(text: str) -> None:
    assert scrub_text(text) == text.replace("1234567890.5", "…")


def test_what_others_wrote_loses_more() -> None:
    said = f"Абонент 938-36-54 <a@b.ru>\n token {TOKEN}, order ①②③④⑤⑥⑦⑧"
    assert quote_text(said) == f"«Абонент … … token {HIDDEN}, order …»"
    assert mask_personal("key_79161234567") == "key_…"
    assert quote_text("x" * 400) == f"«{'x' * 300}…»"


def logged(message: object, *args: object, **extra: object) -> str:
    """What a handler of some library's writes of it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(ScrubbedRecord)
    logger = logging.Logger("some.library")
    logger.addHandler(handler)
    try:
        logger.error(message, *args, **extra)  # type: ignore[arg-type]
    finally:
        logging.setLogRecordFactory(before)
    return stream.getvalue()


def test_no_logger_tells_a_secret_or_a_number() -> None:
    assert logged(f"at {TOKEN} and {PHONE}") == f"at {HIDDEN} and …\n"
    assert logged("%s of %d: %s", TOKEN, 7, ValueError(PHONE)) == f"{HIDDEN} of 7: …\n"
    assert logged("%(a)s", {"a": TOKEN}) == f"{HIDDEN}\n"
    assert logged(RuntimeError(TOKEN)) == f"{HIDDEN}\n"
    try:
        raise RuntimeError(f"{TOKEN} {PHONE}")
    except RuntimeError:
        text = logged("failed", exc_info=True)
    assert "RuntimeError: [hidden] …" in text
    assert "Traceback" in text


def test_an_exception_that_ends_a_process_or_a_thread_is_printed_without_them() -> None:
    program = (
        "import threading, os; from dagster_project.monitoring.logs import configure_logs;"
        " configure_logs(); raised = ' '.join([os.environ['PII_HASH_KEY'], '89209383654']);\n"
        "def fail(): raise RuntimeError(raised)\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join(); fail()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PII_HASH_KEY": SETTINGS["PII_HASH_KEY"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count(f"RuntimeError: {HIDDEN} …") == 2, done.stderr
    assert "89209383654" not in done.stderr


def test_a_new_token_costs_no_pattern_until_a_text_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_plainly = re.compile

    def noted(pattern: str, flags: int = 0) -> re.Pattern[str]:
        compiled.append(pattern)
        return compile_plainly(pattern, flags)

    monkeypatch.setattr(re, "compile", noted)
    for number in range(5):
        remember_secret(f"token-of-request-{number}", passing=True)
        assert hide_secrets("nothing of it") == "nothing of it"
    assert compiled == []
    for _ in range(2):
        assert hide_secrets("sent with token-of-request-3") == f"sent with {HIDDEN}"
    assert len(compiled) == 1


def test_the_latest_tokens_are_remembered() -> None:
    tokens = [f"token-of-request-{number:03}" for number in range(scrub._PASSING + 1)]
    for token in tokens:
        remember_secret(token, passing=True)
    assert hide_secrets(tokens[0]) == tokens[0]
    assert {hide_secrets(token) for token in tokens[1:]} == {HIDDEN}
    assert hide_secrets(SETTINGS["TELLODY_PASSWORD"]) == HIDDEN
