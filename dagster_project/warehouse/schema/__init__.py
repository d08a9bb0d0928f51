"""The schema: migrations, the data dictionary, logins, restored dumps."""
