"""Mending: archives verified, dead letters looked at."""
