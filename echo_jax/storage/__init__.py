"""Write whole files, and read files that a stranger may have written.

atomic_files  writes, digests and locks
tensor_files  trees of arrays as safetensors
row_file      rows as lines of JSON, each with its digest
csv_and_text  the user's own values: a column of a CSV file, the characters of a text, a stream
vocabulary    the tokens of these values
"""
