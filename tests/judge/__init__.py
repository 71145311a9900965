"""Who judges a finished run, from what is left of it outside; imports nothing of the service."""
