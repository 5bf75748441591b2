"""Cells whose memory is known are measured as what they are, by the whole protocol."""

import pytest
from card_runs import by_lag, made, run_of

from echo_jax.memory import card_contents
from echo_jax.memory.protocol import STANDARD

KNOWN = "echo_jax.cells.known_memory:"


@pytest.mark.slow
def test_a_register_of_nine_slots_holds_eight_tokens_of_four_bits():
    """Its slot n holds the token n steps back, and slot 0 the present one."""
    row = made(run_of(f"{KNOWN}ShiftRegister", {"slots": 9}, by_lag(0.01)))
    measured = card_contents.bits_of([row], STANDARD)
    assert measured.mean == pytest.approx(32.0, abs=0.1)
    assert measured.curve[:8] == pytest.approx([4.0] * 8, abs=0.02)
    assert max(measured.curve[8:]) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("block", "bits"), [("", 0.0), ("block:", 12.0)])
def test_a_cell_without_memory_has_no_bits_by_lag_but_those_of_the_convolution(block, bits):
    row = made(run_of(f"{block}{KNOWN}PresentInput", {"features": 100}, by_lag(0.01)))
    measured = card_contents.bits_of([row], STANDARD)
    assert measured.mean == pytest.approx(bits, abs=0.01)
