"""Telling people: events of batches, put together into one readable digest, on every channel."""
