"""The IDX files of MNIST and its relatives: a big-endian header, then unsigned bytes."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from cpd.errors import CpdError

UNSIGNED_BYTE = 0x08
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read a file of unsigned bytes, gzipped or not (its content says which).

    The header is two zero bytes, the type, the number of dimensions, then each size as four big-endian bytes.

    Args:
        path: The file.
        dimensions: How many there must be: 3 for images, 1 for labels.

    Returns:
        A uint8 array.

    Raises:
        CpdError: Not such a file, or cut short.

    Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", file formats.
    """
    content = _unpacked(path)
    shape, start = _header(content, dimensions, path)
    expected, found = math.prod(shape), len(content) - start
    if found != expected:
        sizes = " x ".join(map(str, shape))
        raise _broken(path, f"holds {found} bytes of data, its header says {sizes} = {expected}")
    return np.frombuffer(content, np.uint8, expected, start).reshape(shape)


def _unpacked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _broken(path, f"is a damaged gzip file ({error})") from error
    except OSError as error:
        raise CpdError(f"cannot be read: {error.strerror}", place=str(path), hint="check its permissions") from error


def _header(content: bytes, dimensions: int, path: Path) -> tuple[tuple[int, ...], int]:
    start = 4 + 4 * dimensions
    if len(content) < 4 or content[:2] != b"\0\0":
        raise _broken(path, f"is no IDX file: it starts with 0x{content[:4].hex()}, not 0x0000")
    if content[2] != UNSIGNED_BYTE:
        raise _broken(path, f"holds numbers of IDX type 0x{content[2]:02x}, not unsigned bytes (0x08)")
    if content[3] != dimensions:
        raise _broken(path, f"has {content[3]} dimensions, not {dimensions}")
    if len(content) < start:
        raise _broken(path, f"ends after {len(content)} bytes, within its header of {start}")
    return tuple(np.frombuffer(content, ">u4", dimensions, 4).tolist()), start


def _broken(path: Path, message: str) -> CpdError:
    return CpdError(message, place=str(path), hint="fetch the file again")
