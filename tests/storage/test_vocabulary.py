import csv
import io
import itertools
import os
import re
import tracemalloc
from pathlib import Path
from unittest import mock

import hypothesis
import hypothesis.strategies as st
import pytest

from echo_jax.exceptions import ConfigError
from echo_jax.storage.csv_and_text import read_column, words_of
from echo_jax.storage.vocabulary import Vocabulary, encode

CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=100)
PATHS = itertools.count()


@pytest.fixture(scope="session")
def new_file(tmp_path_factory):
    """A function from text or bytes to the path of a new file that holds them."""
    folder = tmp_path_factory.mktemp("columns")

    def write(content):
        path = folder / f"{next(PATHS)}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


TWO_LINES = ("x", ["a", "b"], [2, 3])
GOOD_FILES = [
    ("t,x\n1,a\n2,b\n", " x ", TWO_LINES),
    ("t;x\r\n1;a\r\n2;b\r\n\r\n \r\n", "x", TWO_LINES),
    ("t,x\r1,a\r2,b\r", "x", TWO_LINES),
    ("\ufefft,x\n1,a\n2,b\n", "x", TWO_LINES),
    ("t , x \n1, a\n2,b \n", "x", TWO_LINES),
    ("x\n7\n 8 \n", None, ("x", ["7", "8"], [2, 3])),  # the only column needs no name
    ("7\n8\n", "7", ("7", ["8"], [2])),  # unless it is a number
    ('t,x\n"1\n1\r\n1","a,""\nb"\n2,c\n', "x", ("x", ['a,"\nb', "c"], [2, 6])),
]


@pytest.mark.parametrize(("content", "column", "expected"), GOOD_FILES)
def test_a_column_is_read_however_the_file_is_written(new_file, content, column, expected):
    assert read_column(new_file(content), column) == expected


BAD_FILES = [
    ("", None, "is empty"),
    ("x\r\n\r\n", "x", "has no values"),
    ("\nx\n1\n", "x", "line 1 is blank"),
    ("17\n18\n", None, "line 1 has the number '17' where the name"),
    ("t,x\n1,2\n", None, "has 2 columns: use column with one of 't', 'x'"),
    ("t,price\n1,2\n", "prise", "column='prise' is not in"),
    ("a;b\n", "x\n" * 999, r"column='x\nx\n"),
    ("x,t,x\n1,2,3\n", "x", "names 2 columns of"),
    ("t,x\n1,2\n3\n", "x", "line 3 has no value in column 'x'"),
    ("x\n1\n1,5\n", "x", "line 3 has 2 cells, but line 1 names 1"),
    ("x\n1\n" + "9" * 200_000, "x", "line 3 is not CSV"),
    (b"x\n1\r\n\xff\n", "x", "line 3 is not UTF-8"),
]


@pytest.mark.parametrize(("content", "column", "sentence"), BAD_FILES)
def test_a_file_that_has_no_such_column_is_refused_in_one_sentence(
    new_file, content, column, sentence
):
    path = new_file(content)
    with pytest.raises(ConfigError, match=re.escape(sentence)) as refusal:
        read_column(path, column)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert len(str(refusal.value)) < 2000


def test_a_path_that_is_no_regular_file_is_refused_and_a_link_to_one_is_read(
    new_file, tmp_path, monkeypatch
):
    os.mkfifo(tmp_path / "pipe")
    nul = tmp_path / "a\0b"
    for path in (tmp_path / "absent", tmp_path, tmp_path / "pipe", Path("/dev/zero"), nul):
        with pytest.raises(ConfigError, match="does not exist or is not a regular file"):
            read_column(path)
    (tmp_path / "link").symlink_to(new_file("x\n1\n"))
    assert read_column(tmp_path / "link").words == ["1"]
    denied = mock.Mock(side_effect=PermissionError(13, "Permission denied"))
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(ConfigError, match=r"cannot be read \(Permission denied\)"):
        read_column(tmp_path / "link")


@pytest.mark.cases
@hypothesis.given(
    rows=st.lists(st.tuples(CELLS, CELLS.filter(str.strip)), min_size=2),
    separator=st.sampled_from(",;\t"),
    style=st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
)
def test_any_words_come_back_through_csv_tokens_and_values(new_file, rows, separator, style):
    text = io.StringIO(newline="")
    line_end, quoting = style
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writerows([("note", "the column"), *rows])
    column = read_column(new_file(text.getvalue()), "the column")
    assert column.words == [word.strip() for _, word in rows]
    try:
        vocabulary = Vocabulary.of_words(column.words)
    except ConfigError:  # there is one value only
        hypothesis.reject()
    back = [vocabulary.value(token) for token in encode(vocabulary, column.words).tolist()]
    assert back == [int(word) if vocabulary.is_whole else word for word in column.words]


@pytest.mark.cases
@hypothesis.given(
    st.binary()
    | st.text(st.sampled_from('x1,;\t\r\n" \0é\ufeff')).map(str.encode)
    | st.text(st.sampled_from('x1,\n"')).map(lambda text: ("x,y\n" + text).encode())
)
def test_any_bytes_are_a_column_or_are_refused_in_one_sentence(new_file, content):
    path = new_file(content)
    for column in (None, "x"):
        read, refusal = None, ""
        try:
            read = read_column(path, column)
        except ConfigError as error:
            refusal = str(error)
        if read:
            assert len(read.words) == len(read.lines) > 0
            assert all(read.words)
            assert all(b > a for a, b in itertools.pairwise([1, *read.lines]))
        else:
            assert str(path) in refusal
            assert len(refusal.splitlines()) == 1


def test_words_of_a_stream_come_as_soon_as_whitespace_follows():
    blocks = [b"0 1", b"0", b"\n", b" \n", b"", b"200\t-10", b"\xff"]
    words = [["0"], [], ["10"], [], [], ["200"], [], ["-10\udcff"]]
    assert list(words_of(blocks)) == words


PIECES = [b"0", b"7", b"7 \n", b"-", b"+", b"x", b" ", b"\n", b"\r\n", b"\t\x0b\x0c", b"\x1f"]
PIECES += [b"\xe2\x82\xac", b"\xc3", b"0" * 390, b"\xc3\xa9" * 60, b"\xf0\x9f\x98\x80" * 97]


@pytest.mark.cases
@hypothesis.given(
    pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=2)),
    cuts=st.lists(st.integers(0, 200)),
)
def test_tokens_are_the_same_however_the_input_is_cut(pieces, cuts):
    data = b"".join(pieces)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    blocks = [data[a:b] for a, b in itertools.pairwise(edges)]
    single_bytes = [data[i : i + 1] for i in range(len(data))]
    vocabulary = Vocabulary(("0", "7", "70"))
    at_once, *cut = (
        encode(vocabulary, list(itertools.chain(*words_of(some))), "skip").tolist()
        for some in ([data], blocks, single_bytes)
    )
    assert cut == [at_once, at_once]


def test_memory_does_not_grow_with_a_word_without_end():
    words = words_of(itertools.chain(itertools.repeat(b"7" * 2**16, 100), [b" 7 "]))
    tracemalloc.start()
    assert [next(words) for _ in range(100)] == [[]] * 100
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
    assert encode(Vocabulary(tuple("0123456789")), next(words), "skip").tolist() == [-1, 7]


def test_a_file_larger_than_memory_is_refused_by_its_size(tmp_path):
    with (tmp_path / "endless.csv").open("wb") as file:
        file.truncate(2**40)  # sparse: it takes no room
    with pytest.raises(
        ConfigError, match=r"6,144\.0 GiB of memory is needed, more than the .* smaller file"
    ):
        read_column(tmp_path / "endless.csv")


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


NO_VOCABULARY = [
    ((), "vocabulary without values is too small"),
    (("", "a"), "value '' is blank"),
    (("a", "b\0"), "value 'b\\x00' is blank"),
    (("a", "\ud800"), "value '\\ud800' is blank"),
    (("1", "9" * 10**6), "is longer than 100 characters"),
]


@pytest.mark.parametrize(("values", "sentence"), NO_VOCABULARY)
def test_values_that_make_no_vocabulary_are_refused_in_one_sentence(values, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)) as refusal:
        Vocabulary(values)
    assert len(str(refusal.value)) < 200
