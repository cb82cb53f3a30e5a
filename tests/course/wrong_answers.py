"""Wrong answers for each assignment: a solution in which one mistake was planted.

Each names the task, the framework, what of the solution's code is replaced by what, and words of the message
that the student must get. It must lose the points of its own task, and no others.
"""

from typing import NamedTuple


class WrongAnswer(NamedTuple):
    task: str
    framework: str
    right: str
    wrong: str
    message: str


WRONG_ANSWERS = {
    "1-foundations": {
        "summed-loss": WrongAnswer(
            "squared-error",
            "torch",
            "squares.sum(dim=1).mean()",
            "squares.sum()",
            "grows with the batch size",
        ),
        "log-of-zero": WrongAnswer(
            "cross-entropy",
            "torch",
            "    log_term = torch.log1p(torch.exp(-logits.abs()))\n"
            "        return (logits.clamp(min=0.0) - target * logits + log_term).sum(dim=1).mean()",
            "    p = torch.sigmoid(logits)\n"
            "        return -(target * p.log() + (1 - target) * (1 - p).log()).sum(dim=1).mean()",
            "what is log(0)?",
        ),
        "not-centred": WrongAnswer(
            "linear",
            "torch",
            "mean = x_train.mean(dim=0)",
            "mean = torch.zeros(x_train.shape[1], dtype=x_train.dtype)",
            "a better linear autoencoder exists",
        ),
        "no-slope-of-tanh": WrongAnswer(
            "backward",
            "torch",
            "(x_bar @ w2.T) * (1.0 - z**2)",
            "x_bar @ w2.T",
            "every factor of the chain rule",
        ),
    },
    "2-models": {
        "noisy-target": WrongAnswer(
            "denoising",
            "torch",
            "return ((reconstruct(noisy) - x)",
            "return ((reconstruct(noisy) - noisy)",
            "free of cost",
        ),
        "mean-per-image": WrongAnswer(
            "sparsity",
            "torch",
            "mean = code.mean(dim=0)",
            "mean = code.mean(dim=1)",
            "a mean over what?",
        ),
        "kl-wrong-sign": WrongAnswer(
            "kl",
            "tensorflow",
            "0.5 * (mean**2 + tf.exp(log_variance) - 1.0 - log_variance)",
            "-0.5 * (mean**2 + tf.exp(log_variance) - 1.0 - log_variance)",
            "mind the sign",
        ),
        "loss-as-bound": WrongAnswer(
            "elbo", "torch", "return -(cross_entropy(", "return (cross_entropy(", "the higher the better"
        ),
    },
    "3-uses": {
        "leak": WrongAnswer(
            "standardise",
            "torch",
            "(z_test - mean) * factor",
            "(z_test - z_test.mean(dim=0)) * factor",
            "that is a leak",
        ),
        "ties-lost": WrongAnswer(
            "auroc",
            "torch",
            "(0.5 * (torch.sign(difference) + 1.0)).mean()",
            "(difference > 0).double().mean()",
            "what are ties worth?",
        ),
        "mean-of-decibels": WrongAnswer(
            "psnr",
            "torch",
            "torch.log10(data_range**2 / ((x - reconstruction) ** 2).mean())",
            "torch.log10(data_range**2 / ((x - reconstruction) ** 2).mean(dim=1)).mean()",
            "what is averaged first?",
        ),
        "nan-in-the-gradient": WrongAnswer(
            "holes",
            "tensorflow",
            "tf.cast(known, x.dtype) * (output - filled) ** 2",
            "tf.where(known, (output - x) ** 2, tf.zeros_like(x))",
            "where does the NaN go in?",
        ),
    },
    "4-practice": {
        "keras-epsilon": WrongAnswer(
            "adam",
            "tensorflow",
            "rate * m_hat / (v_hat**0.5 + epsilon)",
            "rate * m_hat * (1 - beta_2**step) ** 0.5 / (v**0.5 + epsilon)",
            "to what is epsilon added",
        ),
        "mean-of-means": WrongAnswer(
            "accumulation",
            "torch",
            "total += size * gradient_of(x[first : first + size])\n"
            "        first += size\n"
            "    return total / first",
            "total += gradient_of(x[first : first + size])\n"
            "        first += size\n"
            "    return total / len(sizes)",
            "counts as much as one of five",
        ),
        "overlap-ignored": WrongAnswer(
            "comparison",
            "torch",
            "torch.sqrt((1.0 / count + n_test / n_train)",
            "torch.sqrt((1.0 / count)",
            "the splits overlap",
        ),
        "axes-forgotten": WrongAnswer(
            "port",
            "torch",
            "weight.reshape(-1, channels, height, width).permute(2, 3, 1, 0).reshape(-1, len(weight))",
            "weight.T",
            "in another order",
        ),
    },
}
