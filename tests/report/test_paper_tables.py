import csv
import io

from echo_jax.report import paper_tables
from echo_jax.report.page import Entry, Section, Table

TABLE = Table(
    "A caption\nof two lines.",
    ["cell", "span, lags"],
    [["a_b & c", Entry("\u2265\u2009200", 200, "50 to \u2265\u2009200")], ['say "x"', "99.5%"]],
)


def test_csv_has_each_entry_as_the_page_shows_it():
    rows = list(csv.reader(io.StringIO(paper_tables.csv_text(TABLE))))
    assert rows == [
        ["cell", "span, lags"],
        ["a_b & c", "\u2265\u2009200 (50 to \u2265\u2009200)"],
        ['say "x"', "99.5%"],
    ]


def test_latex_is_a_tabular_in_which_no_text_is_a_command():
    assert paper_tables.latex_text(TABLE).splitlines() == [
        "% A caption of two lines.",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"cell & span, lags \\",
        r"\midrule",
        r"a\_b \& c & $\geq$\,200 (50 to $\geq$\,200) \\",
        r'say "x" & 99.5\% \\',
        r"\bottomrule",
        r"\end{tabular}",
    ]
    hostile = Table("", ["\\input{x}"], [["$a^2~{#}"]])
    text = paper_tables.latex_text(hostile)
    assert r"\textbackslash{}input\{x\}" in text
    assert r"\$a\textasciicircum{}2\textasciitilde{}\{\#\}" in text


def test_tables_have_the_names_of_their_sections():
    sections = [Section("a", "?", tables=[TABLE, TABLE]), Section("b", "?")]
    assert list(paper_tables.files(sections, ["csv", "latex", "csv"])) == [
        "a.csv", "a-2.csv", "a.tex", "a-2.tex"
    ]  # fmt: skip
