from echo_jax.report.page import Paper, write_for_paper
from echo_jax.report.section import Section


def test_a_row_may_lack_a_name_that_another_has_and_a_table_without_a_row_is_no_file(tmp_path):
    section = Section(
        "n", "N", tidy={"": lambda: [{"n": 1}, {"n": None, "name": "b"}], "-none": list}
    )
    (written,) = write_for_paper(tmp_path, [section], Paper("png", tables=("csv",)))
    assert (written.name, written.read_text()) == ("n.csv", "n,name\n1,\n,b\n")
    assert section.rows == [{"n": 1}, {"n": None, "name": "b"}]
