"""Watches OpenAI batches from the user's own AWS account.

Read `watch.py` first: what a change is. Then `poll.py` and `transfer.py`: what happens on each
trigger. `runtime.py` puts everything together.
"""
