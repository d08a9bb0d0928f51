"""The limits: the same rows as the product's, prepared, and nothing but COPY between file and table."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.scene import Run, Scene, settle

TABLE = "warehouse.calltouch_sms"


def prepare(scene: Scene, path: Path, *, binary: bool = False) -> None:
    """Write the table to a file that COPY can read: in binary as it stands, as CSV in order of time.

    The product writes each page's rows as the index goes. Binary COPY has the good of that too.
    """
    form = "binary" if binary else "csv"
    order = "" if binary else " ORDER BY sent_on, sent_at"
    with scene.admin() as connection, path.open("wb") as file:
        query = f"COPY (SELECT * FROM {TABLE}{order}) TO STDOUT (FORMAT {form})"
        with connection.cursor().copy(query) as copy:
            for data in copy:
                file.write(data)


def copy_in(scene: Scene, path: Path, *, binary: bool = False, table: str = TABLE) -> Run:
    """COPY the file into the table, in one transaction, committed."""
    form = "binary" if binary else "csv"
    before, cpu = scene.server_cpu(), time.process_time()
    begun = time.perf_counter()
    with scene.admin() as connection, path.open("rb") as file:
        with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT {form})") as copy:
            while data := file.read(1 << 18):
                copy.write(data)
        connection.commit()
    seconds = time.perf_counter() - begun
    cpu = time.process_time() - cpu
    settle()
    return Run(seconds, cpu, scene.server_cpu() - before)
