"""Classes and objects that no module has, as bytes for another process, and as a copy of their own in this one.

What is trained is always such a copy, also here: it has globals of its own, so that what an evaluation changes in them
can be set back between runs and a notebook's own variables are left alone.
"""

from __future__ import annotations

import functools
import io
import linecache
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any, ClassVar

import cloudpickle  # type: ignore[import-untyped]
import torch

from cpd.engine.importing import PREFIX
from cpd.engine.live_text import lines_of


def packed(value: Any, files: set[str]) -> bytes:
    """A class or an object, and the lines of the cells that it was written in.

    Raises:
        Exception: Whatever its parts raise that cannot be pickled.
    """
    stream = io.BytesIO()
    _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump((lines_of(files), torch.get_default_dtype(), value))
    return stream.getvalue()


def unpacked(content: bytes, name: str, modules: Mapping[str, ModuleType]) -> Any:
    """What :func:`packed` took, made anew.

    Args:
        content: The bytes.
        name: Of the module that the copy is in.
        modules: Modules that stand for those of these names.
    """
    reader = _Unpickler(io.BytesIO(content), f"{PREFIX}{name}", modules)
    lines, dtype, value = reader.load()
    if dtype is not torch.get_default_dtype():  # in another process: the program had set it
        torch.set_default_dtype(dtype)
    for file, text in lines.items():
        linecache.cache.setdefault(file, (len(text), None, text.splitlines(keepends=True), file))
    reader.settle()
    return value


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Also takes functions that remember their results, and keeps where code stands, for tracebacks."""

    dispatch_table: ClassVar[Any] = ChainMap({CodeType: lambda code: _code(code)}, cloudpickle.Pickler.dispatch_table)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, functools._lru_cache_wrapper) and isinstance(obj.__wrapped__, FunctionType):
            return _remembering, (obj.__wrapped__, obj.cache_parameters())
        return super().reducer_override(obj)


def _code(code: CodeType) -> Any:
    made, arguments = cloudpickle.Pickler.dispatch_table[CodeType](code)
    return _in_file, (made, arguments, code.co_filename)


def _in_file(make: Callable[..., CodeType], arguments: tuple[Any, ...], file: str) -> CodeType:
    return make(*arguments).replace(co_filename=file)


def _remembering(function: Callable[..., Any], how: dict[str, Any]) -> Any:
    return functools.lru_cache(**how)(function)


class _Unpickler(pickle.Unpickler):
    """Makes classes that are new, and functions whose globals are those of a module that can be found."""

    def __init__(self, stream: io.BytesIO, name: str, modules: Mapping[str, ModuleType]) -> None:
        super().__init__(stream)
        self._name = name
        self._modules = modules
        self._homes: dict[int, tuple[dict[str, Any], ModuleType]] = {}
        self._classes: list[type] = []

    def find_class(self, module: str, name: str) -> Any:
        """Cloudpickle's own makers, with what is made known here; the modules that stand for others."""
        found = super().find_class(module, name) if module not in self._modules else None
        if found is None:
            return functools.reduce(getattr, name.split("."), self._modules[module])
        if not module.startswith("cloudpickle"):
            return found
        makers = {f"_make_skeleton_{what}": self._class for what in ("class", "enum")}
        makers["_make_function"] = self._function
        return functools.partial(makers[name], found) if name in makers else found

    def _class(self, make: Callable[..., type], *arguments: Any) -> type:
        # Without the mark by which cloudpickle knows its own again: the class here would be written over by its copy.
        *own, _, extra = arguments
        made = make(*own, None, extra)
        self._classes.append(made)
        return made

    def _function(self, make: Callable[..., Any], code: CodeType, names: dict[str, Any], *more: Any) -> Any:
        return make(code, self._home(names).__dict__, *more)

    def _home(self, names: dict[str, Any]) -> ModuleType:
        """The module in which functions that had the same globals have the same again."""
        if id(names) not in self._homes:
            place = len(self._homes)
            home = ModuleType(f"{self._name}_{place}" if place else self._name)
            home.__dict__.update({key: value for key, value in names.items() if key != "__name__"})
            self._homes[id(names)] = names, home
            sys.modules[home.__name__] = home
        return self._homes[id(names)][1]

    def settle(self) -> None:
        """Let classes name the module that their functions are in."""
        homes = {id(home.__dict__): home.__name__ for _, home in self._homes.values()}
        for kind in self._classes:
            functions = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
            own = [homes[id(f.__globals__)] for f in functions if id(f.__globals__) in homes]
            with suppress(AttributeError, TypeError):  # a class that lets nobody change it
                kind.__module__ = (own or [self._name])[0]
