"""The command `probe` with a quick protocol of seconds."""

import dataclasses

from tiny_cards import TINY, ladder

from echo_jax.commands import probe
from echo_jax.memory_benchmark.protocol import PROTOCOLS

PROTOCOLS["quick", "cell"] = dataclasses.replace(
    TINY,
    ladders=(ladder("lag", 2, (1, 2)), ladder("hold", 2, (1, 2))),
    budget=50,
    rows=("ladders", "cause"),
)
if __name__ == "__main__":
    probe.main()
