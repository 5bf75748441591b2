"""Words of answers and tables that a reader may not know, explained where they are printed."""

CHANCE = "Chance, beside every accuracy, is that of a guess: 1/V for V different values."

TERMS = {
    "recalled bits": "Recalled bits say how much of the log2 V bits of a value the network tells, "
    "log2 V - loss/ln 2: 0 is a guess.",
    "p (Holm)": "p (Holm) is the probability of a difference at least as large by chance alone, "
    "adjusted for all comparisons made; a finding needs at most 0.05, and an interval of the "
    "difference without 0.",
    "probe": "A probe is a linear classifier, fitted to the states of a network to name an old "
    "value: where it finds the value, the state holds it.",
}
"""The sentence that explains a word, by the word."""


def explained(text: str) -> list[str]:
    """The sentences that explain the words of a text."""
    return [sentence for word, sentence in TERMS.items() if word in text]
