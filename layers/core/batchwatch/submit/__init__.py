"""From a file to batches: checked, divided, sent once each, put together again."""
