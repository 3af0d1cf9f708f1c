from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_cli.settings.seeding import derive_seed

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=100)


def test_derived_seeds_never_change_between_versions() -> None:
    assert derive_seed(0, "init", "hidden.0.weight") == 1_058_123_768_547_479_017
    assert derive_seed(7, "order", 3) == 929_583_480_629_082_613


@FIXED
@given(st.integers(0, 2**31 - 1), st.text(max_size=10))
def test_derived_seeds_are_valid_generator_seeds(seed: int, name: str) -> None:
    assert 0 <= derive_seed(seed, name) < 2**63


@FIXED
@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_different_seeds_give_different_draws(first: int, second: int) -> None:
    assert (derive_seed(first, "init") == derive_seed(second, "init")) == (first == second)


def test_each_name_seed_and_position_has_its_own_draws() -> None:
    drawn = {
        derive_seed(seed, name, index)
        for seed in range(10)
        for name in ("init", "order", "dropout")
        for index in range(10)
    }
    assert len(drawn) == 300


def test_names_are_kept_apart_by_a_separator() -> None:
    assert derive_seed(1, "12") != derive_seed(11, "2")
    assert derive_seed(1, 1, 23) != derive_seed(1, 12, 3)
