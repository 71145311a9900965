"""Following: batches and jobs as they move, until they are over."""
