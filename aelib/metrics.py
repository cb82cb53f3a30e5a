"""How good a reconstruction or a code is: NumPy in, numbers out.

The house's convention: sum over the features, mean over the samples.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

_ROWS = 4096  # samples at a time, so that float64 copies of a large float32 set stay small


def squared_error(x: ArrayLike, reconstruction: ArrayLike) -> float:
    """Return the squared error, summed over features and averaged over samples.

    Parameters
    ----------
    x, reconstruction : array of shape (n, ...)

    Returns
    -------
    float
        In the squared unit of `x`.

    Raises
    ------
    ValueError
        If the shapes differ or there are no samples.
    """
    return float(per_sample_squared_error(x, reconstruction).mean())


def per_sample_squared_error(x: ArrayLike, reconstruction: ArrayLike) -> np.ndarray:
    """Return each sample's squared error, summed over its features.

    Parameters
    ----------
    x, reconstruction : array of shape (n, ...)

    Returns
    -------
    ndarray of shape (n,), float64

    Raises
    ------
    ValueError
        If the shapes differ or there are no samples.
    """
    return _sum_features(lambda a, b: (a - b) ** 2, *_check_pair(x, reconstruction))


def binary_cross_entropy(x: ArrayLike, probabilities: ArrayLike) -> float:
    """Return ``-Σ x log p + (1 - x) log(1 - p)``, summed over features and averaged over samples.

    ``0 log 0`` is exactly 0; a probability of 0 where `x` is not gives infinity.

    Parameters
    ----------
    x : array of shape (n, ...), values in [0, 1]
    probabilities : array of the same shape, values in [0, 1]
        Not logits.

    Returns
    -------
    float
        In nats per sample.

    Raises
    ------
    ValueError
        If the shapes differ, there are no samples, or a value lies outside [0, 1].
    """
    from scipy.special import xlog1py, xlogy

    x, probabilities = _check_pair(x, probabilities)
    _check_unit_interval("x", x)
    _check_unit_interval("probabilities", probabilities)
    return float(_sum_features(lambda t, p: 0.0 - xlogy(t, p) - xlog1py(1 - t, -p), x, probabilities).mean())


def entropy_floor(x: ArrayLike) -> float:
    """Return the lowest binary cross-entropy that any reconstruction of `x` can reach.

    That is ``Σ h(x)`` with ``h(t) = -t log t - (1 - t) log(1 - t)``, summed over features and averaged
    over samples: the cross-entropy of x with itself, and by Gibbs' inequality its minimum.

    Parameters
    ----------
    x : array of shape (n, ...), values in [0, 1]

    Returns
    -------
    float
        In nats per sample; 0 if every value is 0 or 1.

    Raises
    ------
    ValueError
        If there are no samples, or a value lies outside [0, 1].
    """
    from scipy.special import entr

    x = _check_samples("x", x)
    _check_unit_interval("x", x)
    return float(_sum_features(lambda t: entr(t) + entr(1 - t), x).mean())


def psnr(x: ArrayLike, reconstruction: ArrayLike, *, data_range: float = 1.0) -> float:
    """Return the peak signal-to-noise ratio ``10 log10(data_range² / MSE)``.

    MSE is the mean over all values of all samples.

    Parameters
    ----------
    x, reconstruction : array of shape (n, ...)
    data_range : float, default=1.0
        The largest value minus the smallest that the data can take.

    Returns
    -------
    float
        In dB; infinity for an exact reconstruction.

    Raises
    ------
    ValueError
        If the shapes differ or there are no samples.
    """
    mean_squared_error = squared_error(x, reconstruction) / (np.size(x) / len(x))
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.divide(data_range**2, mean_squared_error)))


def principal_angles(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return the principal angles between the subspaces that the columns of `a` and `b` span.

    Computed by `scipy.linalg.subspace_angles` (Knyazev & Argentati 2002), accurate for small angles too.

    Parameters
    ----------
    a : array of shape (features, p)
    b : array of shape (features, q)
        Bases; their columns need not be orthogonal, but must be independent.

    Returns
    -------
    ndarray of shape (min(p, q),)
        In radians, largest first: all 0 if one subspace holds the other.

    Raises
    ------
    ValueError
        If the arrays are not matrices with equally many rows, or their columns are dependent.
    """
    from scipy.linalg import subspace_angles

    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b):
        raise ValueError(
            f"principal_angles takes two matrices with equally many rows (features), "
            f"not {a.shape} and {b.shape}"
        )
    for name, basis in {"a": a, "b": b}.items():
        rank = np.linalg.matrix_rank(basis)
        if rank < basis.shape[1]:
            raise ValueError(
                f"the {basis.shape[1]} columns of {name} span only {rank} dimensions, so they are no basis; "
                "drop the dependent ones (a dead unit is a column of zeros)"
            )
    return subspace_angles(a, b)


def active_units(means: ArrayLike, *, threshold: float = 0.01) -> int:
    """Return how many code units depend on the data: those whose mean varies by more than `threshold`.

    The measure of Burda et al. (2016): the variance over the data of a unit's posterior mean.

    Parameters
    ----------
    means : array of shape (n, code)
        Posterior means, as `VariationalAutoencoder.transform` returns them.
    threshold : float, default=0.01
        In the squared unit of the code.

    Returns
    -------
    int
    """
    means = _check_samples("means", means)
    return int(np.sum(np.var(means.astype(np.float64), axis=0) > threshold))


def pca_reconstruction(x_train: ArrayLike, x: ArrayLike, code: int) -> np.ndarray:
    """Return the reconstruction of `x` by a principal component analysis fitted to `x_train`.

    Parameters
    ----------
    x_train : array of shape (n_train, features)
    x : array of shape (n, features)
    code : int
        The number of components, from 1 to ``min(n_train, features)``.

    Returns
    -------
    ndarray of shape (n, features), float64
        Not clipped to the range of the data.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `code` is out of range.
    """
    pca = _fit_pca(x_train, x, [code])
    return pca.inverse_transform(pca.transform(np.asarray(x, dtype=np.float64)))


def pca_error(x_train: ArrayLike, x_test: ArrayLike, code: int) -> float:
    """Return the squared error of PCA at a code size: fitted to `x_train`, scored on `x_test`.

    Parameters
    ----------
    x_train : array of shape (n_train, features)
    x_test : array of shape (n, features)
    code : int
        The number of components.

    Returns
    -------
    float
        Summed over features, averaged over samples.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `code` is out of range.
    """
    return float(pca_errors(x_train, x_test, [code])[0])


def pca_errors(x_train: ArrayLike, x_test: ArrayLike, codes: Sequence[int]) -> np.ndarray:
    """Return `pca_error` at several code sizes, from a single fit: the components are nested.

    Parameters
    ----------
    x_train : array of shape (n_train, features)
    x_test : array of shape (n, features)
    codes : sequence of int
        The numbers of components.

    Returns
    -------
    ndarray of shape (len(codes),)

    Raises
    ------
    ValueError
        If the shapes do not fit, or a code size is out of range.
    """
    pca = _fit_pca(x_train, x_test, codes)
    centred = np.asarray(x_test, dtype=np.float64) - pca.mean_
    scores = centred @ pca.components_.T
    return np.array([squared_error(centred, scores[:, :code] @ pca.components_[:code]) for code in codes])


def _fit_pca(x_train: ArrayLike, x: ArrayLike, codes: Sequence[int]):
    from sklearn.decomposition import PCA

    x_train = np.asarray(x_train, dtype=np.float64)
    shape = np.shape(x)
    if x_train.ndim != 2 or len(shape) != 2 or x_train.shape[1] != shape[1]:
        raise ValueError(
            f"PCA takes arrays of shape (n, features) with equal features, not {x_train.shape} and {shape}"
        )
    largest = min(x_train.shape)
    for code in codes:
        if not isinstance(code, (int, np.integer)) or not 1 <= code <= largest:
            raise ValueError(f"the code size must be a whole number from 1 to {largest}, not {code!r}")
    # The eigenvectors of the covariance matrix: deterministic, and far quicker than the singular values
    # of the data where there are many more samples than features.
    solver = "covariance_eigh" if len(x_train) >= 10 * x_train.shape[1] else "full"
    return PCA(n_components=max(codes), svd_solver=solver).fit(x_train)


def _check_samples(name: str, x: ArrayLike) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim < 2 or x.size == 0:
        raise ValueError(
            f"{name} must have the shape (n, ...) with at least one sample and one feature, not {x.shape}"
        )
    return x


def _check_pair(x: ArrayLike, reconstruction: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, reconstruction = _check_samples("x", x), _check_samples("the reconstruction", reconstruction)
    if x.shape != reconstruction.shape:
        raise ValueError(
            f"x has the shape {x.shape}, its reconstruction {reconstruction.shape}; they must be equal"
        )
    return x, reconstruction


def _check_unit_interval(name: str, x: np.ndarray) -> None:
    lowest, highest = x.min(), x.max()
    if not (lowest >= 0 and highest <= 1):  # in this form it is also true of NaN
        raise ValueError(
            f"{name} must lie in [0, 1] for a cross-entropy, but reaches from {lowest:g} to {highest:g}; "
            "scale the data, or pass a logit through a sigmoid first"
        )


def _sum_features(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """Return `function` of the arrays, in float64, summed over all axes but the first."""
    sums = []
    for start in range(0, len(arrays[0]), _ROWS):
        block = (a[start : start + _ROWS].astype(np.float64) for a in arrays)
        values = function(*block)
        sums.append(values.reshape(len(values), -1).sum(axis=1))
    return np.concatenate(sums)
