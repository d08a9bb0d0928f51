"""Questions that readers ask while days are loaded, each one statement, and who may ask them."""

from __future__ import annotations

BI, DETAIL, PII, LOADER = (
    "warehouse_bi",
    "warehouse_bi_detail",
    "warehouse_bi_pii",
    "warehouse_loader",
)


def whole(view: str) -> str:
    """How many rows, and a checksum of all of them."""
    return (
        "SELECT count(*), md5(string_agg(md5(one::text), '' ORDER BY md5(one::text)))"
        f" FROM {view} one"
    )


AGREEMENT = """
SELECT (SELECT coalesce(sum(messages), 0) FROM bi.sms_day),
       (SELECT coalesce(sum(messages), 0) FROM bi.sms_hour),
       (SELECT coalesce(sum(attempted), 0) FROM bi.messaging_day WHERE vendor = 'calltouch'),
       (SELECT coalesce(sum(rows), 0) FROM bi.data_status WHERE source = 'calltouch')
"""
PURCHASES = """
SELECT count(*), coalesce(sum(amount), 0), coalesce(max(amount_so_far), 0) FROM bi.credit_purchase
"""
ROWS = """
SELECT count(*), coalesce(sum(content_hash), 0), coalesce(sum(occurrence), 0)
FROM warehouse.calltouch_sms
"""
PROBES: dict[str, tuple[str, ...]] = {
    BI: (whole("bi.sms_day"), AGREEMENT, PURCHASES),
    DETAIL: (whole("bi_detail.sms_detail"), whole("bi.sms_hour")),
    PII: ("SELECT count(*), count(DISTINCT phone), min(sent_on), max(sent_on) FROM bi_pii.sms",),
    LOADER: (ROWS, whole("ops.day_state")),
}
