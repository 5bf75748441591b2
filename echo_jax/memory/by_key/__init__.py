"""Ask by key: after pairs of a key and a value, each key is queried for its value."""
