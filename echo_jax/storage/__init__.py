"""Write whole files, and read files that a stranger may have written.

atomic_files       writes, digests and locks
tensor_files       trees of arrays as safetensors
row_file           rows as lines of JSON, each with its digest
values_and_tokens  the user's own values, of a CSV file, a text or a stream, and their tokens
"""
