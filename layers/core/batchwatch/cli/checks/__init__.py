"""What `batchwatch doctor` looks at: one subject a file, all of them in `all_checks`.

A check only reads, and says what it found and how to mend it.
"""
