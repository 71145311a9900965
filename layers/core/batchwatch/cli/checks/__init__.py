"""What `batchwatch doctor` looks at, one subject a file; `cli/doctor.py` has the order.

A check only reads, and says what it found and how to mend it.
"""
