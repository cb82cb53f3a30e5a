"""A sample of a wing."""


def project(w, x):
    """Project x on the columns of w."""
    return w @ (w.T @ x)
