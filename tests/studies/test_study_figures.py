"""The text in place of a figure, and figures of seeds that failed."""

from fabricated import changed_row, row

from echo_jax.config import PARTS, changed
from echo_jax.report import styles
from echo_jax.studies import study_figures
from echo_jax.studies.catalogue import Chart
from echo_jax.studies.grid_point import GridPoint

EIGHT = changed(PARTS["context"], seeds=8)
CURVES = Chart("curves", "accuracy_by_position", "position")


def made(name="a", accuracy=None):
    return row(GridPoint({"kind": name}, EIGHT), 0, accuracy)


def test_the_text_in_place_of_a_figure_has_its_numbers():
    two = [made("a", accuracy=0.5), made("b", accuracy=1.0)]
    assert study_figures.alternative(Chart(), two) == (
        "Dots of accuracy on fresh sequences. kind a: 50.00%; kind b: 100%."
    )
    assert study_figures.alternative(CURVES, two) == (
        "Lines of accuracy over position. kind a: highest at 5 with 50.00%, lowest 50.00%; kind b: "
        "highest at 5 with 100%, lowest 100%."
    )
    many = [made(str(i), accuracy=i / 100) for i in range(25)]
    assert study_figures.alternative(Chart(), many) == (
        "Dots of accuracy on fresh sequences, 25 grid points, from 0% to 24.00%; the table has "
        "each of them."
    )


def test_what_is_left_out_is_neither_drawn_nor_named():
    two = [made("a", accuracy=0.5), made("b", accuracy=1.0)]
    only_b = Chart("curves", "accuracy_by_position", leave_out=lambda at: at["kind"] == "a")
    assert list(study_figures.curves(only_b, two)) == ["kind b"]
    assert "kind a" not in study_figures.alternative(only_b, two)


def test_seeds_that_all_failed_are_drawn_as_nothing_and_said_to_be_unknown():
    failed = changed_row(made("a"), accuracy_by_position=[None] * 20)
    assert study_figures.alternative(CURVES, [failed, made("b", accuracy=0.5)]) == (
        "Lines of accuracy over position. kind a: unknown; kind b: highest at 5 with 50.00%, "
        "lowest 50.00%."
    )
    assert styles.svg(study_figures.figure(CURVES, [failed, made("b")]), "x")
