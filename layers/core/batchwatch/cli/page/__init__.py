"""The status page: one HTML file that holds all it shows."""
