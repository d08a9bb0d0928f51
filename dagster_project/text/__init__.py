"""Texts and bytes: raw JSON slices, what Postgres can store, binary COPY fields, wording of figures."""
