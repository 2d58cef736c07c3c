"""The audit's decoders of Avro and Protobuf agree with the Java formats over one file of cases, and with the libraries.

flink_jobs/jvm/registry-format reads the file in its AgreementTest. `UPDATE_GOLDEN=1` writes it anew; for a larger one:
`python -m tests.unit.registry.test_agreement SEED COUNT > FILE.json.gz`, then KEYSTONE_AGREEMENT=FILE.json.gz mvn test.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
from google.protobuf import message_factory
from google.protobuf.message import DecodeError

from keystone_platform.audit.parse import Dead
from keystone_platform.audit.proto_schema import message_of
from tests.unit.registry.cases import Case, cases

FILE = Path(__file__).parents[3] / "flink_jobs/jvm/registry-format/src/test/resources/agreement.json.gz"
SEED, COUNT = 20261128, 600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _packed(seed: int, count: int) -> bytes:
    text = json.dumps([each.as_json() for each in cases(seed, count)], ensure_ascii=True)
    return gzip.compress(text.encode(), mtime=0)


def test_the_cases_that_java_reads_are_those_of_this_decoder() -> None:
    packed = _packed(SEED, COUNT)
    if os.environ.get("UPDATE_GOLDEN"):
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_bytes(packed)
    assert json.loads(gzip.decompress(FILE.read_bytes())) == json.loads(gzip.decompress(packed))


def _is_same(ours: Any, theirs: Any, declared: str) -> bool:
    """Whether a decoded value is what the official library read."""
    match theirs:
        case datetime():
            return bool(declared == "timestamp" and ours == (theirs - EPOCH) // timedelta(microseconds=1))
        case date():
            return bool(declared == "date" and ours == (theirs - EPOCH.date()).days)
        case Decimal():  # fastavro rounds one that is longer than its schema says
            return math.isclose(float(ours), float(theirs), rel_tol=1e-6)
        case str() if declared in ("date", "timestamp"):
            return isinstance(ours, int)
        case str() | bool():
            return bool(ours == theirs) and declared in ("string", "boolean")
        case _ if declared == "float":
            return math.isclose(ours, float(theirs), rel_tol=1e-6, abs_tol=1e-38)
        case _:
            return bool(ours == (float(theirs) if declared == "double" else int(theirs)))


def _by_fastavro(case: Case) -> dict[str, Any] | None:
    """Return the event as fastavro reads it, None where it does not."""
    schema = fastavro.parse_schema(json.loads(case.schema.text))
    try:
        found = fastavro.schemaless_reader(io.BytesIO(case.payload[5:]), schema, None)
    except (EOFError, IndexError, ValueError, OverflowError):
        return None
    assert isinstance(found, dict)
    return found


def test_what_is_decoded_of_avro_is_what_fastavro_reads() -> None:
    compared = 0
    for case in (each for each in cases(3, 3000) if each.format == "avro"):
        ours, theirs = case.decoded(), _by_fastavro(case)
        if isinstance(ours, Dead) or theirs is None:
            continue
        nanos = {each["name"] for each in json.loads(case.schema.text)["fields"] if "nanos" in str(each["type"])}
        for name, declared in case.columns.items():
            if name in nanos or not isinstance(declared, str) or declared.startswith("array"):
                continue  # fastavro reads nanoseconds as an integer
            there = theirs.get(name)
            if ours[name] is None:
                assert there is None or case.nulls, case
            else:
                shown = str(there) if declared == "string" and type(there).__name__ == "UUID" else there
                assert isinstance(there, bytes) or _is_same(ours[name], shown, declared), case
                compared += 1
    assert compared > 500


def test_what_is_decoded_of_protobuf_is_what_its_library_reads() -> None:
    compared = 0
    for case in (each for each in cases(4, 3000) if each.format == "protobuf" and not each.nulls):
        ours = case.decoded()
        if isinstance(ours, Dead) or case.payload[5:7] != b"\x02\x02":
            continue
        message = message_of(case.schema.text, {"shared/place.proto": case.imports["place"].text}, [1])
        try:
            theirs = message_factory.GetMessageClass(message).FromString(case.payload[7:])
        except DecodeError:
            continue  # it looks into fields that nobody declared, and at the UTF-8 of their texts
        for name, declared in case.columns.items():
            field = message.fields_by_name.get(name)
            if field is None or not isinstance(declared, str) or field.message_type is not None:
                continue
            there = getattr(theirs, name)
            if field.label == field.LABEL_REPEATED:
                assert len(ours[name] or ()) == len(there), case
            elif field.has_presence and not theirs.HasField(name):
                assert ours[name] is None, case
            elif field.enum_type is not None:
                assert field.enum_type.values_by_name[ours[name]].number == there, case
            else:
                assert _is_same(ours[name], there, declared), case
            compared += 1
    assert compared > 500


if __name__ == "__main__":
    sys.stdout.buffer.write(_packed(int(sys.argv[1]), int(sys.argv[2])))
