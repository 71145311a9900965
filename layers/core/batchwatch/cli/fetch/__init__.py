"""Bringing: archived files on this machine, whole, and side by side with their questions."""
