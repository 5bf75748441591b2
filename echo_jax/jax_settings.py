"""Define the version of echo_jax, and the settings of jax for all results, without jax."""

from collections.abc import Mapping
from typing import Any

__version__ = "0.2.0.dev0"

GENERATOR = "threefry2x32"
"""The generator of every random key, whatever the environment says."""

SETTINGS: Mapping[str, Any] = {
    # What `jax.random` draws: another value of the first three gives other weights and other data.
    "jax_default_prng_impl": GENERATOR,
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_enable_custom_prng": False,
    # The types and shapes of results. Strict promotion would raise where our sums broadcast.
    "jax_enable_x64": False,
    "jax_numpy_rank_promotion": "allow",
    "jax_numpy_dtype_promotion": "standard",
    # How a program is computed: products of float32 in fewer bits, or other sums fused into one.
    "jax_default_matmul_precision": None,
    "eager_constant_folding": False,
    "jax_disable_most_optimizations": False,
    "jax_scan3": False,
    "jax_disable_jit": False,
}
"""The settings of jax that affect numbers, and the values with which all results are computed."""
