"""Texts and bytes: raw JSON slices, sanitized texts, secrets, pseudonyms, wording of commands and figures."""
