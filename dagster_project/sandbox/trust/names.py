"""What the demo calls the played companies, as a user's CSV file would."""

ACCOUNTS = {"11": "Shop app", "12": "Courier app", "13": "Clinic app (quiet)"}
