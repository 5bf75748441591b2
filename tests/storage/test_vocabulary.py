import re

import pytest

from echo_jax.exceptions import ConfigError
from echo_jax.storage.vocabulary import Vocabulary

TENS = Vocabulary(("-10", "0", "10", "200"))


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["10", "9", "-10", "-9"], ("-10", "-9", "9", "10")),
        (["007", "+7", "7", " -0", "+00 "], ("0", "7")),
        (["007", "7.0", "7.", "10.00", "-0.0"], ("0", "7", "10")),
        (["007", "7", "7.5"], ("007", "7", "7.5")),
    ],
)
def test_whole_numbers_are_sorted_and_spelled_as_numbers_unless_some_value_is_text(words, values):
    assert Vocabulary.of_words(words).values == values


@pytest.mark.parametrize(
    "word",
    ["", "+", "--10", "1_0", "1 0", "1.5", ".0", "1e1", "\u0660", "\uff11\uff10", "²", "0x0"],
)
def test_what_only_resembles_a_whole_number_has_no_token_and_makes_all_values_text(word):
    assert TENS.token(word) is None
    if word:
        vocabulary = Vocabulary.of_words(["2", word])
        assert {vocabulary.value(0), vocabulary.value(1)} == {"2", word}


REFUSED = [
    ((), "vocabulary of no value is too small"),
    (("", "a"), "value '' is blank"),
    (("a", "b\0"), "value 'b\\x00' is blank"),
    (("a", "\ud800"), "value '\\ud800' is blank"),
    (("1", "9" * 10**6), "is longer than 100 characters"),
]


@pytest.mark.parametrize(("values", "sentence"), REFUSED)
def test_values_that_make_no_vocabulary_are_refused_in_one_sentence(values, sentence):
    make = Vocabulary.of_words if isinstance(values, list) else Vocabulary
    with pytest.raises(ConfigError, match=re.escape(sentence)) as refusal:
        make(values)
    assert len(str(refusal.value)) < 200
