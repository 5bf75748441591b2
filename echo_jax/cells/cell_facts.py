"""The built-in cells in the literature: title, paper, and the size of the state."""

from typing import NamedTuple


class CellFacts(NamedTuple):
    """A built-in cell in the literature.

    title     its name there
    paper     where it was published
    state     the floats of its state for one row: H is `features`, F the input's, other names are
              attributes of the cell, None for H
    sized_by  the options that give the state another size while its proportions stay those of the
              defaults; the first that is not given is the one to change
    """

    title: str
    paper: str
    state: str
    sized_by: tuple[str, ...] = ("features",)


FACTS: dict[str, CellFacts] = {
    "lstm": CellFacts("LSTM, as in Keras", "Hochreiter & Schmidhuber 1997", "2 H"),
    "gru": CellFacts("GRU, of Flax", "Cho et al. 2014", "H"),
    "optimized-lstm": CellFacts("LSTM, of Flax", "Hochreiter & Schmidhuber 1997", "2 H"),
    "simple": CellFacts("tanh RNN, of Flax", "Elman 1990", "H"),
    "mlp": CellFacts("MLP on a delay line", "-", "H delay_line - H", ("delay_line", "features")),
    "lstm-chrono": CellFacts("LSTM, chrono initialisation", "Tallec & Ollivier 2018", "2 H"),
    "identity-rnn": CellFacts("identity RNN", "Le et al. 2015", "H"),
    "mingru": CellFacts("minGRU", "Feng et al. 2024", "H"),
    "lru": CellFacts("LRU", "Orvieto et al. 2023", "2 states"),
    "minlstm": CellFacts("minLSTM", "Feng et al. 2024", "H"),
    "rg-lru": CellFacts("RG-LRU", "De et al. 2024", "H"),
    "slstm": CellFacts("sLSTM", "Beck et al. 2024", "4 H"),
    "delta-net": CellFacts("DeltaNet", "Yang et al. 2024", "keys values"),
    "gated-delta-net": CellFacts("gated DeltaNet", "Yang et al. 2025", "keys values"),
    "mlstm": CellFacts("mLSTM", "Beck et al. 2024", "key_size value_size + key_size + 1"),
    "mamba2": CellFacts("Mamba-2", "Dao & Gu 2024", "states values"),
    "exprnn": CellFacts("expRNN", "Lezcano-Casado & Martinez-Rubio 2019", "H"),
    "rwkv7": CellFacts("RWKV-7", "Peng et al. 2025", "F + heads head_size head_size"),
    "lmu": CellFacts("LMU", "Voelker et al. 2019", "H + memories numbers"),
    "gla": CellFacts("gated linear attention", "Yang et al. 2024", "keys values"),
    "s5": CellFacts("S5", "Smith et al. 2023", "2 states"),
}
"""The cells of `config.CELL_NAMES`, in their order."""
