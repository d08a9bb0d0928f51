"""What the demo calls the played account, as a user's CSV file would."""

ACCOUNTS = {"main": "Warm Home club"}
