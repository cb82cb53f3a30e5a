"""Where a search keeps its study: a journal file, or a database that several machines share."""

import os
import socket
import time
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import optuna

PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
PATIENCE = 5  # seconds that a server has to accept a connection
CONNECT = {
    "sqlite": {"timeout": 60},  # seconds until another process must have finished writing
    "postgresql": {"connect_timeout": PATIENCE},
    "mysql": {"connect_timeout": PATIENCE},
}
HEARTBEAT = 60  # seconds between the signs of life that workers leave in a database


class Refusal(ValueError):
    """A search that makes no sense, or a study that does not fit it; the message says what to do."""


def load_optuna() -> ModuleType:
    """Import Optuna, or say how it is installed."""
    try:
        import optuna
        import psutil  # noqa: F401
    except ImportError as problem:
        raise ImportError(f"a search needs {problem.name}: pip install 'aelib[search]'") from problem
    return optuna


def open_storage(storage: "str | os.PathLike | optuna.storages.BaseStorage") -> "optuna.storages.BaseStorage":
    """Return the storage itself, that of a journal file, or that of a database's URL."""
    if not isinstance(storage, (str, os.PathLike)):
        return storage
    address = os.fspath(storage)
    return _database(address) if "://" in address else _journal(Path(address))


def _journal(path: Path) -> "optuna.storages.BaseStorage":
    journal = load_optuna().storages.journal
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} for the journal {path.name}; create it")
    lock = journal.JournalFileOpenLock(str(path), grace_period=10)  # seconds; a dead worker may hold it
    backend = journal.JournalFileBackend(str(path), lock)
    lock.acquire()
    try:
        content = path.read_bytes()
        if content and not content.startswith(b'{"op_code":'):
            raise Refusal(f"{path} is no journal of Optuna's; name another file")
        if not content.endswith(b"\n"):  # a worker was killed while it wrote a line
            os.truncate(path, content.rfind(b"\n") + 1)
    finally:
        lock.release()
    return journal.JournalStorage(backend)


def _database(address: str) -> "optuna.storages.BaseStorage":
    """Return Optuna's storage for a URL, or say within seconds that it does not answer."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    def connect() -> "optuna.storages.BaseStorage":
        if url.hostname and (url.port or kind in PORTS):
            socket.create_connection((url.hostname, url.port or PORTS[kind]), timeout=PATIENCE).close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.storages.RDBStorage(
                address,
                engine_kwargs={"connect_args": CONNECT.get(kind, {})},
                heartbeat_interval=HEARTBEAT,
                grace_period=3 * HEARTBEAT,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
            )

    optuna = load_optuna()
    url = urlsplit(address)
    kind = url.scheme.partition("+")[0]
    try:
        for _ in range(5):
            try:
                return connect()
            except DBAPIError:
                time.sleep(0.5)  # another worker may just be creating the same tables
        return connect()
    except (OSError, ValueError, SQLAlchemyError) as problem:
        reason = str(problem).partition("\n")[0]
        raise ConnectionError(
            f"the storage {address.rpartition('@')[2]} does not answer ({reason}); check the address "
            "(kind://user:password@host:port/database, or sqlite:///file.db in a folder that exists), and "
            "that the server runs and can be reached from here"
        ) from problem
