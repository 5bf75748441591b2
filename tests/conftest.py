import os
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parent / "keras_reference"


def pytest_addoption(parser):
    parser.addoption(
        "--keras-reference",
        type=Path,
        default=REFERENCE,
        metavar="DIR",
        help="folder of .npz files with what Keras did on fixed tokens and weights",
    )


def pytest_configure(config):
    """Compile fast rather than fast code: most tests compile for seconds and run for none.

    The slow tests run what users run. XLA reads this when jax first compiles, also in the
    processes that tests start.
    """
    if config.option.markexpr == "not slow":
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_generate_tests(metafunc):
    if "reference_file" in metafunc.fixturenames:
        files = sorted(metafunc.config.getoption("--keras-reference").glob("*.npz"))
        metafunc.parametrize("reference_file", files, ids=[file.stem for file in files])


@pytest.fixture(scope="session")
def root():
    return Path(__file__).parent.parent
