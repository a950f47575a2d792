"""Recorded points as a compact blob that notices a flipped byte, and back."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import sys
import zlib
from array import array
from collections.abc import Mapping
from typing import Any

_TAG = b"\x01"
_DIGEST = 16
_NAN = float("nan")


class DamagedError(Exception):
    """Stored bytes are not those that were written."""


def pack(series: Mapping[str, list[Any]], owner: str) -> bytes:
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
    encoded = {name: _encode(points) for name, points in series.items()}
    header = json.dumps([[name, *shape] for name, (shape, _) in encoded.items()]).encode()
    body = struct.pack("<I", len(header)) + header + b"".join(planes for _, planes in encoded.values())
    compressed = zlib.compress(body, 6)
    return _TAG + _checksum(owner, compressed) + compressed


def unpack(blob: bytes, owner: str) -> dict[str, list[Any]]:
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
    series = {}
    for name, points, width, kind in json.loads(body[4:at]):
        size = points * (1 if width is None else width) * array(kind).itemsize
        series[name] = _decode(body[at : at + size], points, width, kind)
        at += size
    return series


def _checksum(owner: str, compressed: bytes) -> bytes:
    return hashlib.sha256(owner.encode() + b"\0" + compressed).digest()[:_DIGEST]


def _encode(points: list[Any]) -> tuple[tuple[int, int | None, str], bytes]:
    """Shape and kind, and the bytes in planes."""
    width = next((len(point) for point in points if isinstance(point, list)), None)
    flat = points if width is None else [x for point in points for x in _row(point, width)]
    doubles = array("d", [_NAN if x is None else x for x in flat])
    singles = array("f", doubles)
    kept = singles if array("d", singles).tobytes() == doubles.tobytes() else doubles
    raw = _little_endian(kept).tobytes()
    return (len(points), width, kept.typecode), b"".join(raw[k :: kept.itemsize] for k in range(kept.itemsize))


def _row(point: Any, width: int) -> list[Any]:
    """One point of a vector series; a missing point has every component missing."""
    row = [None] * width if point is None else point
    if len(row) != width:
        raise ValueError(f"a point has {len(row)} components, others have {width}")
    return row


def _decode(planes: bytes, points: int, width: int | None, kind: str) -> list[Any]:
    numbers: array[float] = array(kind)
    raw = bytearray(len(planes))
    count = len(planes) // numbers.itemsize
    for k in range(numbers.itemsize):
        raw[k :: numbers.itemsize] = planes[k * count : (k + 1) * count]
    numbers.frombytes(raw)
    flat = [x if math.isfinite(x) else None for x in _little_endian(numbers)]
    return flat if width is None else [flat[k * width : (k + 1) * width] for k in range(points)]


def _little_endian(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
