"""Cells whose memory is known are measured as what they are, by the whole protocol."""

import pytest
from card_runs import made, run_of

from echo_jax.memory import card
from echo_jax.memory.protocol import STANDARD

KNOWN = "echo_jax.cells.known_memory:"


def row_of(name, options, question):
    """The row of seed 0 in the default configuration of a question."""
    configuration = next(of for of in STANDARD.default if of.question == question)
    return made(run_of(name, options, configuration))


@pytest.mark.slow
def test_a_register_of_nine_slots_holds_eight_tokens_of_four_bits():
    """Its slot n holds the token n steps back, and slot 0 the present one."""
    measured = card.bits_by_lag([row_of(f"{KNOWN}ShiftRegister", {"slots": 9}, "by lag")], STANDARD)
    assert measured.mean == pytest.approx(32.0, abs=0.1)
    assert measured.curve[:8] == pytest.approx([4.0] * 8, abs=0.02)
    assert max(measured.curve[8:]) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("block", ["", "block:"])
def test_a_cell_without_memory_has_no_bits_by_lag(block):
    """Its state is zero after every step."""
    row = row_of(f"{block}{KNOWN}Memoryless", {"features": 50}, "by lag")
    measured = card.bits_by_lag([row], STANDARD)
    assert measured.mean == pytest.approx(0.0, abs=0.01)
    assert measured.unfloored == pytest.approx(0.0, abs=0.1)
