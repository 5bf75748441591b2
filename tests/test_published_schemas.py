import inspect
import json

import msgspec
import pytest
from golden import assert_golden

from echo_jax.echo.run.result import Result
from echo_jax.echo.studies.result_rows import ResultRow
from echo_jax.memory.card_contents import Card


@pytest.mark.parametrize(
    ("name", "struct"), [("card", Card), ("result", Result), ("study-row", ResultRow)]
)
def test_a_published_schema_is_that_of_its_struct(root, name, struct):
    schema = msgspec.json.schema(struct)
    for part in schema["$defs"].values():
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    text = json.dumps(schema, indent=1) + "\n"
    assert_golden(text, root / "docs" / f"{name}.schema.json")
