"""The way to a deployed stack, to the next version, and back: as whoever operates it goes it."""
