import pytest
from golden import assert_golden

from echo_jax.memory_cards.schema import Card
from echo_jax.report.json_schema import json_schema
from echo_jax.runs.result import Result
from echo_jax.studies.result_rows import ResultRow


@pytest.mark.parametrize(
    ("name", "struct"), [("card", Card), ("result", Result), ("study-row", ResultRow)]
)
def test_a_published_schema_is_that_of_its_struct(root, name, struct):
    assert_golden(json_schema(struct), root / "docs" / f"{name}.schema.json")
