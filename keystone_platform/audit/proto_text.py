"""Reads the text of a .proto file as far as decoding needs it, into Protobuf's own descriptor.

Registries hold the text, and Protobuf's Python library has no parser. Options, services, extensions and reserved names
are left out; names of types are resolved by the library.

https://protobuf.dev/reference/protobuf/proto3-spec/, …/proto2-spec/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

_TOKEN = re.compile(
    r"""\s+ | //[^\n]* | /\*.*?\*/ |
    (?P<word> \.?[A-Za-z_][\w.]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
            | [0-9.][\w.]*(?:(?<=[eE])[+-][0-9]+)? | [{}\[\]()<>;:,=/+-] )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_NAMES = "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string bytes"
_PLAIN = {name: getattr(FieldDescriptorProto, f"TYPE_{name.upper()}") for name in _NAMES.split()}
_LABELS = {
    name: getattr(FieldDescriptorProto, f"LABEL_{name.upper()}") for name in ("optional", "required", "repeated")
}
_CLOSING = {"{": "}", "[": "]", "(": ")"}


def parse_proto(name: str, text: str) -> FileDescriptorProto:
    """Return the descriptor of a file of that name, in syntax proto2 or proto3; its types are not linked.

    Raises:
        ValueError: it is no such file.
    """
    parser = _Parser(list(_words(text)))
    try:
        file = parser.file()
    except (IndexError, RecursionError) as error:
        message = "it ends early, or is nested too deep"
        raise ValueError(message) from error
    file.name = name
    return file


def _words(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            message = f"no .proto file at character {at}"
            raise ValueError(message)
        if match["word"]:
            yield match["word"]
        at = match.end()


class _Parser:
    """One pass over the words; raises IndexError where they end early."""

    def __init__(self, words: list[str]) -> None:
        self._words, self._at = words, 0
        self._proto3 = False

    def _next(self) -> str:
        word = self._words[self._at]
        self._at += 1
        return word

    def _ahead(self, count: int = 0) -> str:
        return self._words[self._at + count] if self._at + count < len(self._words) else ""

    def _passes(self, word: str) -> bool:
        found = self._ahead() == word
        self._at += found
        return found

    def _pass(self, word: str) -> None:
        if self._next() != word:
            message = f"{word} is expected"
            raise ValueError(message)

    def _skip_to(self, last: str) -> None:
        """Pass that word and all before it, brackets as a whole."""
        while (word := self._next()) != last:
            if word in _CLOSING:
                self._skip_to(_CLOSING[word])

    def _text(self) -> str:
        word = self._next()
        if word[0] not in "\"'":
            message = "a text is expected"
            raise ValueError(message)
        return word[1:-1]

    def _number(self) -> int:
        sign = -1 if self._passes("-") else 1
        word = self._next()
        return sign * int(word, 8 if re.fullmatch("0[0-7]+", word) else 0)

    def file(self) -> FileDescriptorProto:
        file = FileDescriptorProto()
        if self._passes("syntax"):
            self._pass("=")
            file.syntax = self._text()
            self._proto3 = file.syntax == "proto3"
            self._pass(";")
            if file.syntax not in ("proto2", "proto3"):
                message = "an unknown syntax"
                raise ValueError(message)
        while self._at < len(self._words):
            self._statement(file)
        return file

    def _statement(self, file: FileDescriptorProto) -> None:
        match self._next():
            case "package":
                file.package = self._next()
                self._pass(";")
            case "import":
                if self._passes("public"):
                    file.public_dependency.append(len(file.dependency))
                self._passes("weak")
                file.dependency.append(self._text())
                self._pass(";")
            case "option":
                self._skip_to(";")
            case "message":
                self._message(file.message_type.add())
            case "enum":
                self._enum(file.enum_type.add())
            case "extend" | "service":
                self._skip_to("{")
                self._skip_to("}")
            case ";":
                pass
            case word:
                message = f"{word} begins no statement"
                raise ValueError(message)

    def _message(self, message: DescriptorProto) -> None:
        message.name = self._next()
        self._body(message)

    def _body(self, message: DescriptorProto) -> None:
        self._pass("{")
        while not self._passes("}"):
            self._member(message)
        for field in message.field:  # proto3's `optional` is a oneof of its own, behind the real ones
            if field.proto3_optional:
                field.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add().name = f"_{field.name}"

    def _member(self, message: DescriptorProto) -> None:
        word = ";" if self._ahead() == ";" else "" if self._ahead(2) == "=" else self._ahead()
        match word:  # empty for a field whose type has the name of a statement
            case ";":
                self._next()
            case "message":
                self._next()
                self._message(message.nested_type.add())
            case "enum":
                self._next()
                self._enum(message.enum_type.add())
            case "option" | "reserved" | "extensions":
                self._skip_to(";")
            case "extend":
                self._skip_to("{")
                self._skip_to("}")
            case "oneof":
                self._next()
                self._oneof(message)
            case _:
                field = message.field.add(label=_LABELS["optional"])
                if word in _LABELS:
                    field.label = _LABELS[self._next()]
                    field.proto3_optional = self._proto3 and word == "optional"
                self._field(message, field)

    def _oneof(self, message: DescriptorProto) -> None:
        index = len(message.oneof_decl)
        message.oneof_decl.add().name = self._next()
        self._pass("{")
        while not self._passes("}"):
            if self._ahead() == ";" or (self._ahead() == "option" and self._ahead(2) != "="):
                self._skip_to(";")
            else:
                self._field(message, message.field.add(label=_LABELS["optional"], oneof_index=index))

    def _field(self, message: DescriptorProto, field: FieldDescriptorProto) -> None:
        kind = self._next()
        if kind == "group":
            self._group(message, field)
            return
        if kind == "map" and self._ahead() == "<":
            self._map(message, field)
        else:
            _typed(field, kind)
            field.name = self._next()
            self._numbered(field)
        self._pass(";")

    def _numbered(self, field: FieldDescriptorProto) -> None:
        self._pass("=")
        field.number = self._number()
        if self._passes("["):
            self._skip_to("]")

    def _group(self, message: DescriptorProto, field: FieldDescriptorProto) -> None:
        nested = message.nested_type.add(name=self._next())
        field.name, field.type, field.type_name = nested.name.lower(), FieldDescriptorProto.TYPE_GROUP, nested.name
        self._numbered(field)
        self._body(nested)

    def _map(self, message: DescriptorProto, field: FieldDescriptorProto) -> None:
        entry = message.nested_type.add()
        entry.options.map_entry = True
        self._pass("<")
        for number, name, end in ((1, "key", ","), (2, "value", ">")):
            _typed(entry.field.add(name=name, number=number, label=_LABELS["optional"]), self._next())
            self._pass(end)
        field.name = self._next()
        entry.name = "".join(part[:1].upper() + part[1:] for part in field.name.split("_")) + "Entry"
        field.label, field.type_name, field.type = _LABELS["repeated"], entry.name, FieldDescriptorProto.TYPE_MESSAGE
        self._numbered(field)

    def _enum(self, enum: EnumDescriptorProto) -> None:
        enum.name = self._next()
        self._pass("{")
        while not self._passes("}"):
            if self._ahead(1) == "=":
                value = enum.value.add(name=self._next())
                self._pass("=")
                value.number = self._number()
            elif [self._ahead(count) for count in (0, 1, 3)] == ["option", "allow_alias", "true"]:
                enum.options.allow_alias = True
            self._skip_to(";")


def _typed(field: FieldDescriptorProto, name: str) -> None:
    if name in _PLAIN:
        field.type = _PLAIN[name]
    else:
        field.type_name = name
