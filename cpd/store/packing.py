"""Recorded points as a compact blob that notices a flipped byte, and back."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from cpd.outcome import Series

_TAG = b"\x01"
_DIGEST = 16


class DamagedError(Exception):
    """Stored bytes are not those that were written."""


def pack(series: Mapping[str, Sequence[Any]], owner: str) -> bytes:
    """Pack named series of numbers.

    A tag, a checksum, then compressed: a JSON header and little-endian floats, single precision where that loses
    nothing. The bytes stand in planes (all first bytes, all second bytes ...), since neighbouring numbers share
    exponents.

    Args:
        series: ``[points]`` or ``[points][k]`` each; None, NaN and infinities all come back as None.
        owner: Enters the checksum, so that a blob in another run's place is noticed.

    Raises:
        ValueError: The points of a series differ in length.
    """
    packed = {name: Series.of(points) for name, points in series.items()}
    header = json.dumps([_shape(name, points) for name, points in packed.items()]).encode()
    body = struct.pack("<I", len(header)) + header + b"".join(map(_planes, packed.values()))
    compressed = zlib.compress(body, 6)
    return _TAG + _checksum(owner, compressed) + compressed


def unpack(blob: bytes, owner: str) -> dict[str, Series]:
    """The series that :func:`pack` was given.

    Raises:
        DamagedError: The checksum is not that of the bytes.
    """
    start = len(_TAG) + _DIGEST
    tag, checksum, compressed = blob[: len(_TAG)], blob[len(_TAG) : start], blob[start:]
    if tag != _TAG or checksum != _checksum(owner, compressed):
        raise DamagedError(owner)
    body = zlib.decompress(compressed)
    (length,) = struct.unpack_from("<I", body)
    at = 4 + length
    unpacked = {}
    for name, points, width, kind in json.loads(body[4:at]):
        shape = (points,) if width is None else (points, width)
        size = math.prod(shape) * struct.calcsize(kind)
        unpacked[name] = _series(body[at : at + size], shape, kind)
        at += size
    return unpacked


def _checksum(owner: str, compressed: bytes) -> bytes:
    return hashlib.sha256(owner.encode() + b"\0" + compressed).digest()[:_DIGEST]


def _shape(name: str, series: Series) -> tuple[str, int, int | None, str]:
    """A line of the header: points, components of a vector constraint's, and ``f`` or ``d``."""
    points, *width = series.numbers.shape
    return name, points, width[0] if width else None, series.numbers.dtype.char


def _planes(series: Series) -> bytes:
    numbers = series.numbers.astype(series.numbers.dtype.newbyteorder("<"), order="C", copy=False)
    return numbers.view("u1").reshape(-1, numbers.itemsize).T.tobytes()


def _series(planes: bytes, shape: tuple[int, ...], kind: str) -> Series:
    import numpy as np

    raw = np.frombuffer(planes, "u1").reshape(struct.calcsize(kind), -1).T.tobytes()
    return Series(np.frombuffer(raw, f"<{kind}").astype(kind, copy=False).reshape(shape))
