"""Sending and cancelling: files into the inbox, and what is asked of Submitter."""
