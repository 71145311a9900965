"""What the templates grant, and what a run was seen to use of it."""
