"""Write the protocol's types for mypy, its numbers, and the table that params are checked against.

    python tools/generate_lsp_types.py

lsprotocol has all of the protocol as classes. To import them takes longer than all else that the server does before it
answers, and nothing here is converted into them: messages stay the JSON that came. So this writes, from the installed
lsprotocol and from `goalmap.lsp.extensions`:

* `goalmap/lsp/types.py`, a TypedDict for each structure that we read or send, which costs nothing at run time;
* `goalmap/lsp/enums.py`, the enumerations that we use, as plain numbers and strings;
* `goalmap/lsp/param_shapes.py`, what the params of each method that we serve must be: see `goalmap.lsp.validate`.
"""

from __future__ import annotations

import enum
import keyword
import subprocess
import sys
import types as python_types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, NotRequired, TypeAlias

import attrs
from lsprotocol import types as lsp

from goalmap.lsp import extensions

LSP_FOLDER = Path(extensions.__file__).parent

# What we serve. A method of ours cannot be registered unless it stands here or in `extensions`.
SERVED = (
    "initialize",
    "initialized",
    "shutdown",
    "$/cancelRequest",
    "window/workDoneProgress/cancel",
    "textDocument/didOpen",
    "textDocument/didChange",
    "textDocument/didClose",
    "textDocument/didSave",
    "textDocument/codeAction",
    "textDocument/codeLens",
    "codeLens/resolve",
    "textDocument/completion",
    "completionItem/resolve",
    "textDocument/definition",
    "textDocument/diagnostic",
    "textDocument/documentHighlight",
    "textDocument/documentLink",
    "textDocument/documentSymbol",
    "textDocument/foldingRange",
    "textDocument/hover",
    "textDocument/inlayHint",
    "textDocument/prepareRename",
    "textDocument/references",
    "textDocument/rename",
    "textDocument/selectionRange",
    "workspace/didChangeConfiguration",
    "workspace/didChangeWatchedFiles",
    "workspace/didChangeWorkspaceFolders",
    "workspace/didCreateFiles",
    "workspace/didDeleteFiles",
    "workspace/didRenameFiles",
    "workspace/willRenameFiles",
    "workspace/executeCommand",
    "workspace/symbol",
    "workspace/textDocumentContent",
)
# What we send, beside the answers to these.
SENT = (
    "client/registerCapability",
    "textDocument/publishDiagnostics",
    "window/logMessage",
    "window/showDocument",
    "window/showMessage",
    "window/showMessageRequest",
    "window/workDoneProgress/create",
    "workspace/applyEdit",
    "workspace/configuration",
)
ALSO_SENT = (lsp.WorkDoneProgressBegin, lsp.WorkDoneProgressReport, lsp.WorkDoneProgressEnd)
ENUMS = (
    lsp.CodeActionKind,
    lsp.CompletionItemKind,
    lsp.DiagnosticSeverity,
    lsp.DiagnosticTag,
    lsp.DocumentHighlightKind,
    lsp.InlayHintKind,
    lsp.InsertTextFormat,
    lsp.LSPErrorCodes,
    lsp.MarkupKind,
    lsp.MessageType,
    lsp.SymbolKind,
    lsp.TextDocumentSyncKind,
)
# No client is refused for what we do not read.
CHECKED = {
    lsp.InitializeParams: {"processId", "rootUri", "capabilities", "initializationOptions", "workspaceFolders"},
    lsp.TextDocumentItem: {"uri", "version", "text"},
    lsp.WorkspaceFolder: {"uri"},
    lsp.FileEvent: {"uri"},
    lsp.CodeActionContext: {"only"},
    lsp.CompletionParams: {"textDocument", "position"},
    lsp.DocumentDiagnosticParams: {"textDocument", "previousResultId"},
    lsp.CodeLens: {"data"},
    lsp.CompletionItem: {"detail", "data"},
}
# What the protocol requires and some clients leave out, where that can mean one thing only.
LEFT_OUT = {
    "InitializeParams": {"capabilities"},
    "ReferenceParams": {"context"},
    "ReferenceContext": {"includeDeclaration"},
    "WorkspaceSymbolParams": {"query"},
    "WorkspaceFoldersChangeEvent": {"added", "removed"},
}
UNREAD = {"workDoneToken", "partialResultToken", "rangeLength"}
# Read where it is used, with doubt: capabilities by `client`, and diagnostics, which may be of other servers.
UNCHECKED = {lsp.ClientCapabilities, lsp.Diagnostic}
OPAQUE = {lsp.ClientCapabilities, lsp.ServerCapabilities}
# Alternatives that differ in their members only, under the specification's name for them.
MERGED = {
    frozenset(
        (lsp.TextDocumentContentChangePartial, lsp.TextDocumentContentChangeWholeDocument)
    ): "TextDocumentContentChangeEvent"
}

HEAD = '''"""{about}

Made by tools/generate_lsp_types.py from lsprotocol: change that, and run it.
"""

from __future__ import annotations

'''


class Member(NamedTuple):
    """A member of an object: its name in JSON, the type of its value, and whether it may be absent."""

    name: str
    type: Any
    is_optional: bool
    is_natural: bool = False


# -- reading types -----------------------------------------------------------------------------------------------------
def members(cls: type) -> list[Member]:
    """Return the members of an lsprotocol class or of a TypedDict."""
    if attrs.has(cls):
        attrs.resolve_types(cls, vars(lsp))
        return [
            Member(
                _camel(field.name), field.type, field.default is not attrs.NOTHING, "uinteger" in repr(field.validator)
            )
            for field in attrs.fields(cls)
        ]
    hints = typing.get_type_hints(cls, localns=vars(lsp), include_extras=True)
    return [
        Member(name, typing.get_args(hint)[0], True)
        if typing.get_origin(hint) is NotRequired
        else Member(name, hint, False)
        for name, hint in hints.items()
    ]


def _camel(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def is_object(kind: Any) -> bool:
    """Whether values of this type are objects with known members."""
    return isinstance(kind, type) and (attrs.has(kind) or typing.is_typeddict(kind))


def alternatives(kind: Any) -> list[Any] | None:
    """Return what a union is of, None left out; None for what is no union."""
    if typing.get_origin(kind) not in (typing.Union, python_types.UnionType):
        return None
    resolved = [
        getattr(lsp, one.__forward_arg__) if isinstance(one, typing.ForwardRef) else one
        for one in typing.get_args(kind)
    ]
    return [one for one in resolved if one is not type(None)]


def element(kind: Any) -> Any:
    """Return the type of an array's elements; None for what is no array."""
    origin = typing.get_origin(kind)
    is_array = origin is list or (isinstance(origin, type) and issubclass(origin, typing.Sequence))  # type: ignore[arg-type]
    return typing.get_args(kind)[0] if is_array and origin is not tuple else None


def merged(classes: Iterable[type]) -> list[Member]:
    """Return the members that objects of any of these classes may have."""
    of_each = [{member.name: member for member in members(cls)} for cls in classes]
    everywhere = set.intersection(*(set(one) for one in of_each))
    all_members = {name: member for one in of_each for name, member in one.items()}
    return [
        member._replace(is_optional=member.is_optional or name not in everywhere)
        for name, member in all_members.items()
    ]


# -- types.py ----------------------------------------------------------------------------------------------------------
class TypedDicts:
    """Collects the structures that are needed, each with the lines of its TypedDict."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.aliases: dict[str, str] = {}

    def name(self, kind: Any) -> str:
        """Return how a type is written, and collect what it needs."""
        if (inner := element(kind)) is not None:
            return f"Sequence[{self.name(inner)}]"
        if (many := alternatives(kind)) is not None:
            return self._union(kind, many)
        if typing.get_origin(kind) is tuple:
            return f"list[{self.name(typing.get_args(kind)[0])}]"
        if typing.get_origin(kind) is Literal:
            return f"Literal[{', '.join(map(repr, typing.get_args(kind)))}]"
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            self.aliases[kind.__name__] = f"Literal[{', '.join(repr(one.value) for one in kind)}]"
            return kind.__name__
        if kind in OPAQUE or not (is_object(kind) or kind in (str, int, bool, float)):
            return self._other(kind)
        if is_object(kind):
            self.add(kind.__name__, lambda: members(kind))
        return str(kind.__name__)

    def _other(self, kind: Any) -> str:
        if kind in OPAQUE:
            return "dict[str, object]"
        if typing.get_origin(kind) is not None and issubclass(typing.get_origin(kind), typing.Mapping):  # type: ignore[arg-type]
            key, value = typing.get_args(kind)
            return f"Mapping[{self.name(key)}, {self.name(value)}]"
        return "Any"

    def _union(self, kind: Any, many: list[Any]) -> str:
        name = MERGED.get(frozenset(one for one in many if isinstance(one, type)))
        if name is not None:
            self.add(name, lambda: merged(many))
            return name
        names = list(dict.fromkeys(map(self.name, many)))
        # An enumeration that may be extended is any string or number.
        names = [one for one in names if not (one in self.aliases and {"str", "int"} & set(names))]
        if "Any" in names:
            return "Any"
        if type(None) in typing.get_args(kind):
            names.append("None")
        return " | ".join(names)

    def add(self, name: str, of: typing.Callable[[], list[Member]]) -> None:
        """Collect a structure, unless that was done."""
        if name in self.lines:
            return
        self.lines[name] = []  # it may contain itself
        for member in of():
            written = self.name(member.type)
            if member.is_optional:
                written = f"NotRequired[{written}]"
            self.lines[name].append(f"{member.name}: {written}")

    def text(self) -> str:
        """Return the module."""
        used = "".join(line for lines in self.lines.values() for line in lines)
        parts = [HEAD.format(about="The structures of the protocol that we read or send, for mypy and for people.")]
        parts.append("from collections.abc import Mapping, Sequence\n")
        parts.append("from typing import Any, Literal, NotRequired, TypeAlias, TypedDict\n\n")
        parts += [f"{name}: TypeAlias = {alias}\n" for name, alias in sorted(self.aliases.items()) if name in used]
        for name, lines in sorted(self.lines.items()):
            body = [f"    {line}\n" for line in lines] or ["    pass\n"]
            if any(keyword.iskeyword(line.partition(":")[0]) for line in lines):
                fields = ", ".join("{!r}: {}".format(*line.split(": ", 1)) for line in lines)
                parts.append(f"\n{name} = TypedDict({name!r}, {{{fields}}})\n")
            else:
                parts += [f"\n\nclass {name}(TypedDict):\n", *body]
        return "".join(parts)


def typed_dicts() -> str:
    """Return `types.py`."""
    collected = TypedDicts()
    for method in (*SERVED, *SENT):
        _, response, params, _ = lsp.METHOD_TO_TYPES[method]
        if params is not None:
            collected.name(params)
        if response is not None:
            attrs.resolve_types(response, vars(lsp))
            collected.name(attrs.fields_dict(response)["result"].type)
    for sent in ALSO_SENT:
        collected.name(sent)
    return collected.text()


# -- enums.py ----------------------------------------------------------------------------------------------------------
def enums() -> str:
    """Return `enums.py`."""
    parts = [HEAD.format(about="The protocol's enumerations that we use, as the numbers and strings that JSON has.")]
    parts.append("from typing import Final\n")
    for kind in ENUMS:
        parts.append(f"\n\nclass {kind.__name__}:\n")
        parts += [f"    {_constant(one.name)}: Final = {one.value!r}\n" for one in kind]
    return "".join(parts)


def _constant(name: str) -> str:
    words = "".join(f"_{letter}" if letter.isupper() else letter for letter in name).strip("_")
    return words.upper()


# -- param_shapes.py ---------------------------------------------------------------------------------------------------
Shape: TypeAlias = str
SPECIAL = {"ANY": "anything", "NATURAL": "an integer that is not negative", "ID": "an integer or a string"}


class Shapes:
    """Collects the shapes of params, and of all that they hold, as source text."""

    def __init__(self) -> None:
        self.named: dict[str, str] = {}

    def of(self, kind: Any, *, is_natural: bool = False) -> Shape:
        """Return the shape of a type; see `goalmap.lsp.validate`."""
        if typing.get_origin(kind) is typing.Annotated:
            return self.of(typing.get_args(kind)[0], is_natural=extensions.NOT_NEGATIVE in kind.__metadata__)
        if (inner := element(kind)) is not None:
            return f"[{self.of(inner)}]"
        if (many := alternatives(kind)) is not None:
            return self._union(many, is_natural=is_natural)
        if typing.get_origin(kind) is Literal:
            return repr(typing.get_args(kind))
        if kind in UNCHECKED:
            return "dict"
        if is_object(kind):
            checked = CHECKED.get(kind)
            return self._object(
                kind.__name__, lambda: [one for one in members(kind) if checked is None or one.name in checked]
            )
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            # Members of later versions of the protocol are no fault.
            return "str" if issubclass(kind, str) else "int"
        if kind is int:
            return "NATURAL" if is_natural else "int"
        return kind.__name__ if kind in (str, bool) else "ANY"

    def _union(self, many: list[Any], *, is_natural: bool) -> Shape:
        if len(many) == 1:
            return self.of(many[0], is_natural=is_natural)
        if set(many) == {int, str}:
            return "ID"
        if all(map(is_object, many)):
            return self._object(
                MERGED.get(frozenset(many), " | ".join(one.__name__ for one in many)), lambda: merged(many)
            )
        shapes = {self.of(one) for one in many}
        return shapes.pop() if len(shapes) == 1 else "ANY"

    def _object(self, name: str, of: typing.Callable[[], list[Member]]) -> Shape:
        constant = f"_{_constant(name)}" if name.isidentifier() else ""
        if constant and constant in self.named:
            return constant
        rows = [
            f"{member.name + '?' * self._may_be_absent(name, member)!r}: "
            f"{self.of(member.type, is_natural=member.is_natural)}"
            for member in of()
            if member.name not in UNREAD
        ]
        # What may be anything, or nothing, is not looked at.
        shape = f"{{{', '.join(row for row in rows if not row.endswith('ANY') or '?' not in row)}}}"
        if not constant:
            return shape
        self.named[constant] = shape
        return constant

    @staticmethod
    def _may_be_absent(name: str, member: Member) -> bool:
        left_out = member.name in LEFT_OUT.get(name, ())
        return left_out or member.is_optional or type(None) in typing.get_args(member.type)


def param_shapes() -> str:
    """Return `param_shapes.py`."""
    shapes = Shapes()
    table = {method: _params_shape(shapes, lsp.METHOD_TO_TYPES[method][2]) for method in SERVED}
    table |= {method: shapes.of(params) for method, params in extensions.METHODS.items()}
    for method, data in extensions.DATA.items():  # of our own making, whatever the client did with it meanwhile
        table[method] = f"{{**{table[method]}, 'data?': {shapes.of(data)}}}"
    commands = {command: f"[{shapes.of(argument)}]" for command, argument in extensions.COMMANDS.items()}
    return "".join(_table_text(shapes.named, table, commands))


def _params_shape(shapes: Shapes, params: Any) -> Shape:
    return "{}" if params is None else shapes.of(params)


def _table_text(named: dict[str, str], table: dict[str, str], commands: dict[str, str]) -> Iterator[str]:
    yield HEAD.format(about="What the params of each method, and the arguments of each command, must be.")
    yield "from typing import Any, Final, TypeAlias\n\nShape: TypeAlias = Any\n"
    yield "# A shape that is a string says what is expected.\n"
    yield from (f"{name}: Final = {text!r}\n" for name, text in SPECIAL.items())
    yield from (f"{name}: Final[Shape] = {shape}\n" for name, shape in named.items())
    for name, rows in (("PARAMS", table), ("ARGUMENTS", commands)):
        yield f"\n{name}: Final[dict[str, Shape]] = {{\n"
        yield from (f"    {method!r}: {shape},\n" for method, shape in rows.items())
        yield "}\n"


# -- the files ---------------------------------------------------------------------------------------------------------
def formatted(source: str) -> str:
    """Return Python source as the house formats it."""
    ruff = [sys.executable, "-m", "ruff"]
    done = source
    for arguments in (["check", "--fix-only", "--select", "F401", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(  # noqa: S603 - our own command
            [*ruff, *arguments, "--stdin-filename", str(LSP_FOLDER / "generated.py"), "-"],
            input=done,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return done


def generated() -> dict[Path, str]:
    """Return what each generated file must hold."""
    sources = {"types.py": typed_dicts(), "enums.py": enums(), "param_shapes.py": param_shapes()}
    return {LSP_FOLDER / name: formatted(source) for name, source in sources.items()}


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
