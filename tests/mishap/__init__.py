"""One mishap at every call that the service makes, the known wrong designs, and any order."""
