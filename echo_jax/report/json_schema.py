"""The JSON Schema of a typed file, as docs/*.schema.json publish it."""

import inspect
import json

import msgspec


def json_schema(struct: type[msgspec.Struct]) -> str:
    """The JSON Schema of a struct and its parts, as the text of a file."""
    schema = msgspec.json.schema(struct)
    for part in schema["$defs"].values():
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    return json.dumps(schema, indent=1) + "\n"
