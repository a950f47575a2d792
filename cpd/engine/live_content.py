"""What a class that no module has depends on: its text, those of all that it uses, and the values that it reads.

All of it becomes one text, which is the problem's source: equal texts mean equal numbers. It is valid Python, so that
the modules that it imports are found in it as in any source.
"""

from __future__ import annotations

import copyreg
import dataclasses
import dis
import functools
import hashlib
import inspect
import sys
from collections.abc import Iterator
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cpd.engine.live_text import Found, essence, text_of_class, text_of_function
from cpd.engine.spaces import is_foreign_module

LONGEST = 160
"""Characters of a value that stands in a text as it is; of a longer one there is its hash."""

_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL")
_NEW: Any = vars(copyreg)["__newobj__"]
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented))
_MODULES_OWN = {"__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__path__", "__builtins__"}
_CLASSES_OWN = {
    *("__module__", "__dict__", "__weakref__", "__doc__", "__qualname__", "__annotations__", "__firstlineno__"),
    *("__static_attributes__", "__abstractmethods__", "_abc_impl", "__dataclass_params__", "__dataclass_fields__"),
    *("__match_args__", "__parameters__", "__orig_bases__", "__annotate_func__", "__annotate__", "__type_params__"),
}
_IN_C = (
    *(BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType, GetSetDescriptorType),
    type(object().__str__),
)


class Untold(ValueError):
    """A value whose content cannot be told: two that differ might look the same.

    Args:
        name: Where it is.
        kind: What it is.
    """

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        super().__init__(f"{name} is a {kind}")


class Content:
    """Collects the text of a class or an object, and of all that it uses.

    Attributes:
        modules: The modules that it imports.
        unread: Names of classes and functions whose text is not known: their bytecode stands for them.
        files: The files that its code names.
    """

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.unread: list[str] = []
        self.files: set[str] = set()
        self._pieces: list[str] = []
        self._numbers: dict[int, str] = {}
        self._alive: list[Any] = []
        self._open: list[int] = []
        self._where: list[str] = []

    def text(self, title: str) -> str:
        """All that was found, as one source."""
        imports = [f"import {name}\n" for name in sorted(self.modules) if all(map(str.isidentifier, name.split(".")))]
        return "".join([f"# {title}\n", *imports, *self._pieces])

    def of(self, value: Any, name: str) -> str:
        """A value in a line: the same for two that are equal, never for two that may differ.

        Raises:
            Untold: It cannot be told.
        """
        self._where.append(name)
        try:
            return _short(self._of(value))
        finally:
            self._where.pop()

    def add(self, line: str) -> None:
        """Add a line that is no code."""
        self._pieces.append(f"# {line}\n")

    def _of(self, value: Any) -> str:
        kind = type(value)
        if kind in _PLAIN:
            return f"{value!r}"
        if id(value) in self._open:
            return f"the one {len(self._open) - self._open.index(id(value))} above"
        self._open.append(id(value))
        try:
            return self._inner(value, kind)
        finally:
            self._open.pop()

    def _inner(self, value: Any, kind: type) -> str:
        if kind in (list, tuple):
            return f"{kind.__name__}({', '.join(self._each(value))})"
        if kind in (set, frozenset):
            return f"{kind.__name__}({', '.join(sorted(self._each(value)))})"
        if kind is dict:
            return f"{{{', '.join(f'{_short(self._of(k))}: {self.of(v, str(k))}' for k, v in value.items())}}}"
        if isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized:
            return _tensor(value)
        if isinstance(value, np.ndarray) and value.dtype.kind != "O":
            return f"{kind.__name__} {value.dtype.str} {list(value.shape)} {_hash(np.ascontiguousarray(value).data)}"
        return self._code(value) or self._object(value)

    def _each(self, values: Any) -> Iterator[str]:
        return (self.of(value, f"[{k}]") for k, value in enumerate(values))

    def _code(self, value: Any) -> str | None:
        """What is no data: a module, a class, a function of whatever kind."""
        if isinstance(value, ModuleType):
            return self._module(value)
        if isinstance(value, type):
            return self.of_class(value)
        if isinstance(value, FunctionType):
            return self.of_function(value)
        if isinstance(value, MethodType):
            return f"method {self._of(value.__func__)} of {self._of(value.__self__)}"
        if isinstance(value, staticmethod | classmethod):
            return f"{type(value).__name__} {self._of(value.__func__)}"
        if isinstance(value, property):
            return f"property {', '.join(self._of(part) for part in (value.fget, value.fset, value.fdel))}"
        if isinstance(value, functools.cached_property):
            return f"cached_property {self._of(value.func)}"
        if isinstance(value, functools.partialmethod):
            return f"partialmethod {self._of((value.func, value.args, value.keywords))}"
        if isinstance(value, torch.Generator):
            return f"generator {_tensor(value.get_state())}"
        if isinstance(value, _IN_C) and not _has_self(value):
            return f"{getattr(value, '__module__', None)}.{value.__qualname__}"
        return None

    def _module(self, module: ModuleType) -> str:
        if module.__name__ == "__main__":
            raise Untold(self._named(), "module __main__, all of it")
        self.modules.add(module.__name__)
        return f"module {module.__name__}"

    def _object(self, value: Any) -> str:
        """By what a copy of it would be made of: its class, its state, its items."""
        known = self._numbers.get(id(value))
        if known is not None:
            return known
        try:
            made = value.__reduce_ex__(4)
        except Exception:
            made = None
        wrapped = getattr(value, "__wrapped__", None) if isinstance(made, str) else None
        if made is None or (isinstance(made, str) and wrapped is None and not _is_known(value)):
            raise Untold(self._named(), type(value).__name__)
        if isinstance(made, str):
            text = f"{type(value).__module__}.{made} {'' if wrapped is None else self._of(wrapped)}"
        else:
            function, arguments, *more = made
            named = "" if function is _NEW else f"{self._of(function)} "
            state, items, pairs = [*more, None, None, None][:3]
            parts = [self._of(arguments), self._of(state)]
            parts += [self._of(list(inner)) for inner in (items, pairs) if inner is not None]
            text = f"object {named}{' '.join(map(_short, parts))}"
        self._numbers[id(value)] = _short(text)
        self._alive.append(value)
        return text

    def of_class(self, kind: type) -> str:
        """A class: by its name where a module has it, else by all that it is."""
        if importable(kind):
            self.modules |= {kind.__module__} - {"builtins"}
            return f"class {kind.__module__}.{kind.__qualname__}"
        return self._numbered(kind, "class") or self._read_class(kind)

    def of_function(self, function: FunctionType) -> str:
        """A function, likewise."""
        if importable(function):
            self.modules.add(function.__module__)
            return f"function {function.__module__}.{function.__qualname__}"
        return self._numbered(function, "function") or self._read_function(function, None)

    def _numbered(self, value: Any, what: str) -> str | None:
        if id(value) in self._numbers:
            return self._numbers[id(value)]
        self._numbers[id(value)] = f"{what} {len(self._numbers) + 1}, {value.__qualname__}"
        self._alive.append(value)
        return None

    def _read_class(self, kind: type) -> str:
        named = self._numbers[id(kind)]
        own = {name: value for name, value in vars(kind).items() if name not in _CLASSES_OWN}
        functions = [f for value in own.values() for f in _functions(value)]
        methods = [f.__code__ for f in functions if f.__qualname__.startswith(f"{kind.__qualname__}.")]
        found = text_of_class(kind.__qualname__, methods)
        self._pieces.append(f"# {named}\n{found.text if found else ''}")
        lines = [f"bases {', '.join(self.of(base, base.__name__) for base in kind.__bases__)}"]
        lines += [f"metaclass {self.of(type(kind), 'metaclass')}"] if type(kind) is not type else []
        lines += [f"field {line}" for line in self._fields(kind)]
        for name, value in own.items():
            if isinstance(value, MemberDescriptorType | GetSetDescriptorType) or _generated(kind, name, value):
                continue
            for function in _functions(value):
                if not importable(function) and self._numbered(function, "function") is None:
                    self._read_function(function, found)
            lines.append(f"{name} = {self.of(value, f'{kind.__qualname__}.{name}')}")
        self._pieces.append("".join(f"# {named}: {line}\n" for line in lines))
        return named

    def _fields(self, kind: type) -> Iterator[str]:
        """The defaults of a dataclass."""
        for field in vars(kind).get("__dataclass_fields__", {}).values():
            for what in ("default", "default_factory"):
                if getattr(field, what) is not dataclasses.MISSING:
                    yield f"{field.name} {what} {self.of(getattr(field, what), f'{kind.__qualname__}.{field.name}')}"

    def _read_function(self, function: FunctionType, inside: Found | None) -> str:
        named = self._numbers[id(function)]
        code = function.__code__
        self.files.add(code.co_filename)
        home = str(function.__globals__.get("__name__"))
        if home in sys.modules and is_foreign_module(home):  # what an installed decorator made
            self._pieces.append(f"# {named}: {home}.{code.co_qualname}\n")
            names = []
        else:
            names = [name for name in _names(code) if name in function.__globals__]
            if inside is None or not inside.holds(code):
                self._pieces.append(f"# {named}\n{self._text(function)}")
        read = {name: function.__globals__[name] for name in names}
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        read |= {name: cell.cell_contents for name, cell in cells if _filled(cell)}
        lines = [f"{name} = {self.of(value, name)}" for name, value in read.items() if name not in _MODULES_OWN]
        for what in ("__defaults__", "__kwdefaults__", "__dict__"):
            if getattr(function, what):
                lines.append(f"{what} = {self.of(getattr(function, what), f'a default of {function.__qualname__}')}")
        self._pieces.append("".join(f"# {named}: {line}\n" for line in lines))
        return named

    def _text(self, function: FunctionType) -> str:
        found = text_of_function(function.__code__)
        if found is not None:
            return found.text
        self.unread.append(function.__qualname__)
        return f"# {sys.implementation.cache_tag} {_hash(essence(function.__code__).encode())}\n"

    def _named(self) -> str:
        """Where a value is, as the user would write it."""
        first, *inner = self._where or ["it"]
        return first + "".join(part if part.startswith("[") else f".{part}" for part in inner[:3])


def importable(value: Any) -> bool:
    """Whether any process can import a class or a function by its name."""
    name = getattr(value, "__module__", None)
    module = sys.modules.get(name) if name else None
    if module is None or name == "__main__":
        return False
    if getattr(module, "__file__", None) is None and not is_foreign_module(str(name)):
        return False
    found: Any = module
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


def _is_known(value: Any) -> bool:
    """Whether what stands for itself by a name is not of the user's own."""
    return is_foreign_module(str(getattr(value, "__module__", None) or type(value).__module__))


def _functions(value: Any) -> list[FunctionType]:
    """The functions of an attribute of a class."""
    if isinstance(value, staticmethod | classmethod):
        return _functions(value.__func__)
    if isinstance(value, property):
        return [f for part in (value.fget, value.fset, value.fdel) for f in _functions(part)]
    if isinstance(value, functools.cached_property):
        return _functions(value.func)
    return [value] if isinstance(value, FunctionType) else []


def _generated(kind: type, name: str, value: Any) -> bool:
    """Whether a method is what ``dataclass`` makes of a class's fields."""
    is_made = dataclasses.is_dataclass(kind) and name.startswith("__") and isinstance(value, FunctionType)
    return is_made and inspect.unwrap(value).__code__.co_filename == "<string>"


def _names(code: CodeType) -> list[str]:
    """The names of globals that a function uses, those of functions within it included, in order."""
    found = dict.fromkeys(str(one.argval) for one in dis.get_instructions(code) if one.opname in _GLOBALS)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= dict.fromkeys(_names(constant))
    return sorted(found)


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # a variable that has no value yet
        return False
    return True


def _has_self(value: Any) -> bool:
    """Whether a function in C is a method of an object, whose state counts."""
    own = getattr(value, "__self__", None)
    return own is not None and not isinstance(own, ModuleType | type)


def _tensor(value: Tensor) -> str:
    plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
    flat = torch.view_as_real(plain) if plain.is_complex() else plain
    content = _hash(flat.reshape(-1).view(torch.uint8).numpy().data)
    asks = " requires_grad" if value.requires_grad else ""
    kind = str(value.dtype).removeprefix("torch.")
    return f"{type(value).__name__} {kind} {list(value.shape)}{asks} {content}"


def _hash(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()


def _short(text: str) -> str:
    if len(text) <= LONGEST and "\n" not in text:
        return text
    return f"sha256 {_hash(text.encode('utf-8', 'surrogatepass'))}"
