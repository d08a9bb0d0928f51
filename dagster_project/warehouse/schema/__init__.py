"""The schema: migrations, functions and views, logins, the data dictionary."""
