"""Where executed lessons are kept between builds, and what makes them stale."""

import hashlib
import shutil
from pathlib import Path

# What a lesson's outputs depend on besides the lesson itself.
_SOURCES = (
    "aelib/**/*.py",
    "aelib/*.json",
    "benchmarks/**/*.py",
    "benchmarks/results/*",
    "booktools/quiz.*",
    "course/quizzes/*",
    "requirements.txt",
)


def source_key(root: Path) -> str:
    """Return a hash of everything but the lesson that its outputs depend on: `aelib` above all."""
    paths = {path for pattern in _SOURCES for path in root.glob(pattern) if path.is_file()}
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def cache_path(root: Path, profile: str, backend: str) -> Path:
    """Return where executed lessons are kept; those of other states of the sources are removed."""
    kept = root / "_build" / "executed" / f"{profile}-{backend}" / source_key(root)
    if kept.parent.exists():
        for other in kept.parent.iterdir():
            if other != kept:
                shutil.rmtree(other)
    return kept
