"""Where an epoch's time goes, larger batches, training from a file, and several workers: lesson 19's record.

``python -m benchmarks.scaling`` runs all parts, each measurement in a process of its own and with one thread,
and writes ``benchmarks/results/scaling.json``; ``--only PART`` replaces one part of the record. Images are
random numbers of MNIST's size where only time and memory are asked for. Within one process the time is the
processor's, which other programs disturb least; that of several workers is the clock's, so let nothing else
run meanwhile (the record says how busy the machine was).
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import aelib
from benchmarks import RESULTS, describe_run, peers, write_record

BACKENDS = ("torch", "tensorflow")
IMAGES = 5120
BATCH_SIZES = (32, 128, 512, 1280)
FEATURES = 784
MEMORY_ROWS = (100_000,)
EPOCHS = 20
RULES = ("same rate", "square root", "linear")
BASE = {"sgd": {"batch_size": 16, "learning_rate": 2e-3}, "adam": {"batch_size": 16, "learning_rate": 1e-3}}
FACTORS = (1, 4, 16, 64)
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "TQDM_DISABLE": "1",
}


def estimator(backend: str, **changes) -> aelib.Autoencoder:
    """Return the untrained network of `benchmarks.speed`, some of its settings changed."""
    settings = {"learning_rate": 1e-3, "batch_size": 128, "epochs": 1, "random_state": 0, "dtype": "float32"}
    architecture = aelib.Dense(peers.HIDDEN, code=peers.CODE)
    return aelib.Autoencoder(architecture, backend=backend, device="cpu", **(settings | changes))


def random_images(count: int) -> np.ndarray:
    """Return noise of the size of MNIST's images, float32."""
    return np.random.default_rng(0).random((count, FEATURES), dtype=np.float32)


def shortest(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the processor seconds of the cheapest of some calls, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def torch_stages(trainer, order: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return epochs that stop earlier and earlier in every step."""
    import torch

    from aelib.torch.engine import fast_arithmetic
    from aelib.torch.losses import loss_terms
    from aelib.torch.random import Noise

    rows = torch.as_tensor(order).split(trainer.batch_size)

    def epoch(step: Callable) -> Callable[[], object]:
        def run() -> None:
            with fast_arithmetic():
                for part in rows:
                    batch, _ = trainer.part(part)
                    step(batch, Noise(1, part))

        return run

    def loss(batch, noise):
        return loss_terms(trainer.network, trainer.objective, batch, noise, beta=1.0, training=True)["loss"]

    def gradient(batch, noise):
        trainer.optimizer.zero_grad(set_to_none=True)
        loss(batch, noise).backward()

    return {
        "batch": epoch(lambda batch, noise: None),
        "loss": epoch(loss),
        "gradient": epoch(gradient),
        "update": lambda: trainer.train_epoch(order, 1, 1e-3),
    }


def tensorflow_stages(trainer, order: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return epochs that stop earlier and earlier in every step, compiled as the engine's are."""
    import tensorflow as tf

    from aelib.tensorflow.losses import loss_terms
    from aelib.tensorflow.random import Noise

    size, weights = trainer.batch_size, trainer.optimizer.weights
    key, rows = tf.constant(1, tf.uint32), tf.constant(order, tf.int64)

    def loss(batch, noise):
        beta = tf.constant(1.0, batch.dtype)
        return loss_terms(trainer.network, trainer.objective, batch, noise, beta=beta, training=True)["loss"]

    def gradient(batch, noise):
        with tf.GradientTape() as tape:
            value = loss(batch, noise)
        return tf.add_n(
            [tf.reduce_sum(part) for part in tape.gradient(value, weights)]
        )  # so that XLA keeps it

    def epoch(step: Callable) -> Callable[[], object]:
        compiled = tf.function(step, jit_compile=True, autograph=False)

        def add_step(i, total):
            part = tf.ensure_shape(rows[i * size : (i + 1) * size], (size,))
            batch, _ = trainer.part(part)
            return i + 1, total + compiled(batch, Noise(key, part))

        def run():
            start = tf.constant(0), tf.zeros((), trainer.dtype)
            steps = len(order) // size
            return tf.while_loop(lambda i, _: i < steps, add_step, start, parallel_iterations=1)

        function = tf.function(run, autograph=False)
        return lambda: function()[1].numpy()

    return {
        "batch": epoch(lambda batch, noise: batch[0, 0]),
        "loss": epoch(loss),
        "gradient": epoch(gradient),
        "update": lambda: trainer.train_epoch(order, 1, 1e-3),
    }


def profile(backend: str) -> dict:
    """Return what each part of a step adds, in milliseconds of processor time."""
    model = estimator(backend)
    x, _ = model._prepare(random_images(IMAGES))
    trainer = model._build_trainer(x)
    order = np.random.default_rng(1).permutation(IMAGES)
    stages = {"torch": torch_stages, "tensorflow": tensorflow_stages}[backend](trainer, order)
    steps = IMAGES // model.batch_size
    rounds = [
        [shortest(work, 1) for work in stages.values()] for _ in range(8)
    ]  # in turn, so that noise is fair
    spent = (1e3 * np.min(rounds, axis=0) / steps).tolist()
    return {
        "backend": backend,
        "milliseconds": dict(zip(stages, np.diff([0.0, *spent]).tolist(), strict=True)),
    }


def batches(backend: str) -> dict:
    """Return processor seconds per epoch against the batch size, and a, c of n (a / B + c) fitted to them."""
    x, seconds = random_images(IMAGES), {}
    for batch_size in BATCH_SIZES:
        model = estimator(backend, batch_size=batch_size)
        trainer = model._build_trainer(model._prepare(x)[0])
        order = np.random.default_rng(1).permutation(IMAGES)
        seconds[batch_size] = shortest(lambda t=trainer, o=order: t.train_epoch(o, 1, 1e-3))
    measured = np.array(list(seconds.values()))
    columns = np.column_stack([1 / np.array(BATCH_SIZES), np.ones(len(BATCH_SIZES))]) / measured[:, None]
    (a, c), *_ = np.linalg.lstsq(columns, np.full(len(measured), 1 / IMAGES), rcond=None)  # relative errors
    return {"backend": backend, "seconds": seconds, "a": a, "c": c}


def anonymous_megabytes(which: str = "RssAnon") -> float:
    """Return a line of Linux's account of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(which)).split()[1]) / 1024


def memory(backend: str, rows: str, source: str) -> dict:
    """Return the largest anonymous memory above that at the start of one epoch of `fit`, in MB."""
    import threading

    estimator(backend, batch_size=1024).fit(random_images(2048))  # imports and compilers take their share now
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        writer = np.lib.format.open_memmap(path, "w+", np.uint8, (int(rows), FEATURES))
        for start in range(0, int(rows), 10_000):
            writer[start : start + 10_000] = np.random.default_rng(start).integers(0, 2, (10_000, FEATURES))
        writer.flush()
        del writer
        before, peak, done = anonymous_megabytes(), [0.0], threading.Event()

        def watch() -> None:
            while not done.wait(0.005):
                peak[0] = max(peak[0], anonymous_megabytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        x = np.load(path, mmap_mode="r") if source == "file" else np.load(path).astype(np.float32)
        estimator(backend, batch_size=1024).fit(x)
        done.set()
        watcher.join()
    return {"megabytes": peak[0] - before}


def rules() -> dict:
    """Return the last training loss for each optimiser, batch size and rule; None where it diverged."""
    x = aelib.load_dataset("digits").x_train[:1024]
    rows = []
    for optimizer, base in BASE.items():
        for factor in FACTORS:
            losses = []
            for power in (0.0, 0.5, 1.0):
                model = aelib.Autoencoder(
                    aelib.Dense((32,), code=8),
                    optimizer=optimizer,
                    batch_size=base["batch_size"] * factor,
                    learning_rate=base["learning_rate"] * factor**power,
                    epochs=EPOCHS,
                    dtype="float64",
                    device="cpu",
                    backend="torch",
                    random_state=0,
                )
                try:
                    losses.append(model.fit(x).history_.loss[-1])
                except aelib.DivergenceError:
                    losses.append(None)
            rows.append({"optimizer": optimizer, "batch_size": base["batch_size"] * factor, "loss": losses})
    what = f"digits 64-32-8, squared error per image in the last of {EPOCHS} epochs"
    return {"what": what, "rules": list(RULES), "base": BASE, "rows": rows}


def bfloat16(backend: str, dtype: str) -> dict:
    """Return validation error and processor seconds per epoch on 10,000 MNIST images, five epochs."""
    data = aelib.load_dataset("mnist")
    marks: list[float] = []
    model = aelib.Autoencoder(
        aelib.Dense((512, 256), code=32),
        learning_rate=aelib.CosineDecay(2e-3, 2e-5),
        batch_size=256,
        epochs=5,
        backend=backend,
        device="cpu",
        dtype=dtype,
        random_state=0,
    ).fit(data.x_train[:9984], on_epoch=lambda _: marks.append(time.process_time()))
    return {
        "backend": backend,
        "dtype": dtype,
        "loss": -model.score(data.x_validation[:2000]),
        "seconds_per_epoch": (marks[-1] - marks[0]) / (len(marks) - 1),
    }


def worker(folder: str, task: str) -> None:
    """Train as one of the workers that `torchrun` started, and leave in `folder` what came out."""
    from aelib.torch import distributed

    rank = int(os.environ.get("RANK", "0"))
    x = aelib.load_dataset("digits").x_train[:1024].astype(np.float64)
    settings = {"batch_size": 64, "epochs": 6, "dtype": "float64", "device": "cpu", "random_state": 0}
    rate = aelib.CosineDecay(1e-2, 1e-3)

    def small() -> aelib.Autoencoder:
        return aelib.Autoencoder(aelib.Dense((32,), code=8), backend="torch", learning_rate=rate, **settings)

    def die(model: aelib.Autoencoder) -> None:
        if rank == 1 and len(model.history_.loss) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    def timed(model: aelib.Autoencoder, images: np.ndarray) -> float:
        marks: list[float] = []
        model.set_params(epochs=4).fit(images, on_epoch=lambda _: marks.append(time.perf_counter()))
        return min(np.diff(marks))

    with distributed.process_group():
        if task == "times":
            images = random_images(IMAGES)
            wide = aelib.Dense((1024, 1024), code=32)
            result = {
                "784-128-64-12-2, batch 128": timed(estimator("torch"), images),
                "784-128-64-12-2, batch 1280": timed(estimator("torch", batch_size=1280), images),
                "784-1024-1024-32, batch 128": timed(
                    estimator("torch").set_params(architecture=wide), images[:1280]
                ),
                "784-1024-1024-32, batch 1280": timed(
                    estimator("torch", batch_size=1280).set_params(architecture=wide), images[:1280]
                ),
            }
            if rank == 0:
                (Path(folder) / "times.json").write_text(json.dumps(result))
            return
        path = Path(folder) / "run.npz"
        if task == "whole":
            model = small().fit(x)
        else:
            model = small().fit(x, checkpoint=path, on_epoch=die if task == "killed" else None)
        if rank == 0:
            np.savez(Path(folder) / f"{task}.npz", **model.get_weights())


def torchrun(workers: int, folder: str, task: str) -> subprocess.CompletedProcess:
    """Start the workers and wait for them."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(workers)]
    command += ["-m", "benchmarks.scaling", "--worker", folder, task]
    return run_quietly(command)


def workers() -> dict:
    """Return the seconds per epoch of one and of two workers."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, 2):
            torchrun(count, folder, "times").check_returncode()
            times.append(json.loads((Path(folder) / "times.json").read_text()))
    return {"rows": [{"network": name, "one": times[0][name], "two": times[1][name]} for name in times[0]]}


def killed() -> dict:
    """Return how a run of two workers ended when one of them died, and where it got when it was resumed."""
    with tempfile.TemporaryDirectory() as folder:
        torchrun(2, folder, "whole").check_returncode()
        run = torchrun(2, folder, "killed")
        lines = run.stderr.splitlines()
        said = next(number for number, line in enumerate(lines) if "WorkerLostError: " in line)
        error = lines[said].split("WorkerLostError: ")[1].split(" (")[0]
        note = lines[said + 1].split(folder)[1]
        torchrun(2, folder, "resumed").check_returncode()
        whole, again = (np.load(Path(folder) / f"{task}.npz") for task in ("whole", "resumed"))
        return {
            "after_epoch": 3,
            "exit_status": run.returncode,
            "message": [error, note.lstrip("/")],
            "identical": all(np.array_equal(whole[name], again[name]) for name in whole),
        }


def resumed(backend: str) -> dict:
    """Stop a run after each of its epochs, resume it, and compare with the run that was not stopped."""
    x = aelib.load_dataset("digits").x_train[:1024].astype(np.float64)

    def small(**changes) -> aelib.Autoencoder:
        settings = {"learning_rate": aelib.CosineDecay(1e-2, 1e-3), "batch_size": 64, "epochs": 6}
        settings |= {"dtype": "float64", "device": "cpu", "backend": backend, "random_state": 0}
        return aelib.Autoencoder(aelib.Dense((32,), code=8), **(settings | changes))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.npz"

        def keep(model: aelib.Autoencoder) -> None:
            shutil.copy(path, Path(folder) / f"after{len(model.history_.loss)}.npz")

        whole, same = small().fit(x, checkpoint=path, on_epoch=keep).get_weights(), []
        for epoch in range(1, 6):
            again = small().fit(x, checkpoint=Path(folder) / f"after{epoch}.npz").get_weights()
            same.append(all(np.array_equal(again[name], whole[name]) for name in whole))
        try:
            small(batch_size=32).fit(x, checkpoint=path)
        except ValueError as error:
            refused = f"{type(error).__name__}: {error}".replace(f"{folder}{os.sep}", "")
    return {"backend": backend, "identical": same, "refused": refused}


def mirrored_step(strategy, model, weights: list, rate: float) -> Callable:
    """Return one step of gradient descent of `model` over the replicas of a `tf.distribute` strategy."""
    import tensorflow as tf

    from aelib.tensorflow.losses import loss_terms
    from aelib.tensorflow.random import Noise

    def replica_step(batch, rows):  # runs once per replica, each with its share
        noise = Noise(tf.constant(1, tf.uint32), rows)
        with tf.GradientTape() as tape:
            loss = loss_terms(model.network_, model._objective(), batch, noise, training=True)["loss"]
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, tape.gradient(loss, weights))
        context.merge_call(move, args=(gradients,))
        return loss

    def move(strategy, gradients):  # runs once, for all replicas
        for weight, gradient in zip(weights, gradients, strict=True):
            strategy.extended.update(weight, lambda v, g: v.assign_sub(rate * g), args=(gradient,))

    @tf.function
    def step(batch, rows):
        losses = strategy.run(replica_step, args=(batch, rows))
        return strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

    return step


def mirrored() -> dict:
    """Train over two logical CPU devices under `tf.distribute.MirroredStrategy`, and compare with one."""
    import tensorflow as tf

    from aelib.tensorflow.networks import named_weights
    from aelib.training import epoch_order

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    x = aelib.load_dataset("digits").x_train[:1024].astype(np.float64)
    size, rate = 64, 1e-2

    def new_model() -> aelib.Autoencoder:
        return aelib.Autoencoder(
            aelib.Dense((32,), code=8),
            optimizer="sgd",
            learning_rate=rate,
            batch_size=size,
            epochs=3,
            backend="tensorflow",
            device="cpu",
            dtype="float64",
            random_state=0,
        )

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    unbent = "runs"
    try:
        with strategy.scope():
            new_model().fit(x)
    except ValueError as error:
        unbent = f"{type(error).__name__}: {error}"

    alone, model = new_model().fit(x), new_model()
    model._prepare(x)
    with strategy.scope():
        model._build_network(model._plan().initial_weights(model.seed_))
    weights = [variable.value for variable in named_weights(model.network_).values()]
    step, losses = mirrored_step(strategy, model, weights, rate), []

    def spread(array: np.ndarray):
        shares = np.split(array, strategy.num_replicas_in_sync)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group])
        )

    for epoch in range(3):
        rows = np.split(epoch_order(model.seed_, epoch, len(x), True), len(x) // size)
        losses.append(np.mean([float(step(spread(x[part]), spread(part))) for part in rows]))
    reached = model.get_weights()
    return {
        "engine_unbent": unbent,
        "losses": {"alone": alone.history_.loss, "mirrored": [float(loss) for loss in losses]},
        "largest_relative_difference": max(
            float(np.abs(reached[name] - value).max() / np.abs(value).max())
            for name, value in alone.get_weights().items()
        ),
    }


def keras_fit(strategy_name: str, index: str, port: str) -> dict:
    """Try Keras's own `fit` under a strategy; return how it ended."""
    if strategy_name == "MultiWorkerMirroredStrategy":
        cluster = {"worker": [f"localhost:{int(port) + number}" for number in range(2)]}
        task = {"type": "worker", "index": int(index)}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    import keras
    import tensorflow as tf

    if strategy_name == "MirroredStrategy":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    else:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    try:
        with strategy.scope():
            layers = [keras.layers.Input((64,)), keras.layers.Dense(8), keras.layers.Dense(64)]
            model = keras.Sequential(layers)
            model.compile(optimizer=keras.optimizers.SGD(1e-2), loss="mse")
        x = aelib.load_dataset("digits").x_train[:1024].astype(np.float32)
        batches = tf.data.Dataset.from_tensor_slices((x, x)).batch(64).repeat()
        model.fit(batches, epochs=2, steps_per_epoch=16, verbose=0)
    except (ValueError, TypeError, RuntimeError) as error:
        first, *_, last = str(error).splitlines()
        ended = f"{type(error).__name__}: {first[:60]} … {last.lstrip(' })')}"
        return {"strategy": strategy_name, "ended": ended}
    return {"strategy": strategy_name, "ended": "ran"}


def tensorflow() -> dict:
    """Return how TensorFlow's strategies fare: with the engine, natively, and with Keras's `fit`."""
    result = alone("mirrored")
    result["keras"] = [alone("keras_fit", "MirroredStrategy", "0", "0")]
    command = [
        sys.executable,
        "-m",
        "benchmarks.scaling",
        "--one",
        "keras_fit",
        "MultiWorkerMirroredStrategy",
    ]
    environment, root = os.environ | ONE_THREAD, Path(__file__).parent.parent
    second = subprocess.Popen(
        [*command, "1", "29870"],
        env=environment,
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        result["keras"].append(alone("keras_fit", "MultiWorkerMirroredStrategy", "0", "29870"))
    finally:
        second.kill()
        second.wait()
    return result


def run_quietly(command: list[str]) -> subprocess.CompletedProcess:
    """Run a command from the repository's root with one thread."""
    root = Path(__file__).parent.parent
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(root)}
    return subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, check=False, timeout=300
    )


def alone(function: str, *arguments: str) -> dict:
    """Call one of this module's functions in a fresh process and return its result."""
    run = run_quietly([sys.executable, "-m", "benchmarks.scaling", "--one", function, *arguments])
    if run.returncode != 0:
        raise RuntimeError(f"{function} {arguments} failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def memory_rows() -> list[dict]:
    """Return the memory of `fit` from memory and from a file, for both engines and some sizes."""
    return [
        {
            "backend": backend,
            "rows": rows,
            "array_megabytes": 4 * rows * FEATURES / 1e6,
            "from_memory": alone("memory", backend, str(rows), "memory")["megabytes"],
            "from_file": alone("memory", backend, str(rows), "file")["megabytes"],
        }
        for backend in BACKENDS
        for rows in MEMORY_ROWS
    ]


PARTS: dict[str, Callable[[], dict]] = {
    "profile": lambda: {"batch_size": 128, "rows": [alone("profile", name) for name in BACKENDS]},
    "batches": lambda: {"images": IMAGES, "rows": [alone("batches", name) for name in BACKENDS]},
    "rules": lambda: alone("rules"),
    "memory": lambda: {"rows": memory_rows()},
    "bfloat16": lambda: {
        "rows": [
            alone("bfloat16", name, dtype) for name in BACKENDS for dtype in ("float32", "mixed_bfloat16")
        ]
    },
    "workers": workers,
    "killed": killed,
    "resumed": lambda: {"rows": [alone("resumed", name) for name in BACKENDS]},
    "tensorflow": tensorflow,
}
ONE = {
    function.__name__: function
    for function in (profile, batches, rules, memory, bfloat16, resumed, mirrored, keras_fit)
}


def main() -> None:
    """Read the command line; run all parts or one, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="measure this part again, keep the others")
    parser.add_argument("--one", nargs="+", help="call one function here and print JSON")
    parser.add_argument("--worker", nargs=2, metavar=("FOLDER", "TASK"), help="for torchrun only")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for scaling.json")
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker)
        return
    if options.one:
        name, *arguments = options.one
        print(json.dumps(ONE[name](*arguments)))
        return
    path = options.results / "scaling.json"
    old = json.loads(path.read_text(encoding="utf-8")) if options.only and path.exists() else {}
    record = old | describe_run() | {"threads": 1}
    for name in [options.only] if options.only else PARTS:
        start = time.perf_counter()
        load = os.getloadavg()[0]
        record[name] = PARTS[name]() | {"load_before": round(load, 1)}
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        write_record(path, record)


if __name__ == "__main__":
    main()
