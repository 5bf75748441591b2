from echo_jax.report.page import Paper, write_for_paper
from echo_jax.report.section import Section
from echo_jax.report.text_tables import Table


def test_a_row_may_lack_a_name_that_another_has_and_a_table_without_a_row_is_no_file(tmp_path):
    section = Section(
        "n", "N", tidy={"": lambda: [{"n": 1}, {"n": None, "name": "b"}], "-none": list}
    )
    (written,) = write_for_paper(tmp_path, [section], Paper("png", tables=("csv",)))
    assert (written.name, written.read_text()) == ("n.csv", "n,name\n1,\n,b\n")
    assert section.rows == [{"n": 1}, {"n": None, "name": "b"}]


def test_every_table_of_a_section_is_a_file(tmp_path):
    tables = [Table("", ["value"], [[value]]) for value in ("first", "second", "third")]
    section = Section("n", "N", tables=tables)
    written = write_for_paper(tmp_path, [section], Paper("png", tables=("latex",)))
    of_name = {path.name: path.read_text() for path in written}
    for name, value in {"n.tex": "first", "n-2.tex": "second", "n-3.tex": "third"}.items():
        assert value in of_name[name]
