"""What batchwatch promises, as tests."""
