"""Where the weights of a store's runs are kept: files beside it, of which the store itself says nothing."""

from __future__ import annotations

from pathlib import Path


def folder_of(store: Path) -> Path:
    """The folder of a store's models, beside it: ``models`` of ``runs.sqlite``, ``NAME-models`` of another."""
    return store.parent / ("models" if store.stem == "runs" else f"{store.stem}-models")


def file_of(store: Path, run: str) -> Path:
    """Where a run's weights are, if they are kept."""
    return folder_of(store) / f"{run}.safetensors"
