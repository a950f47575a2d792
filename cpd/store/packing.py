"""Recorded points as a compact blob that notices a flipped byte, and back."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from cpd.series import Series

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
    encoded = {name: _encode(points) for name, points in series.items()}
    header = json.dumps([[name, *shape] for name, (shape, _) in encoded.items()]).encode()
    body = struct.pack("<I", len(header)) + header + b"".join(planes for _, planes in encoded.values())
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
    series = {}
    for name, points, width, kind in json.loads(body[4:at]):
        size = points * (1 if width is None else width) * array(kind).itemsize
        series[name] = _decode(body[at : at + size], width, kind)
        at += size
    return series


def _checksum(owner: str, compressed: bytes) -> bytes:
    return hashlib.sha256(owner.encode() + b"\0" + compressed).digest()[:_DIGEST]


def _encode(points: Sequence[Any]) -> tuple[tuple[int, int | None, str], bytes]:
    """Shape and kind, and the bytes in planes."""
    series = Series.of(points)
    size, raw = series.numbers.itemsize, _little_endian(series.numbers).tobytes()
    return (len(points), series.width, series.numbers.typecode), b"".join(raw[k::size] for k in range(size))


def _decode(planes: bytes, width: int | None, kind: str) -> Series:
    numbers: array[float] = array(kind)
    raw = bytearray(len(planes))
    count = len(planes) // numbers.itemsize
    for k in range(numbers.itemsize):
        raw[k :: numbers.itemsize] = planes[k * count : (k + 1) * count]
    numbers.frombytes(raw)
    return Series(_little_endian(numbers), width)


def _little_endian(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
