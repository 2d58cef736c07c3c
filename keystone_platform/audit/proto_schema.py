"""From a registered Protobuf schema to the message that an event is; types are linked by Protobuf's own library."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from keystone_platform.audit.proto_text import parse_proto

_WELL_KNOWN = {
    module.DESCRIPTOR.name: module
    for module in (
        any_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    )
}
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
_EVENT = "keystone/event.proto"
"""Name of the file that the event's schema is; registries give it none."""


def message_of(text: str, imports: Mapping[str, str], way: Sequence[int]) -> Descriptor:
    """Return the message at that place of a schema.

    Args:
        text: of the .proto file, or its descriptor in base64.
        imports: texts by the names that they are imported by, each behind those that it imports.
        way: number of the message in the file, then of one within it, and so on; entries of maps don't count.

    Raises:
        ValueError: the schema is of no use, or has no such message.
    """
    pool = descriptor_pool.DescriptorPool()
    there: set[str] = set()
    try:
        for name, module in _WELL_KNOWN.items():
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
            there.add(name)
        for name, imported in imports.items():
            _add(pool, name, imported, there)
        _add(pool, "", text, there)
        messages = list(pool.FindFileByName(_EVENT).message_types_by_name.values())
        found = None
        for index in way:
            found = messages[index]
            messages = [each for each in found.nested_types if not each.GetOptions().map_entry]
    except (TypeError, KeyError, IndexError, DecodeError) as error:
        message = "it can't be used as a Protobuf schema, or has no such message"
        raise ValueError(message) from error
    assert found is not None  # the way is never empty
    return found


def _add(pool: descriptor_pool.DescriptorPool, name: str, text: str, there: set[str]) -> None:
    if name in _WELL_KNOWN:
        return
    name = name or _EVENT
    if _BASE64.fullmatch(text):
        file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text))
        file.name = name
    else:
        file = parse_proto(name, text)
    public = [file.dependency[index] for index in file.public_dependency]
    kept = [each for each in file.dependency if each in there]  # others are imported for their options
    del file.dependency[:], file.public_dependency[:]
    file.dependency.extend(kept)
    file.public_dependency.extend(kept.index(each) for each in public if each in kept)
    pool.AddSerializedFile(file.SerializeToString())
    there.add(name)
