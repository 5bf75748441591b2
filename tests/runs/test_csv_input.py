import csv
import io
import itertools
import json
import os
import re
import sys
import tracemalloc
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from echo_jax.exceptions import ConfigError
from echo_jax.runs import csv_input as v
from echo_jax.runs.csv_input import TokenReader
from echo_jax.runs.vocabulary import LONGEST, Vocabulary, _whole, encode

FRUIT = Vocabulary(("apple", "kiwi", "pear"))
TENS = Vocabulary(("-10", "0", "10", "200"))
DIGITS = Vocabulary.of_integers(10)

CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=100)
WORDS = CELLS.filter(str.strip)
PATHS = itertools.count()


def refused(sentence):
    return pytest.raises(ConfigError, match=re.escape(sentence))


def whole_sentence(error, start):
    """A message is one line, starts as told and is not endless."""
    message = str(error)
    return message.startswith(start) and len(message.splitlines()) == 1 and len(message) < 2000


def outcome(function, *arguments):
    """What a function returns and what it refuses, one of them None."""
    try:
        return function(*arguments), None
    except ConfigError as error:
        return None, error


@pytest.fixture(scope="session")
def new_file(tmp_path_factory):
    """A function from bytes to the path of a new file that holds them."""
    folder = tmp_path_factory.mktemp("columns")

    def write(content):
        path = folder / f"{next(PATHS)}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# Vocabulary


def test_whole_numbers_are_sorted_as_numbers_and_text_as_text():
    assert Vocabulary.of_words(["10", "9", "-10", "-9"]).values == ("-10", "-9", "9", "10")
    assert Vocabulary.of_words(["10", "9", "x"]).values == ("10", "9", "x")


def test_spellings_of_a_whole_number_are_one_value_unless_some_value_is_text():
    assert Vocabulary.of_words(["007", "+7", "7", " -0", "+00 "]).values == ("0", "7")
    assert Vocabulary.of_words(["007", "7", "7.0"]).values == ("007", "7", "7.0")


@pytest.mark.parametrize("word", ["\u0661", "\uff11", "1_0", "1.0", "1e3", "--1", "+"])
def test_one_value_that_is_no_whole_number_in_ascii_digits_makes_all_text(word):
    vocabulary = Vocabulary.of_words(["2", word])
    assert {vocabulary.value(0), vocabulary.value(1)} == {"2", word}


@pytest.mark.parametrize("word", ["7", "007", "+7", " 7\t", "\n+0007\r\n"])
def test_every_spelling_of_7_has_the_token_of_7(word):
    assert Vocabulary(("5", "7")).token(word) == 1


@pytest.mark.parametrize("word", ["0", "-0", "+0", "-000", "+00"])
def test_minus_0_is_0(word):
    assert TENS.token(word) == 1


@pytest.mark.parametrize(
    "word",
    [
        "",
        "+",
        "-",
        "--10",
        "+-10",
        "1_0",
        "1 0",
        "10.0",
        "1e1",
        "\u0660",
        "\uff11\uff10",
        "²",
        "0x0",
    ],
)
def test_what_only_resembles_a_whole_number_has_no_token(word):
    assert TENS.token(word) is None


def test_numbers_of_any_length_are_compared_without_being_computed():
    assert TENS.token("1" * 1_000_000) is None
    assert TENS.token("0" * 1_000_000 + "10") == 2


def test_a_text_vocabulary_knows_exact_spellings_only():
    mixed = Vocabulary(("7", "x"))
    assert [mixed.token(word) for word in ("7", " x ", "007", "X")] == [0, 1, None, None]


def test_values_are_integers_where_all_of_them_are_whole_numbers():
    assert [TENS.value(token) for token in range(4)] == [-10, 0, 10, 200]
    assert [type(TENS.value(0)), Vocabulary(("7", "x")).value(0)] == [int, "7"]


@pytest.mark.parametrize("size", [2, 11, 50_000])
def test_the_vocabulary_of_integers_maps_each_to_itself(size):
    vocabulary = Vocabulary.of_integers(size)
    assert len(vocabulary) == size
    assert [vocabulary.token(str(i)) for i in range(size)] == list(range(size))
    assert vocabulary.token(str(size)) is None
    assert vocabulary.value(size - 1) == size - 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "a vocabulary of no value is too small: use 2 different values"),
        (["7", "+7"], "a vocabulary of the one value '7' is too small: use 2 different values"),
        (["a", " "], "vocabulary value '' is blank"),
        (["a", "b" * 101], "vocabulary value '" + "b" * 40 + "...' is longer than 100 characters"),
        (["1", "0" * 101], "vocabulary value '" + "0" * 40 + "...' is longer than 100 characters"),
        (["1", "9" * 9999], "vocabulary value '" + "9" * 40 + "...' is longer than 100 characters"),
        (["a", "b\0"], "vocabulary value 'b\\x00' has a control character, or one that"),
        (["a", "\ud800"], "vocabulary value '\\ud800' has a control character, or one that"),
    ],
)
def test_words_that_make_no_vocabulary_are_refused_in_one_sentence(words, sentence):
    with pytest.raises(ConfigError) as refusal:
        Vocabulary.of_words(words)
    assert whole_sentence(refusal.value, sentence)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (None, "vocabulary is of type NoneType, not a list: use one that to_list wrote"),
        ({"a": 0, "b": 1}, "vocabulary is of type dict, not a list"),
        ("ab", "vocabulary is of type str, not a list"),
        (float("nan"), "vocabulary is of type float, not a list"),
        ([], "a vocabulary of no value is too small"),
        (["7"], "a vocabulary of the one value '7' is too small"),
        (["a", 7], "vocabulary value number 2 is of type int, not a text: use a list that"),
        (["a", None], "vocabulary value number 2 is of type NoneType, not a text"),
        ([float("nan"), "a"], "vocabulary value number 1 is of type float, not a text"),
        ([["a"], ["b"]], "vocabulary value number 1 is of type list, not a text"),
        (["a", "a"], "vocabulary value 'a' is there twice, out of order or not"),
        (["b", "a"], "vocabulary value 'b' is there twice, out of order or not"),
        (["10", "9"], "vocabulary value '10' is there twice, out of order or not"),
        (["07", "8"], "vocabulary value '07' is there twice, out of order or not"),
        (["-0", "8"], "vocabulary value '-0' is there twice, out of order or not"),
        (["a", " b"], "vocabulary value ' b' is blank or has blanks around it"),
        (["", "b"], "vocabulary value '' is blank or has blanks around it"),
        (["a", "b" * 10**6], "vocabulary value '" + "b" * 40 + "...' is longer than 100"),
        (["1", "9" * 10**6], "vocabulary value '" + "9" * 40 + "...' is longer than 100"),
        (["a", "\udcff"], "vocabulary value '\\udcff' has a control character, or one that"),
    ],
)
def test_a_list_that_to_list_cannot_have_written_is_refused_in_one_sentence(values, sentence):
    with pytest.raises(ConfigError) as refusal:
        Vocabulary.from_list(values)
    assert whole_sentence(refusal.value, sentence)


def test_a_list_nested_as_deep_as_one_likes_is_refused():
    nested = []
    for _ in range(10 * sys.getrecursionlimit()):
        nested = [nested]
    with refused("vocabulary value number 1 is of type list"):
        Vocabulary.from_list([nested, "a"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from("0123"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.cases
@hypothesis.given(JSON | st.lists(st.text(max_size=2)) | st.lists(st.sampled_from("0123ab")))
def test_any_json_gives_a_vocabulary_that_writes_the_same_or_is_refused(values):
    values = json.loads(json.dumps(values))
    vocabulary, error = outcome(Vocabulary.from_list, values)
    assert error is None or whole_sentence(error, "")
    if vocabulary:
        assert vocabulary.to_list() == values
        assert [vocabulary.token(word) for word in values] == list(range(len(values)))


@pytest.mark.cases
@hypothesis.given(st.lists(st.integers(-1000, 1000), min_size=2, unique=True), st.data())
def test_the_vocabulary_of_integers_in_any_spelling_is_that_of_the_integers(integers, data):
    signs = {-1: ["-"], 0: ["-", "+", ""], 1: ["+", ""]}
    spelled = [
        data.draw(st.sampled_from(signs[(i > 0) - (i < 0)]))
        + "0" * data.draw(st.integers(0, 3))
        + str(abs(i))
        for i in integers
    ]
    vocabulary = Vocabulary.of_words(spelled)
    assert vocabulary.to_list() == [str(i) for i in sorted(integers)]
    assert [vocabulary.value(vocabulary.token(word)) for word in spelled] == integers
    assert Vocabulary.from_list(json.loads(json.dumps(vocabulary.to_list()))) == vocabulary


# Columns


@pytest.mark.parametrize(
    "content",
    [
        "t,x\n1,a\n2,b\n",
        "t,x\n1,a\n2,b",
        "t;x\r\n1;a\r\n2;b\r\n\r\n \r\n",
        "t\tx\n1\ta\n2\tb\n\n\n",
        "t,x\r1,a\r2,b\r",
        "\ufefft,x\n1,a\n2,b\n",
        '"t","x"\n"1","a"\n"2","b"\n',
        "t , x \n1, a\n2,b \n",
        '"t,,";x\n1;a\n2;b\n',
        "t,x\n1,a,\n2,b,,\n",
    ],
)
def test_a_column_is_the_same_however_the_file_is_written(new_file, content):
    assert v.read_column(new_file(content), "x") == ("x", ["a", "b"], [2, 3])


def test_the_only_column_needs_no_name(new_file):
    assert v.read_column(new_file("x\n7\n 8 \n")) == ("x", ["7", "8"], [2, 3])


def test_blanks_around_the_name_asked_for_do_not_count(new_file):
    assert v.read_column(new_file("t,x\n1,2\n"), " x ").words == ["2"]


def test_a_column_named_by_a_number_is_read_when_it_is_asked_for(new_file):
    assert v.read_column(new_file("7\n8\n"), "7") == ("7", ["8"], [2])


def test_two_columns_of_one_name_are_no_matter_when_another_is_read(new_file):
    assert v.read_column(new_file("x,y,y\n1,2,3\n"), "x").words == ["1"]


def test_a_separator_and_quotes_and_line_breaks_may_stand_in_a_quoted_cell(new_file):
    content = 't,x\n"1\n1\r\n1","a,""\nb"\n2,c\n'
    assert v.read_column(new_file(content), "x") == ("x", ['a,"\nb', "c"], [4, 6])


BAD_FILES = [
    ("", None, "is empty: use one with column names and values"),
    (b"\xef\xbb\xbf\r\n \n", None, "is empty: use one with"),
    ("x\n", None, "has column names and no values: add a line for each value"),
    ("x\r\n\r\n", "x", "has column names and no values"),
    ("\nx\n1\n", "x", "line 1 is blank: name the columns there"),
    (",\n1,2\n", None, "line 1 is blank: name the columns there"),
    ("17\n18\n", None, "line 1 has the number '17' where the name of the column belongs: add a"),
    ("-0.5\n18\n", None, "line 1 has the number '-0.5' where the name of the column belongs"),
    ("t,x\n1,2\n", None, "has 2 columns: use --column with one of 't', 'x'"),
    ("t,price,size\n1,2,3\n", "prise", "has no column 'prise': use one of 'price', 't', 'size'"),
    (
        ";".join(f"c{i}" for i in range(13)) + "\n",
        "x",
        "has no column 'x': use one of " + ", ".join(f"'c{i}'" for i in range(10)) + " and 3 more",
    ),
    ("x,t,x\n1,2,3\n", "x", "has 2 columns named 'x': rename one"),
    ("t,x\n1,2\n3\n", "x", "line 3 has 1 cell, none of them in column 'x' (number 2): add what"),
    ("x\n1\n\n3\n", "x", "line 3 has 0 cells, none of them in column 'x' (number 1)"),
    ("t,x\n1,2\n3, \n", "x", "line 3 has an empty cell in column 'x': fill it or remove the line"),
    ('x\n1\n""\n', "x", "line 3 has an empty cell in column 'x'"),
    ("x\n1\n1,5\n", "x", "line 3 has 2 cells, but line 1 names 1: put a cell that contains the"),
    ("x\n" + "9" * 101, "x", "line 2 has in column 'x' the value '" + "9" * 40 + "...', which is"),
    ('x\n1\n"2\n3\n', "x", "line 3 is not CSV (unexpected end of data): mend the quotes"),
    ('x\n1\n"2"3\n', "x", "line 3 is not CSV (',' expected after '\"'): mend the quotes"),
    ("x\n1\n" + "9" * 200_000, "x", "line 3 is not CSV (field larger than field limit (131072))"),
    (b"x\n1\r\n\xff\n", "x", "line 3 is not UTF-8 (byte 0xff): save the file as UTF-8"),
    ("x\n1\n".encode("utf-16"), "x", "line 1 is not UTF-8 (byte 0xff): save the file as UTF-8"),
    (b"x\n1\n2\0\n", "x", "line 3 has a NUL byte: save the file as UTF-8 text"),
]


@pytest.mark.parametrize(("content", "column", "sentence"), BAD_FILES)
def test_a_file_that_has_no_such_column_is_refused_in_one_sentence(
    new_file, content, column, sentence
):
    path = new_file(content)
    with pytest.raises(ConfigError) as refusal:
        v.read_column(path, column)
    assert whole_sentence(refusal.value, f"file {path} {sentence}")


def test_names_longer_than_a_line_are_cut_in_a_refusal(new_file):
    path = new_file(",".join(c * 9999 for c in "abcdefghijklmn"))
    with pytest.raises(ConfigError) as refusal:
        v.read_column(path, "x\n" * 9999)
    assert whole_sentence(refusal.value, f"file {path} has no column 'x\\nx\\n")


def test_a_path_that_is_no_regular_file_is_refused_in_one_sentence(tmp_path):
    absent, pipe = tmp_path / "absent.csv", tmp_path / "pipe"
    os.mkfifo(pipe)
    with refused(f"file {absent} does not exist: use the name of a CSV file"):
        v.read_column(absent)
    with refused(f"file {tmp_path} is a folder: use the name of a CSV file"):
        v.read_column(tmp_path)
    with refused(f"file {pipe} is a pipe or a device, not a regular file: use the name"):
        v.read_column(pipe)
    with refused("file /dev/zero is a pipe or a device"):
        v.read_column(Path("/dev/zero"))
    with refused("cannot be read (Not a directory): use a file you may read"):
        v.read_column(Path("/dev/null/x.csv"))
    with refused("b cannot be read ("):
        v.read_column(tmp_path / "a\0b")


def test_a_file_that_one_may_not_read_is_refused(new_file, monkeypatch):
    path = new_file("x\n1\n")

    def deny(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", deny)
    with refused(f"file {path} cannot be read (Permission denied): use a file you may read"):
        v.read_column(path)


def test_a_link_to_a_file_is_read(new_file, tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(new_file("x\n1\n"))
    assert v.read_column(link).words == ["1"]


@pytest.mark.cases
@hypothesis.given(
    rows=st.lists(st.tuples(CELLS, WORDS), min_size=2),
    separator=st.sampled_from(",;\t"),
    style=st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
)
def test_any_words_come_back_through_csv_tokens_and_values(new_file, rows, separator, style):
    text = io.StringIO(newline="")
    line_end, quoting = style
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writerows([("note", "the column"), *rows])
    column = v.read_column(new_file(text.getvalue()), "the column")
    assert column.words == [word.strip() for _, word in rows]
    hypothesis.assume(len({_whole(word) for word in column.words}) > 1)
    vocabulary = Vocabulary.of_words(column.words)
    tokens = encode(vocabulary, column.words, column.lines)
    back = [vocabulary.value(token) for token in tokens.tolist()]
    expected = column.words
    if all(re.fullmatch("[+-]?[0-9]+", word) for word in expected):
        expected = [int(word) for word in expected]
    assert back == expected


@pytest.mark.cases
@hypothesis.given(st.lists(st.lists(st.sampled_from(["a", "\n", "\r\n", "b"])), min_size=1))
def test_a_cell_is_said_to_be_in_the_line_that_it_begins_in(new_file, notes):
    rows = ['"' + "".join(note) + f'",<{i}>' for i, note in enumerate(notes)]
    text = "\n".join(["note,x", *rows])
    lines = [text[: text.index(f"<{i}>")].count("\n") + 1 for i in range(len(notes))]
    assert v.read_column(new_file(text), "x").lines == lines


@pytest.mark.cases
@hypothesis.given(
    st.binary()
    | st.text(st.sampled_from('x1,;\t\r\n" \0é\ufeff')).map(str.encode)
    | st.text(st.sampled_from('x1,\n"')).map(lambda text: ("x,y\n" + text).encode())
)
def test_any_bytes_are_a_column_or_are_refused_in_one_sentence(new_file, content):
    path = new_file(content)
    for column in (None, "x"):
        read, error = outcome(v.read_column, path, column)
        assert error is None or whole_sentence(error, f"file {path} ")
        if read:
            assert len(read.words) == len(read.lines) > 0
            assert all(0 < len(word) <= LONGEST for word in read.words)
            assert all(b >= a for a, b in itertools.pairwise([2, *read.lines]))


# Tokens


def test_encoded_words_are_int32_tokens():
    tokens = encode(TENS, ["10", "-10", "+010"])
    assert tokens.dtype == np.int32
    assert tokens.tolist() == [2, 0, 2]


def test_skipped_words_are_minus_1():
    assert encode(TENS, ["10", "11", "200", "x"], unknown="skip").tolist() == [
        2,
        -1,
        3,
        -1,
    ]


@pytest.mark.parametrize(
    ("vocabulary", "words", "lines", "sentence"),
    [
        (
            DIGITS,
            ["7", "17", "18"],
            None,
            "value '17' at position 2 is not in the vocabulary (the whole numbers 0 to 9): "
            "use --unknown skip to leave out such values",
        ),
        (
            TENS,
            ["10", "17"],
            [4, 9],
            "value '17' in line 9 is not in the vocabulary (4 values: '-10', '0', '10' and 1 more)",
        ),
        (
            FRUIT,
            ["plum"],
            [2],
            "value 'plum' in line 2 is not in the vocabulary (3 values: 'apple', 'kiwi', 'pear')",
        ),
    ],
)
def test_an_unseen_value_is_refused_with_its_place(vocabulary, words, lines, sentence):
    with pytest.raises(ConfigError) as refusal:
        encode(vocabulary, words, lines)
    assert whole_sentence(refusal.value, sentence)


def test_the_reader_answers_a_word_as_soon_as_whitespace_follows():
    reader = TokenReader(TENS)
    fed = [reader.feed(data).tolist() for data in (b"0 1", b"0", b"\n", b" \n", b"", b"200\t-10")]
    assert fed == [[1], [], [2], [], [], [3]]
    assert reader.finish().tolist() == [0]
    assert reader.finish().tolist() == []


@pytest.mark.parametrize(
    ("data", "tokens", "sentence"),
    [
        (b"1 2\n3 x 4\n", [1, 2, 3], "value 'x' in line 2 of the input is not in the vocabulary"),
        (b"1\r\n\r\n\xff ", [1], "value '\\udcff' in line 3 of the input is not in"),
        (b"\n1_0 ", [], "value '1_0' in line 2 of the input is not in the vocabulary"),
        (b"5 " + b"7" * 101, [5], "value '" + "7" * 40 + "...' in line 1 of the input is longer"),
    ],
)
def test_a_word_that_cannot_be_read_is_refused_and_those_before_it_are_kept(data, tokens, sentence):
    with pytest.raises(v.InputError) as refusal:
        TokenReader(DIGITS).feed(data)
    assert whole_sentence(refusal.value, sentence)
    assert refusal.value.tokens.tolist() == tokens
    assert refusal.value.tokens.dtype == np.int32


def test_lines_are_counted_over_all_blocks():
    reader = TokenReader(DIGITS)
    for data in (b"1\n2", b"\n", b"\n3 4\n", b"5"):
        reader.feed(data)
    with refused("value '5x' in line 5 of the input"):
        reader.feed(b"x\n\n")


def test_the_last_word_is_refused_too_where_it_is_unseen():
    reader = TokenReader(DIGITS)
    assert reader.feed(b"1\n12").tolist() == [1]
    with refused("value '12' in line 2 of the input"):
        reader.finish()


def test_a_skipping_reader_refuses_only_words_without_end():
    reader = TokenReader(DIGITS, "skip")
    assert reader.feed(b"1 x 2 \xff\xfe 3 10 ").tolist() == [1, -1, 2, -1, 3, -1]
    assert reader.feed(b"y" * 100).tolist() == []
    with refused("value '" + "y" * 40 + "...' in line 1 of the input is longer than 100 char"):
        reader.feed(b"y")


def test_a_value_of_100_characters_is_read_whatever_number_of_bytes_they_take():
    longest = "😀" * 100
    reader = TokenReader(Vocabulary.of_words([longest, "a"]))
    data = longest.encode() + b" a "
    assert [t for i in range(len(data)) for t in reader.feed(data[i : i + 1]).tolist()] == [1, 0]


def read_in(blocks, reader):
    """The tokens of all blocks, and the message that ends them or None."""
    tokens = []
    try:
        for block in blocks:
            tokens += reader.feed(block).tolist()
        tokens += reader.finish().tolist()
    except v.InputError as error:
        return tokens + error.tokens.tolist(), str(error)
    return tokens, None


PIECES = [b"0", b"7", b"7 \n", b"-", b"+", b"x", b" ", b"\n", b"\r\n", b"\t\x0b\x0c", b"\x1f"]
PIECES += [b"\xe2\x82\xac", b"\xc3", b"7" * 60, b"\xc3\xa9" * 60, b"\xf0\x9f\x98\x80" * 97]


@pytest.mark.cases
@hypothesis.given(
    pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=2)),
    cuts=st.lists(st.integers(0, 200)),
    unknown=st.sampled_from(["error", "skip"]),
)
def test_tokens_and_refusal_are_the_same_however_the_input_is_cut(pieces, cuts, unknown):
    data = b"".join(pieces)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    blocks = [data[a:b] for a, b in itertools.pairwise(edges)]
    vocabulary = Vocabulary(("0", "7", "70"))
    at_once = read_in([data], TokenReader(vocabulary, unknown))
    assert read_in(blocks, TokenReader(vocabulary, unknown)) == at_once
    single_bytes = [data[i : i + 1] for i in range(len(data))]
    assert read_in(single_bytes, TokenReader(vocabulary, unknown)) == at_once


@pytest.mark.cases
@hypothesis.given(st.lists(st.sampled_from(["-10", "0", "10", "+0200", "x", "é", "1e3"])))
def test_the_reader_gives_the_tokens_that_encode_gives(words):
    data = "\n".join(words).encode()
    expected = encode(TENS, words, unknown="skip").tolist()
    assert read_in([data], TokenReader(TENS, "skip")) == (expected, None)


def test_the_memory_of_the_reader_is_bounded(monkeypatch):
    monkeypatch.setattr(v, "_SPELLINGS", 1000)
    reader = TokenReader(DIGITS, "skip")
    reader.feed(b"".join(b"w%d " % i for i in range(2000)))
    tracemalloc.start()
    for block in range(50):
        tokens = reader.feed(b"".join(b"w%d.%d 7 " % (block, i) for i in range(2000)))
        assert tokens.tolist() == [-1, 7] * 2000
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 500_000


# Parts and counts


def test_the_last_share_is_held_out():
    train, held = v.split(np.arange(10), 3, 0.3)
    assert (train.tolist(), held.tolist()) == ([0, 1, 2, 3, 4, 5, 6], [7, 8, 9])


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2, float("nan"), float("inf")])
def test_a_share_that_leaves_one_part_nothing_is_refused(share):
    with refused(f"held-out {share} is not above 0 and below 1: use one such as 0.1"):
        v.split(np.arange(10), 1, share)


def parts_of(asked):
    return v.split(np.arange(asked["total"]), asked["length"], asked["share"])


def fixes_of(error):
    return str(error).partition(": use ")[2]


@pytest.mark.parametrize(
    ("total", "length", "share", "sentence"),
    [
        (
            100,
            25,
            0.1,
            "100 values with --held-out 0.1 give 90 to train on and 10 held out, which must both "
            "be at least --length 25: use --length 10, --held-out 0.25 or at least 246 values",
        ),
        (
            50,
            25,
            0.9,
            "50 values with --held-out 0.9 give 5 to train on and 45 held out, which must both "
            "be at least --length 25: use --length 5, --held-out 0.5 or at least 245 values",
        ),
        (
            99,
            25,
            0.9,
            "99 values with --held-out 0.9 give 10 to train on and 89 held out, which must both "
            "be at least --length 25: use --length 10, --held-out 0.75 or at least 245 values",
        ),
        (3, 25, 0.5, "3 values with --held-out 0.5 give 1 to train on and 2 held out"),
        (1, 5, 1e-12, "1 value with --held-out 1e-12 give 1 to train on and 0 held out"),
        (0, 5, 0.1, "0 values with --held-out 0.1 give 0 to train on and 0 held out"),
    ],
)
def test_a_part_too_short_for_a_sequence_is_refused(total, length, share, sentence):
    with pytest.raises(ConfigError) as refusal:
        v.split(np.zeros(total, np.int32), length, share)
    assert whole_sentence(refusal.value, sentence)


@pytest.mark.cases
@hypothesis.given(
    total=st.integers(0, 300),
    length=st.integers(1, 100),
    share=st.sampled_from([0.1, 0.5, 0.9]) | st.floats(0.001, 0.999),
)
def test_each_number_that_a_refusal_offers_works_alone(total, length, share):
    asked = {"total": total, "length": length, "share": share}
    parts, error = outcome(parts_of, asked)
    if parts:
        assert np.concatenate(parts).tolist() == list(range(total))
        assert min(map(len, parts)) >= length
        assert abs(len(parts[1]) - share * total) <= 0.5
        return
    offers = dict(re.findall(r"(--length|--held-out|at least) (\d[.\d]*)", fixes_of(error)))
    assert ("--length" in offers) == (0 < round(total * share) < total)
    assert ("--held-out" in offers) == (total >= 2 * length)
    for flag, number in offers.items():
        if flag == "--held-out":
            parts_of(asked | {"share": float(number)})
            continue
        name, worse = {"--length": ("length", 1), "at least": ("total", -1)}[flag]
        parts_of(asked | {name: int(number)})
        with pytest.raises(ConfigError):
            parts_of(asked | {name: int(number) + worse})


def test_a_share_that_no_number_of_values_serves_gets_another_fix():
    _, error = outcome(v.split, np.arange(3), 5, 1e-12)
    assert fixes_of(error) == "--held-out 0.5 with at least 10 values"
    v.split(np.arange(10), 5, 0.5)


@pytest.mark.cases
@hypothesis.given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_the_share_of_any_number_of_values_is_found(part, rest):
    share = v._share(part, part + rest)
    assert 0 < share < 1
    assert round((part + rest) * share) == part


def test_the_most_common_values_come_first_and_ties_by_token():
    tokens = np.array([3, 1, 3, -1, 0, 1, 2], np.int32)
    assert v.most_common(tokens, TENS, count=3) == [
        (0, 1, 2, 2 / 6),
        (200, 3, 2, 2 / 6),
        (-10, 0, 1, 1 / 6),
    ]


def test_ties_among_many_values_are_in_the_order_of_tokens():
    tokens = np.concatenate([np.arange(100)[::-1], np.arange(1, 100, 2)])
    top = v.most_common(tokens, Vocabulary.of_integers(100), count=60)
    assert [row.token for row in top] == [*range(1, 100, 2), *range(0, 20, 2)]


def test_values_that_do_not_occur_are_not_among_the_most_common():
    assert v.most_common(np.array([2, 2]), FRUIT) == [("pear", 2, 2, 1.0)]
    assert v.most_common(np.array([], np.int32), FRUIT) == []
