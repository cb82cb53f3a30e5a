"""One class of MNIST as normal and nine as anomalies: eight scores, ten classes, several seeds.

``python -m benchmarks.one_class`` fits every detector to 5,000 training images of one class, judges it on the
10,000 test images, and writes ``benchmarks/results/one_class.json``. Nothing is tuned: the settings stand
below, and neither test labels nor anomalies are looked at before the end. Each seed draws its own 5,000 of
the class's images among the 60,000, and its own initial weights; the class's other images are never trained
on and set the threshold. Lesson 11 shows the record and repeats a part of it.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

import aelib
from aelib.metrics import per_sample_squared_error
from benchmarks import RESULTS, describe_run, write_record

FIT_SIZE = 5000  # images of the normal class
CODE = 32
HIDDEN = (128,)
SEEDS = 5
FALSE_ALARM_RATE = 0.05  # what the threshold asks for
PREVALENCE = 0.1  # share of anomalies to which the average precision is weighted
TRAINING = {
    "learning_rate": aelib.CosineDecay(5e-3, 5e-5),
    "batch_size": 100,
    "epochs": 15,
    "dtype": "float32",
}
EVIDENCE_SAMPLES = 5  # codes drawn for each image
# Ruff et al. (2018), table 1: AUROC in percent, normal class 0 to 9, mean over ten seeds.
SOURCE = "Ruff et al. (2018), Deep One-Class Classification, ICML, table 1"
PUBLISHED = {
    "convolutional autoencoder (DCAE)": [97.6, 98.3, 85.4, 86.7, 86.5, 78.2, 94.6, 92.3, 86.5, 90.4],
    "soft-boundary Deep SVDD": [97.8, 99.6, 89.5, 90.3, 93.8, 85.8, 98.0, 92.7, 92.9, 94.9],
    "one-class Deep SVDD": [98.0, 99.7, 91.7, 91.9, 94.9, 88.5, 98.3, 94.6, 93.9, 96.5],
}

Score = Callable[[np.ndarray], np.ndarray]  # images to anomaly scores, the larger the stranger


def classical_scores(x: np.ndarray, seed: int, code: int) -> dict[str, Score]:
    """Fit the detectors that are no networks to normal images `x` and return their scores."""
    pca = PCA(code, svd_solver="covariance_eigh").fit(x.astype(np.float64))
    forest = IsolationForest(n_estimators=100, random_state=seed).fit(x)
    # Distances are measured in the components that hold 95 % of the variance: several times as quick.
    reduced = PCA(0.95, svd_solver="covariance_eigh").fit(x.astype(np.float64))
    svm = OneClassSVM(nu=0.1, gamma="scale").fit(reduced.transform(x))
    neighbours = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(reduced.transform(x))
    return {
        "PCA residual": lambda t: per_sample_squared_error(t, pca.inverse_transform(pca.transform(t))),
        "Gaussian evidence": lambda t: -pca.score_samples(t),
        "Isolation Forest": lambda t: -forest.score_samples(t),
        "one-class SVM": lambda t: -svm.score_samples(reduced.transform(t)),
        "LOF": lambda t: -neighbours.score_samples(reduced.transform(t)),
    }


def network_scores(x: np.ndarray, seed: int, code: int, backend: str | None, epochs: int) -> dict[str, Score]:
    """Train an autoencoder and a variational one on normal images `x` and return their scores."""
    architecture = aelib.Dense(HIDDEN, code=code)
    settings = TRAINING | {"epochs": epochs, "random_state": seed, "backend": backend}
    plain = aelib.Autoencoder(architecture, output_activation="sigmoid", **settings).fit(x)
    codes = EmpiricalCovariance().fit(plain.transform(x).astype(np.float64))
    variational = aelib.VariationalAutoencoder(
        architecture, likelihood="gaussian", warm_up=epochs // 4, **settings
    ).fit(x)
    return {
        "AE error": lambda t: per_sample_squared_error(t, plain.reconstruct(t)),
        "AE code distance": lambda t: codes.mahalanobis(plain.transform(t).astype(np.float64)),
        "VAE evidence": lambda t: -variational.log_likelihood(t, samples=EVIDENCE_SAMPLES),
    }


def judge(held_out: np.ndarray, test: np.ndarray, is_anomaly: np.ndarray) -> dict[str, float]:
    """Return what scores of held-out normal images and of test images say about a detector."""
    normal = int(np.sum(~is_anomaly))
    # Anomalies are nine tenths of the test images; weighted, they are one tenth.
    weight = PREVALENCE / (1 - PREVALENCE) * normal / np.sum(is_anomaly)
    rank = int(np.ceil((1 - FALSE_ALARM_RATE) * (len(held_out) + 1)))
    alarms = test > np.sort(held_out)[rank - 1]
    weights = np.where(is_anomaly, weight, 1.0)
    return {
        "auroc": round(float(roc_auc_score(is_anomaly, test)), 5),
        "average_precision": round(
            float(average_precision_score(is_anomaly, test, sample_weight=weights)), 5
        ),
        "normal": normal,
        "expected_false_alarms": round(normal * (1 - rank / (len(held_out) + 1)), 3),
        "false_alarms": int(np.sum(alarms & ~is_anomaly)),
        "detected": round(float(np.mean(alarms[is_anomaly])), 5),
    }


def measure(
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    label: int,
    seed: int,
    *,
    fit_size: int = FIT_SIZE,
    code: int = CODE,
    epochs: int = TRAINING["epochs"],
    backend: str | None = None,
) -> dict[str, dict[str, float]]:
    """Return what each score reaches with one class as normal and one seed."""
    own = np.random.RandomState(seed).permutation(x[y == label])
    fit, held_out = own[:fit_size], own[fit_size:]
    scores = classical_scores(fit, seed, code) | network_scores(fit, seed, code, backend, epochs)
    return {name: judge(score(held_out), score(x_test), y_test != label) for name, score in scores.items()}


def main() -> None:
    """Read the command line, measure, print mean AUROCs and write the record after each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=aelib.settings.BACKENDS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    aelib.configure(profile="full")
    data = aelib.load_dataset("mnist")
    x = np.concatenate([data.x_train, data.x_validation])
    y = np.concatenate([data.y_train, data.y_validation])
    start, results = time.process_time(), {}
    for seed in range(options.seeds):
        for label in range(10):
            found = measure(x, y, data.x_test, data.y_test, label, seed, backend=options.backend)
            for method, numbers in found.items():
                for measure_name, value in numbers.items():
                    of_method = results.setdefault(method, {})
                    of_method.setdefault(measure_name, [[] for _ in range(10)])[label].append(value)
            print(seed, label, {method: numbers["auroc"] for method, numbers in found.items()}, flush=True)
        record = describe_run() | {
            "data": "MNIST, test images of all classes",
            "measure": "lists: normal class 0 to 9, in each the seeds in order; AUROC as a fraction",
            "fit_size": FIT_SIZE,
            "code": CODE,
            "hidden": list(HIDDEN),
            "epochs": TRAINING["epochs"],
            "evidence_samples": EVIDENCE_SAMPLES,
            "false_alarm_rate": FALSE_ALARM_RATE,
            "prevalence": PREVALENCE,
            "backend": options.backend or aelib.settings.get_backend(),
            "seeds": list(range(seed + 1)),
            "processor_seconds": round(time.process_time() - start, 1),
            "source": SOURCE,
            "published_auroc_percent": PUBLISHED,
            "results": results,
        }
        write_record(RESULTS / "one_class.json", record)
    for method, numbers in results.items():
        print(f"{method:<20} {100 * np.mean(numbers['auroc']):.2f} %")


if __name__ == "__main__":
    main()
