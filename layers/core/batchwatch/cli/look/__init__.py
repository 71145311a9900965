"""Looking: what the ledger and the bucket know, as people ask for it."""
