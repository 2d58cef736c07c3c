"""The document of the declared streams is what the producer reads, field by field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from keystone_platform.cli import app
from keystone_platform.errors import InvalidSpecs
from keystone_platform.plan.cost import Cost
from keystone_platform.plan.producing import ProducerDocument, Producing, ProducingSite
from keystone_platform.producer import Site, StreamTerms, Terms
from keystone_platform.spec.loader import load_streams

STREAM = """\
stream: {name}
owner: team:ads
producer: {producer}
routes:
  - sink: {{warehouse: {{table: events.{name}}}}}
"""


def write(folder: Path, **producers: str) -> Path:
    for name, producer in producers.items():
        (folder / f"{name}.yaml").write_text(STREAM.format(name=name, producer=producer))
    return folder


def test_what_the_command_writes_the_producer_reads(tmp_path: Path) -> None:
    folder = write(tmp_path, billing="{acks: all, max_block_s: 2}", clicks="{acks: 1}", plays="{}")
    file = tmp_path / "producers.json"
    assert CliRunner().invoke(app, ["producers", "--streams", str(folder), "--output", str(file)]).exit_code == 0
    expected = {
        "billing": StreamTerms("billing", "all", 2.0),
        "clicks": StreamTerms("clicks", "1", 0.0),
        "plays": StreamTerms("plays", "all", 0.0),
    }
    assert Terms.load(file) == Terms(expected, "keystone.producers")
    shown = CliRunner().invoke(app, ["producers", "--streams", str(folder)])
    assert json.loads(shown.stdout) == json.loads(file.read_text())


CLUSTERS = """\
clusters:
  main: {bootstrap_servers: "one:9092"}
  spare: {bootstrap_servers: "two:9092"}
streams: {primary: main, standby: spare}
"""


def test_a_stream_says_which_clusters_it_lives_on_and_its_topic_there(tmp_path: Path) -> None:
    folder = tmp_path / "streams"
    folder.mkdir()
    (tmp_path / "clusters.yaml").write_text(CLUSTERS)
    write(folder, plays="{acks: 1}")
    (folder / "alone.yaml").write_text(
        STREAM.format(name="alone", producer="{}") + "clusters: {primary: spare, standby: none}\n"
    )
    shown = CliRunner().invoke(app, ["producers", "--streams", str(folder)])
    assert "9092" not in shown.stdout, "addresses are the services' own settings"
    terms = Terms.of(json.loads(shown.stdout))
    assert terms.streams == {
        "plays": StreamTerms("plays", "1", 0.0, (Site("main", "plays"), Site("spare", "spare.plays"))),
        "alone": StreamTerms("alone", "all", 0.0, (Site("spare", "alone"),)),
    }


def test_both_sides_have_the_same_fields() -> None:
    assert list(Producing.model_fields) == list(StreamTerms.__dataclass_fields__)
    assert list(ProducingSite.model_fields) == list(Site.__dataclass_fields__)


@pytest.mark.parametrize("model", [Producing, ProducingSite, ProducerDocument])
def test_each_field_says_what_changing_it_costs(model: type[BaseModel]) -> None:
    costs = {
        name: [each for each in info.metadata if isinstance(each, Cost)] for name, info in model.model_fields.items()
    }
    assert costs == {name: [Cost.NOTHING] for name in model.model_fields}


@pytest.mark.parametrize(
    ("producer", "field", "what", "mend"),
    [
        ("{acks: 2}", "producer.acks", "'2'", "`all` (every in-sync replica) or `1`"),
        ("{acks: none}", "producer.acks", "'none'", "`all` (every in-sync replica) or `1`"),
        ("{max_block_s: soon}", "producer.max_block_s", "'soon'", "from 0 to 60"),
        ("{max_block_s: 61}", "producer.max_block_s", "61", "from 0 to 60"),
        ("{acks: 1, max_block_s: 1}", "producer", "not worth a wait", "`acks` and, if wanted, `max_block_s`"),
        ("{ack: all}", "producer.ack", "unknown key 'ack'", "Did you mean 'acks'?"),
        ("fast", "producer", "'fast'", "`acks` and, if wanted"),
    ],
)
def test_a_wrong_tier_names_its_place_and_the_mend(
    producer: str, field: str, what: str, mend: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSpecs) as raised:
        load_streams(write(tmp_path, s=producer))
    (error,) = raised.value.errors
    assert (error.field, error.line) == (field, 3)
    assert what in error.what
    assert mend in error.mend
