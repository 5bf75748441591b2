"""A finished training run as a Python object, which shows itself in a notebook."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_jax.config import RunConfig, changed, chosen, is_handed_over
from echo_jax.core.network import Network, Params
from echo_jax.report.charts import NotebookFigure
from echo_jax.report.markdown import escaped, fenced
from echo_jax.report.styles import drawing
from echo_jax.runs import advice, curve_figure, explanation, run_report
from echo_jax.runs.predictor import TrainedNetwork, network_of
from echo_jax.runs.result import Result
from echo_jax.runs.run_file import Finished, History
from echo_jax.runs.run_folder import RunSpec
from echo_jax.runs.states_figure import any_values

if TYPE_CHECKING:
    from echo_jax.probing.probe_result import ProbeResult


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Run:
    """A finished training run: its scores, its curve, why it ended so, and its networks.

    config   what was run
    result   the scores beside their baselines, as in `result.json`
    history  loss and accuracy of every training sequence, `history.curves()`
    folder   where the run is stored; None for one that wrote nothing
    """

    config: RunConfig
    result: Result
    history: History
    folder: Path | None
    _inputs: RunSpec
    _network: Network
    _params: Params

    def curve(self) -> NotebookFigure:
        """Loss and accuracy over training beside their baselines, as in `curve.png`."""
        with drawing():
            return curve_figure.figure_of(self._finished())

    def _finished(self) -> Finished:
        return Finished(self.config, self.history, self.result)

    def explain(self) -> str:
        """Say where the target is, if it can be learned, and what helps, or what to ask next."""
        why = explanation.explain(self.config, self.result, "argument")
        return "\n".join([why, *self._next_runs()])

    def report(self) -> str:
        """The scores in full, as the command prints them; and what helps, or what to ask next."""
        scores = run_report.full_report(self.config, self.result, "argument")
        return "\n".join([scores.lstrip(), *self._next_runs()])

    def _next_runs(self) -> list[str]:
        def call(changes: dict[str, Any]) -> str:
            """The Python call of this run with some fields changed."""
            fields = chosen(changed(self.config, **changes))
            words = {name: repr(value) for name, value in fields.items()}
            if self.config.training.of_optax:
                words["optimizer"] = "..."  # the one that was given
            if is_handed_over(self.config.network.cell):
                words["cell"] = "..."
            return f"echo_jax.train({', '.join(map('='.join, words.items()))})"

        return advice.after_run(self._finished(), call)

    def network(self, seed: int | None = None) -> TrainedNetwork:
        """The network of a seed, None for the first; ConfigError if it failed or is not there."""
        network = self._network._replace(compute="fast")
        trained = self.history.sequences
        return network_of(self._inputs, network, self._params, trained, seed, "this run")

    def predict(self, values: Any, *, seed: int | None = None, **options: Any) -> Any:
        """The answers of the network of a seed, as `TrainedNetwork.predict` of `runs.predictor`."""
        return self.network(seed).predict(values, **options)

    def states(self, values: Any = None, *, seed: int | None = None) -> NotebookFigure:
        """The states over a sequence, by default always the same one at random, as a figure."""
        network = self.network(seed)
        return network.states(any_values(network) if values is None else values)

    def memory(self, lags: int | None = None, *, seed: int | None = None) -> "ProbeResult":
        """The bits that the state of a network tells about earlier values, by `echo_jax.probe`.

        It is fed values at random as in training, or the user's own, of which the last 15% are
        scored; the network before training stands beside. Asks for `lags` steps back, by default
        twice as far as the window and the target.
        """
        return self.network(seed).memory(lags)

    def __repr__(self) -> str:
        """The run, and its scores beside the baselines."""
        scores = run_report.scores(self.config, self.result)
        return f"{run_report.describe(self.config)}\n{scores}"

    def _repr_markdown_(self) -> str:
        what = escaped(run_report.describe(self.config))
        scores = fenced(run_report.scores(self.config, self.result), "text")
        why = map(escaped, self.explain().splitlines())
        return "\n\n".join([f"**{what}**", scores, *why])
