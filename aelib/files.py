"""Data on disk: the rows of a memory-mapped array, read when they are needed and never all at once."""

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# Rows read at once when all are visited in order.
ROWS_AT_ONCE = 8192


def is_memory_mapped(x: object) -> bool:
    """Tell whether `x` is (a part of) an array that NumPy maps from a file, not a copy of one."""
    return isinstance(x, np.memmap) and x._mmap is not None


class FileRows:
    """The rows of a memory-mapped array, read from its file with plain reads.

    Reading through the map itself would end the process with a bus error if the file became shorter, and
    the pages that were touched would count as the process's memory.

    Parameters
    ----------
    x : memmap, shape (samples, ...)
        As ``numpy.load(path, mmap_mode="r")`` returns it, or some of its rows in one piece.
    dtype : str
        What rows are converted to.

    Raises
    ------
    ValueError
        If rows of `x` do not follow one another in the file.
    """

    def __init__(self, x: np.memmap, dtype: str):
        if not x.flags.c_contiguous:
            raise ValueError(
                "rows of a memory-mapped array must follow one another in its file: take them as "
                "x[start:stop], and save the array in C order (numpy.ascontiguousarray)"
            )
        whole = x
        while isinstance(whole.base, np.memmap):
            whole = whole.base
        self.path = Path(x.filename)
        self.offset = whole.offset + x.ctypes.data - whole.ctypes.data
        self.shape = x.shape
        self.stored = x.dtype
        self.dtype = np.dtype(dtype)
        self.row_bytes = int(np.prod(x.shape[1:])) * x.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return rows, (rows, ...), in memory: those of a slice, or those of the given numbers."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            pieces = [(start, max(0, stop - start))]
        else:
            pieces = [(int(row), 1) for row in rows]
        # Anonymous memory of its own goes back to the system at once; the heap would come to have holes.
        content = mmap.mmap(-1, max(1, self.row_bytes * sum(count for _, count in pieces)))
        filled = 0
        with open(self.path, "rb", buffering=0) as file, memoryview(content) as view:
            for row, count in pieces:
                file.seek(self.offset + row * self.row_bytes)
                end = filled + count * self.row_bytes
                while filled < end:
                    read = file.readinto(view[filled:end])
                    if not read:
                        self.check()
                    filled += read
        found = np.frombuffer(content, self.stored, filled // self.stored.itemsize)
        return found.reshape(-1, *self.shape[1:]).astype(self.dtype, copy=False)

    def check(self) -> None:
        """Raise an OSError if the file has become shorter than its rows."""
        found = self.path.stat().st_size
        if found < self.offset + len(self) * self.row_bytes:
            raise OSError(
                f"{self.path} has become shorter: it has {found} bytes now, too few for the {len(self)} "
                "samples it held when it was opened. Was it written again meanwhile? Write data to a new "
                "file, and start again with that"
            )

    def parts(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, a few thousand at a time."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield self[start : start + ROWS_AT_ONCE]


def parts_of(x: "np.ndarray | FileRows") -> Iterator[np.ndarray]:
    """Yield all of `x`: an array as it is, a file's rows a few thousand at a time."""
    if isinstance(x, FileRows):
        yield from x.parts()
    else:
        yield x
