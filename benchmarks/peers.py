"""The competitors of `benchmarks.speed`: the same network, trained the ways people train it.

Everywhere: 784-128-64-12-2 and its mirror, ReLU, linear code and output, squared error, Adam with rate 1e-3,
batches of 128, float32, a new order every epoch. Each function is given the images, an array (images, 784),
float32 in [0, 1], and returns ``train(epochs)``; its imports stand inside it, so that they count as start-up.
"""

import itertools
import tempfile
from collections.abc import Callable

import numpy as np

HIDDEN = (128, 64, 12)
CODE = 2
BATCH = 128
RATE = 1e-3

Train = Callable[[int], object]


def layer_sizes(features: int) -> list[int]:
    """Return the widths from the input through the code to the output."""
    return [features, *HIDDEN, CODE, *reversed(HIDDEN), features]


def _every_product(x: np.ndarray, as_array: Callable, product: Callable) -> Train:
    """Forward and backward products of every layer, on arrays that are already there: nothing else."""
    sizes = layer_sizes(x.shape[1])
    generator = np.random.default_rng(0)

    def draw(*shape: int):
        return as_array(generator.random(shape, dtype=np.float32))

    def buffers(rows: int) -> list[tuple]:
        layers = []
        for inputs, outputs in itertools.pairwise(sizes):
            kernel, before, gradient = draw(inputs, outputs), draw(rows, inputs), draw(rows, outputs)
            results = draw(rows, outputs), draw(inputs, outputs), draw(rows, inputs)
            layers.append((kernel, before, gradient, results))
        return layers

    whole_batches, rest = divmod(len(x), BATCH)
    batches = [buffers(BATCH)] * whole_batches + ([buffers(rest)] if rest else [])

    def train(epochs: int) -> None:
        for _ in range(epochs):
            for layers in batches:
                for number, (kernel, before, gradient, results) in enumerate(layers):
                    product(before, kernel, out=results[0])
                    product(before.T, gradient, out=results[1])
                    if number > 0:  # nobody needs the gradient of the images
                        product(gradient, kernel.T, out=results[2])

    return train


def numpy_products(x: np.ndarray) -> Train:
    """Return the matrix products alone, in NumPy."""
    return _every_product(x, np.asarray, np.matmul)


def torch_products(x: np.ndarray) -> Train:
    """Return the matrix products alone, in PyTorch."""
    import torch

    return _every_product(x, torch.from_numpy, torch.matmul)


def _aelib(x: np.ndarray, backend: str) -> Train:
    import aelib

    def train(epochs: int) -> None:
        aelib.Autoencoder(
            aelib.Dense(HIDDEN, code=CODE),
            learning_rate=RATE,
            batch_size=BATCH,
            epochs=epochs,
            dtype="float32",
            backend=backend,
            random_state=0,
        ).fit(x)

    return train


def aelib_torch(x: np.ndarray) -> Train:
    """Return `aelib.Autoencoder.fit` under PyTorch."""
    return _aelib(x, "torch")


def aelib_tensorflow(x: np.ndarray) -> Train:
    """Return `aelib.Autoencoder.fit` under TensorFlow."""
    return _aelib(x, "tensorflow")


def _torch_halves(features: int) -> tuple:
    """Return encoder and decoder as `nn.Sequential`."""
    from torch import nn

    def stack(sizes: list[int]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    sizes = layer_sizes(features)
    middle = len(HIDDEN) + 1
    return stack(sizes[: middle + 1]), stack(sizes[middle:])


def _tutorial_loop(loader, features: int) -> Train:
    """Return the loop of most PyTorch tutorials; `loader` gives (images, labels) or (images,)."""
    import torch
    from torch import nn

    model = nn.Sequential(*_torch_halves(features))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    criterion = nn.MSELoss()

    def train(epochs: int) -> None:
        for _ in range(epochs):
            total = 0.0
            for images, *_labels in loader:
                images = images.view(images.size(0), -1)
                optimizer.zero_grad()
                loss = criterion(model(images), images)
                loss.backward()
                optimizer.step()
                total += loss.item()

    return train


def pil_loader(x: np.ndarray) -> Train:
    """Return the tutorial loop over a data set that makes a PIL image and a tensor of each item."""
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    pixels = np.rint(x * 255).astype(np.uint8).reshape(len(x), 28, 28)

    class Images(Dataset):
        """What torchvision's MNIST with ToTensor does for each item."""

        def __len__(self) -> int:
            return len(pixels)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            image = Image.fromarray(pixels[index])
            return torch.from_numpy(np.array(image)).unsqueeze(0).float().div(255), 0

    return _tutorial_loop(DataLoader(Images(), batch_size=BATCH, shuffle=True), x.shape[1])


def _tensor_loader(x: np.ndarray):
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(torch.from_numpy(x)), batch_size=BATCH, shuffle=True)


def tensor_loader(x: np.ndarray) -> Train:
    """Return the tutorial loop over a TensorDataset."""
    return _tutorial_loop(_tensor_loader(x), x.shape[1])


def lightning(x: np.ndarray) -> Train:
    """Return PyTorch Lightning's Trainer over a TensorDataset; logger and checkpoints off, in its favour."""
    import pytorch_lightning
    import torch
    from torch import nn

    class Model(pytorch_lightning.LightningModule):
        """The network as a LightningModule."""

        def __init__(self):
            super().__init__()
            self.network = nn.Sequential(*_torch_halves(x.shape[1]))

        def training_step(self, batch, _batch_number):
            (images,) = batch
            loss = nn.functional.mse_loss(self.network(images), images)
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=RATE)

    model, loader = Model(), _tensor_loader(x)

    def train(epochs: int) -> None:
        trainer = pytorch_lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False
        )
        trainer.fit(model, loader)

    return train


def pythae(x: np.ndarray) -> Train:
    """Return Pythae's TrainingPipeline with its AE and this network as encoder and decoder."""
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Encoder(BaseEncoder):
        """Images to codes."""

        def __init__(self, layers):
            super().__init__()
            self.layers = layers

        def forward(self, images):
            return ModelOutput(embedding=self.layers(images))

    class Decoder(BaseDecoder):
        """Codes to images."""

        def __init__(self, layers):
            super().__init__()
            self.layers = layers

        def forward(self, codes):
            return ModelOutput(reconstruction=self.layers(codes))

    encoder, decoder = _torch_halves(x.shape[1])
    config = AEConfig(input_dim=(x.shape[1],), latent_dim=CODE)
    model = AE(config, encoder=Encoder(encoder), decoder=Decoder(decoder))

    def train(epochs: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            settings = BaseTrainerConfig(
                output_dir=folder,
                per_device_train_batch_size=BATCH,
                num_epochs=epochs,
                learning_rate=RATE,
                keep_best_on_train=True,  # without validation data it fails otherwise
                no_cuda=True,
            )
            TrainingPipeline(training_config=settings, model=model)(train_data=x)

    return train


def _keras_model(features: int):
    import keras

    sizes = layer_sizes(features)
    linear = (len(HIDDEN), len(sizes) - 2)  # the code and the output
    layers = [
        keras.layers.Dense(width, activation=None if number in linear else "relu")
        for number, width in enumerate(sizes[1:])
    ]
    return keras.Sequential([keras.layers.Input((features,)), *layers])


def _keras_fit(x: np.ndarray, **options) -> Train:
    import keras

    model = _keras_model(x.shape[1])
    model.compile(optimizer=keras.optimizers.Adam(RATE), loss="mse", **options)
    return lambda epochs: model.fit(x, x, batch_size=BATCH, epochs=epochs)


def keras_fit(x: np.ndarray) -> Train:
    """Return Keras's `fit` as people call it."""
    return _keras_fit(x)


def keras_compiled(x: np.ndarray) -> Train:
    """Return Keras's `fit` with 32 steps per call and XLA."""
    return _keras_fit(x, steps_per_execution=32, jit_compile=True)


def eager_tape(x: np.ndarray) -> Train:
    """Return TensorFlow's GradientTape loop without `tf.function`."""
    import keras
    import tensorflow as tf

    model = _keras_model(x.shape[1])
    optimizer = keras.optimizers.Adam(RATE)
    batches = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x)).batch(BATCH)

    def train(epochs: int) -> None:
        for _ in range(epochs):
            for images in batches:
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.square(model(images, training=True) - images))
                gradients = tape.gradient(loss, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    return train
