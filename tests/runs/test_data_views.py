from echo_jax.config import DataConfig, RunConfig, changed
from echo_jax.runs import data_views
from echo_jax.runs.csv_input import read_inputs

DAYS = ["Mon", "Tue", "the third"]


def test_a_column_of_words_is_shown_in_its_words(tmp_path):
    path = tmp_path / "days.csv"
    path.write_text("day\n" + "".join(f"{day}\n" for day in DAYS * 20))
    config = changed(RunConfig(data=DataConfig(csv=str(path))), window=2, batch_size=3, length=7)
    inputs = read_inputs(config)
    tokens = data_views.first_sequence(inputs)
    words = [repr(day) if " " in day else day for day in map(inputs.values.__getitem__, tokens)]
    sequence = data_views.sequence_view(tokens, inputs)
    assert sequence.count(f"[{', '.join(words)}]") == 2  # as it is, and decoded
    first = data_views.rows_view(tokens, inputs, 3).splitlines()[2]
    fed, target = first.removeprefix("  row   0   ").split(" => ")
    assert fed.split() == " ".join(words[:2]).split()
    assert target.strip() == words[0]
