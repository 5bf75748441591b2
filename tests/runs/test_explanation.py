import re

from echo_jax.config import RunConfig, changed
from echo_jax.core.target_place import target_place
from echo_jax.runs.explanation import explain

SMALL_RUNS = [
    {"window": window, "lag": lag, "batch_size": batch_size, "layout": layout} | network
    for window in (1, 3)
    for lag in (1, 3, 7, 13)
    for batch_size in (1, 3, 4)
    for layout in ("windows", "prefixes", "streams")
    for network in (
        {},
        {"stateful": False},
        {"bptt_batches": 2},
        {"cell": "mlp"},
        {"cell": "mlp", "delay_line": 2},
        {"cell": "mlp", "delay_line": 5, "bptt_batches": 3},
    )
]


def test_the_flags_that_an_explanation_offers_put_the_target_where_it_can_be_learned():
    places = set()
    for fields in SMALL_RUNS:
        config = changed(RunConfig(), **fields)
        place = target_place(config)
        places.add(place)
        offers = [
            dict(re.findall(r"--([\w-]+) (\d+)", offer)) for offer in explain(config).split(", or ")
        ]
        offers = [offer for offer in offers if offer]
        assert len(offers) == {"window": 0, "replayed": 0, "state": 2}.get(place, 1)
        for offer in offers:
            mended = changed(config, **{k.replace("-", "_"): int(v) for k, v in offer.items()})
            assert target_place(mended) == ("replayed" if "bptt-batches" in offer else "window")
    assert places == {"window", "replayed", "state", "skipped", "early", "zeroed", "delayed"}
