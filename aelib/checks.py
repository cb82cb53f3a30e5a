"""Checks of settings: each raises an error that names the setting, its value, and what would do."""

import math
from numbers import Integral, Real


def check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raise a ValueError that lists the known values, unless `value` is one of them."""
    if not isinstance(value, str) or value not in known:
        options = ", ".join(repr(option) for option in known)
        raise ValueError(f"unknown {name} {value!r}; choose one of: {options}")


def check_integer(name: str, value: object, *, at_least: int) -> None:
    """Raise a TypeError or ValueError unless `value` is an integer of at least `at_least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer of at least {at_least}, got {value!r}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {value}")


def check_positive_integer(name: str, value: object) -> None:
    """Raise a TypeError or ValueError unless `value` is an integer of at least 1."""
    check_integer(name, value, at_least=1)


def check_number(name: str, value: object, allowed: str) -> None:
    """Raise a ValueError unless `value` is a finite number in an interval such as "[0, 1)" or "(0, inf)"."""
    low, high = (float(end) for end in allowed[1:-1].split(","))
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    above = is_number and (value >= low if allowed[0] == "[" else value > low)
    below = is_number and (value <= high if allowed[-1] == "]" else value < high)
    if not (above and below):
        raise ValueError(f"{name} must be a number in {allowed}, got {value!r}")
