"""Answers larger than memory should hold: refused while they are read, whatever they travel as."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc

import pytest

from dagster_project.errors import AnswerNotTrusted, AnswerTooLarge
from dagster_project.model.response import ExtractStats
from dagster_project.text.raw_json import has_longer_text
from dagster_project.transport.attempt import LONGEST_TEXT
from dagster_project.transport.exchange import Request
from dagster_project.transport.session import MAX_BYTES
from dagster_project.vendors.calltouch.pages import decode_page
from dagster_project.vendors.calltouch.sms_page import LONGEST_TEXT as LONGEST_SMS
from tests.transport.scripted_server import Play, reply, serving
from tests.transport.sessions import session
from tests.vendors.calltouch.played import sms

HUNDRED_MB = 100 << 20


def page(text: str) -> bytes:
    rows = [sms(1), {**sms(2), "smsMessage": text}, sms(3)]
    data = {"totalCountSms": 3, "pageOfResult": 1, "smsDetails": rows}
    return json.dumps({"meta": [], "data": data}, ensure_ascii=False).encode()


ZIPPED = gzip.compress(page("x" * HUNDRED_MB), 1)
ENCODED = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("play", "said"),
    [
        (reply(page("x" * MAX_BYTES)), "returns more than 32 MB"),
        (reply(ZIPPED, headers=ENCODED), "returns more than 32 MB"),
        (reply(page("x" * LONGEST_TEXT)), "with a text of more than 8 MB"),
        (reply(page('"' * LONGEST_TEXT)), "with a text of more than 8 MB"),
        (reply(page("я" * (LONGEST_TEXT // 2))), "with a text of more than 8 MB"),
        (reply(page("x" * (LONGEST_TEXT + 1000))[:-400]), "with a text of more than 8 MB"),
        (reply(ZIPPED, 500, ENCODED), "returns more than 32 MB"),
    ],
)
def test_an_answer_that_is_too_large_is_asked_for_once(play: Play, said: str) -> None:
    stats = ExtractStats()
    with serving(play) as server, pytest.raises(AnswerTooLarge, match=said):
        session().send(Request("GET", server.url), stats=stats)
    assert stats.requests == 1


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "gzip,deflate"])
def test_an_encoding_that_was_not_asked_for_is_not_unfolded(encoding: str) -> None:
    bomb = reply(gzip.compress(ZIPPED), headers={"Content-Encoding": encoding})
    with serving(bomb) as server, pytest.raises(AnswerNotTrusted, match="encoding"):
        session().send(Request("GET", server.url), stats=ExtractStats())


@pytest.mark.parametrize(
    "body", [b'"' + b'\\"' * 3_000_000, b'"\\', b"<p>" + b'"a\\' * 1_000_000, b'["a", "b\\\\"]']
)
def test_the_search_for_long_texts_takes_neither_memory_nor_time(body: bytes) -> None:
    began = time.thread_time()
    assert any(_traced_peak(body) < 1 << 20 for _ in range(3))
    assert time.thread_time() - began < 90


def _traced_peak(body: bytes) -> int:
    """Bytes that the search takes; servers of other tests, still ending in this process, may add to it."""
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        assert has_longer_text(body, 1 << 20) == (len(body) > 1 << 20)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["x", '"phoneNumber"', "я", "\\"])
@pytest.mark.parametrize("place", [0, 1, 700_000, 1_048_575, 2_000_000])
def test_wherever_a_text_that_is_too_long_begins_it_is_found(text: str, place: int) -> None:
    endless = text * (LONGEST_SMS // len(text) + 1)
    rows = [{**sms(1), "smsMessage": "a" * place}, {**sms(2), "smsMessage": endless}]
    rows[0] = rows[0] if place < LONGEST_SMS else {**rows[0], "smsMessage": "b" * LONGEST_SMS}
    data = {"totalCountSms": 2, "pageOfResult": 1, "smsDetails": rows}
    found = decode_page(json.dumps({"data": data}, ensure_ascii=False).encode())
    assert [row.phoneNumber for row in found.rows] == [sms(1)["phoneNumber"]]
    assert len(found.rejects) == 1


@pytest.mark.parametrize("unusual", [False, True])
def test_a_row_whose_text_no_sms_has_is_set_aside_with_its_original_cut(unusual: bool) -> None:
    body = page("x" * (LONGEST_SMS + 1) + "😀" * 1_000_000)
    if unusual:
        body = body.replace(b'"meta"', b'"meta": 1, "meta"').replace(
            b'{"phone', b'{"b": 1, "phone', 1
        )
    whole = decode_page(body)
    assert [row.phoneNumber for row in whole.rows] == [sms(1)["phoneNumber"], sms(3)["phoneNumber"]]
    [reject] = whole.rejects
    assert reject.reason == "unreadable row: smsMessage is longer than any SMS"
    assert sms(2)["phoneNumber"] in reject.original
    assert len(reject.original) < 3_000
    assert str(reject.day) == "2024-04-01"
    assert whole.received == 3
    assert bool(whole.sources) == unusual
    assert len(whole.sources) in (0, len(whole.rows))
