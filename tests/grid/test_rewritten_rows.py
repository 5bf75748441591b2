"""Published rows were rewritten once, by a rule of docs/formats.md; mapped back they are as before.

rows_before.json has for each file the SHA-256 of the digests that its rows had, in their order; of
mlp.jsonl with the order-blind baselines that four of its rows were given later.
"""

import hashlib
import json
from pathlib import Path

import pytest

from echo_jax import atomic_files

DOCS = Path(__file__).parents[2] / "docs"
BEFORE = json.loads(Path(__file__).with_name("rows_before.json").read_text())
TIMING, OF_THE_DEVICE = {"seconds", "versions", "date"}, {"device", "bytes"}


def lines(name):
    for line in (DOCS / name).read_text().splitlines():
        values = json.loads(line)
        del values["digest"]
        yield values


def study_digest(values):
    """The digest that a row of a study had."""
    if values["device"] is None:
        del values["device"]
    if values["seconds"]["update"] is None:
        del values["seconds"]["update"]
    names = {"point": "cell", "baselines": "floors"}
    excluded = TIMING | (OF_THE_DEVICE if "device" in values else set())
    kept = {names.get(k, k): v for k, v in values.items() if k not in excluded}
    return atomic_files.digest_of(kept).encode()


@pytest.mark.parametrize("name", BEFORE)
def test_a_published_row_mapped_back_is_what_it_was(name):
    digests = b"".join(map(study_digest, lines(name)))
    assert hashlib.sha256(digests).hexdigest() == BEFORE[name]
