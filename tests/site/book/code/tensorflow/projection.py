"""A sample of a wing."""

import tensorflow as tf


def project(w, x):
    """Project x on the columns of w."""
    return tf.linalg.matvec(w, tf.linalg.matvec(w, x, transpose_a=True))
