"""dlt beside the product, in its own environment: the same pages from the same vendor, into Postgres.

    .venv-bench/bin/python benchmarks/dlt_peer.py MODE VENDOR_URL POSTGRES_URL FIRST LAST FOLDER

Modes: ``default`` (its REST source as documented), ``tuned`` (dicts from a plain generator, columns
told, CSV files, two workers), ``merge`` (tuned, merged on the day), ``arrow`` (an expert's pages of
Arrow with instant, key and day computed by columns; CSV files), ``adbc`` (the same; Parquet files, by ADBC). Its table is neither partitioned nor
keyed, no response is stored, no completeness proved: it has less to do. Imports are not timed.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
}

import dlt
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import requests
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
from dlt.sources.rest_api import rest_api_source

PATH = "lead-service/v1/api/sms-to-clients/result"
FIELDS = ("phoneNumber", "dateSent", "smsStatus", "smsStatusDetail", "smsMessage")
HEADERS = {"Access-Token": "bench", "SiteId": "101"}


class Sms(msgspec.Struct, gc=False):
    phoneNumber: str  # noqa: N815
    dateSent: str  # noqa: N815
    smsStatus: str  # noqa: N815
    smsStatusDetail: str  # noqa: N815
    smsMessage: str  # noqa: N815


class Data(msgspec.Struct):
    smsDetails: list[Sms]  # noqa: N815


class Body(msgspec.Struct):
    data: Data


def window(first: date, last: date) -> dict[str, Any]:
    return {"dateFrom": f"{first:%d-%m-%Y} 00:00:00", "dateTo": f"{last:%d-%m-%Y} 23:59:59"}


def rest_source(url: str, first: date, last: date) -> Any:
    return rest_api_source(
        {
            "client": {"base_url": url, "headers": HEADERS},
            "resources": [
                {
                    "name": "sms",
                    "endpoint": {
                        "path": PATH,
                        "method": "POST",
                        "json": window(first, last),
                        "data_selector": "data.smsDetails",
                        "paginator": PageNumberPaginator(
                            base_page=1, page_body_path="pageOfResult", total_path=None
                        ),
                    },
                }
            ],
        }
    )


def bodies(url: str, first: date, last: date) -> Iterator[bytes]:
    with requests.Session() as session:
        page, pages = 1, 1
        while page <= pages:
            asked = {**window(first, last), "pageOfResult": page}
            body = session.post(f"{url}/{PATH}", json=asked, headers=HEADERS, timeout=60).content
            if page == 1:
                tail = json.loads(b'{"data":{"x":[' + body[body.rindex(b"]") :])["data"]
                pages = -(-tail["totalCountSms"] // 10_000)
            yield body
            page += 1


COLUMNS: Any = {name: {"data_type": "text", "nullable": False} for name in FIELDS}


def dict_resource(url: str, first: date, last: date, *, merged: bool) -> Any:
    def rows() -> Iterator[list[dict[str, Any]]]:
        decode = msgspec.json.Decoder().decode
        for body in bodies(url, first, last):
            page = decode(body)["data"]["smsDetails"]
            if merged:
                for row in page:
                    row["sent_on"] = row["dateSent"][:10]
            yield page

    more: dict[str, Any] = {}
    columns = dict(COLUMNS)
    if merged:
        columns["sent_on"] = {"data_type": "text", "nullable": False, "merge_key": True}
        more["write_disposition"] = {"disposition": "merge", "strategy": "delete-insert"}
    return dlt.resource(rows, name="sms", columns=columns, max_table_nesting=0, **more)


def arrow_resource(url: str, first: date, last: date) -> Any:
    def pages() -> Iterator[pa.Table]:
        decode = msgspec.json.Decoder(Body).decode
        for body in bodies(url, first, last):
            rows = decode(body).data.smsDetails
            columns = {name: pa.array([getattr(row, name) for row in rows]) for name in FIELDS}
            wall = pc.strptime(columns["dateSent"], format="%d-%m-%Y %H:%M:%S", unit="s")
            columns["sent_at"] = pc.assume_timezone(wall, "Europe/Moscow")
            columns["sent_on"] = pc.cast(wall, pa.date32())
            columns["sms_key"] = pa.array(
                [
                    hashlib.sha256(
                        (r.phoneNumber + r.dateSent + r.smsMessage).encode()
                    ).hexdigest()[:32]
                    for r in rows
                ]
            )
            yield pa.table(columns)

    return dlt.resource(pages, name="sms")


def main() -> None:
    mode, url, postgres, first, last, folder = sys.argv[1:]
    days = date.fromisoformat(first), date.fromisoformat(last)
    if mode != "default":
        os.environ |= {"NORMALIZE__WORKERS": "2", "DATA_WRITER__BUFFER_MAX_ITEMS": "100000"}
    begun, before = time.perf_counter(), used()
    source = {
        "default": lambda: rest_source(url, *days),
        "tuned": lambda: dict_resource(url, *days, merged=False),
        "merge": lambda: dict_resource(url, *days, merged=True),
        "arrow": lambda: arrow_resource(url, *days),
        "adbc": lambda: arrow_resource(url, *days),
    }[mode]()
    pipeline = dlt.pipeline(
        f"bench_{mode}",
        pipelines_dir=folder,
        destination=dlt.destinations.postgres(postgres),
        dataset_name=f"peer_{mode}",
    )
    form = "parquet" if mode == "adbc" else "csv"
    more = {} if mode == "default" else {"loader_file_format": form}
    info = pipeline.run(source, **more)
    info.raise_on_failed_jobs()
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begun,
                "cpu": used() - before,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def used() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main()
