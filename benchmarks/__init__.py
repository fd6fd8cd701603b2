"""Speed, memory and quality, measured: `make bench`, `make ablation`.

Everything runs on the CPU, one thread unless a column says otherwise, one thing after the other.
Rows are written to a JSON file as they are made; a second start continues where the first ended.
"""
