"""Trees of arrays in files: what is written comes back bit for bit, or is refused by its name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_folders import sign_arrays

from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.storage import tensor_files

GRID = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
TREE = {
    "sliced": GRID[:, ::2, ::-1],
    "fortran": np.asfortranarray(GRID.astype(np.complex64) * (1 + 2j)),
    "turned": GRID.transpose(2, 0, 1),
    "number": np.float32(0.1),
    "none": np.zeros((0, 3), np.int32),
    "of jax": jnp.arange(3) > 1,
    "nested": [{"deep": np.array([np.nan, -0.0, np.inf], np.float16)}, np.arange(2, dtype="u1")],
}


@pytest.fixture
def path(tmp_path):
    tensor_files.write(tmp_path / "a.safetensors", "state", TREE, {"column": "0" * 64})
    return tmp_path / "a.safetensors"


def read(path, tree=TREE):
    return tensor_files.read(path, jax.eval_shape(lambda: tree), "restore it")


def test_arrays_of_any_layout_come_back_bit_for_bit(path):
    tree, about = read(path)
    assert jax.tree.structure(tree) == jax.tree.structure(TREE)
    for mine, theirs in zip(jax.tree.leaves(tree), jax.tree.leaves(TREE), strict=True):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        assert mine.tobytes() == np.asarray(theirs).tobytes()
    assert about["column"] == "0" * 64  # as the digest is while it is computed


def test_the_same_tree_has_the_same_bytes(path):
    written = set()
    for _ in range(5):
        tensor_files.write(path, "state", TREE, {"count": 3, "of": "x", "other": None})
        written.add(path.read_bytes())
    assert len(written) == 1


def test_a_bit_that_flipped_anywhere_is_refused(path):
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(StorageError, match=r"a\.safetensors (is damaged|was written by)"):
            read(path)


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        ({"w": jnp.ones(2, jnp.bfloat16)}, "array w is bfloat16"),
        ({"a": [np.ones(2, np.complex128)]}, r"array a\.0 is complex128"),
        ({"w": jnp.ones(2, jnp.int4)}, "array w is int4"),
        ({"key": jax.random.key(0)}, "array key is key<fry>"),
        ({"a.b": np.ones(1), "a": {"b": np.ones(1)}}, r"array 'a\.b' does not have a unique"),
        ({"__metadata__": np.ones(1)}, "array '__metadata__' does not have"),
    ],
)
def test_what_no_file_holds_is_refused_by_its_name_and_nothing_is_written(tmp_path, tree, name):
    with pytest.raises(ConfigError, match=f"^{name}"):
        tensor_files.write(tmp_path / "a", "state", tree, {})
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_version_is_refused_with_the_version_that_reads_it(path):
    sign_arrays(path, {"more": np.zeros(2**9)}, format=9, version="0.9.1")
    with pytest.raises(StorageError, match=r"was written by echo_jax 0\.9\.1 in a format"):
        read(path)
