"""Each command, against the service in memory."""
