"""An example for the command: a search for the autoencoder that describes a digit at the least cost.

``python -m aelib.search benchmarks/search_digits.py --trials 40`` searches, with ``--workers 2`` in two
processes. Ctrl-C stops it, and the same command goes on.
"""

import numpy as np

import aelib

PRICE = 0.05  # squared error that one more number in the code must save to be worth it
EPOCHS = 12


def build(trial) -> aelib.Autoencoder:
    """Return the autoencoder that the trial describes."""
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    penalty = trial.suggest_float("penalty", 1e-7, 1e-2, log=True)
    return aelib.Autoencoder(
        aelib.Dense(
            (trial.suggest_int("width", 16, 128, log=True),),
            code=trial.suggest_int("code", 2, 32),
            activation=trial.suggest_categorical("activation", ["relu", "tanh"]),
        ),
        output_activation="sigmoid",  # pixels lie in [0, 1]
        penalty=aelib.L2(penalty),
        learning_rate=aelib.CosineDecay(rate, rate / 100),
        batch_size=64,
        epochs=EPOCHS,
        random_state=0,
    )


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return what trials are trained on and what they are judged on."""
    digits = aelib.load_dataset("digits")
    return digits.x_train, digits.x_validation


def error(model: aelib.Autoencoder, x: np.ndarray) -> float:
    """Return the squared error per image, plus the price of the code's numbers."""
    return aelib.metrics.squared_error(x, model.reconstruct(x)) + PRICE * model.architecture.code
