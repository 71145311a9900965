"""Watches OpenAI batches from the user's own AWS account.

Read `watch.py` first: what a change is. Then `workflow.py`: what happens on each trigger.
"""
