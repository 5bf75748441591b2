"""The file that says how to cite."""

import re

import echo_jax


def test_the_version_to_cite_is_the_one_that_is_there(root):
    cited = re.findall(r"^version: (.*)$", (root / "CITATION.cff").read_text(), re.M)
    assert cited == [echo_jax.__version__]
