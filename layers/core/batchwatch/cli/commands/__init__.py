"""One file a command; `app.py` has the order."""
