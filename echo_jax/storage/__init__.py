"""Files that are written whole, and the readers of files that anyone may have written.

atomic_files  writes, digests and locks
tensor_files  trees of arrays as safetensors
row_file      rows as lines of JSON, each with its digest
csv_and_text  the user's own values in a CSV file, a text or a stream
vocabulary    the tokens of these values
"""
