"""The command `probe` with a quick protocol of seconds."""

import dataclasses

from tiny_cards import TINY

from echo_jax.commands import probe

probe.PROTOCOLS["quick"] = dataclasses.replace(
    TINY, ladder=(1, 2), budget=50, rows=("stream", "hold", "cause")
)
if __name__ == "__main__":
    probe.main()
