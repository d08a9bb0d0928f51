"""How things stand and who is told: status of accounts, alarms, metrics, logs."""
