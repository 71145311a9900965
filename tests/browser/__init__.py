"""What a browser makes of the status page."""
