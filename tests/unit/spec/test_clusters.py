from __future__ import annotations

from pathlib import Path

import pytest

from keystone_platform.errors import InvalidSpec, InvalidSpecs, Terminal
from keystone_platform.spec.cluster_file import load_clusters, read_clusters
from keystone_platform.spec.clusters import PRIMARY, Cluster, Clusters, clusters_file, standby_topic, topic_home
from keystone_platform.spec.last_good import load_or_remember
from keystone_platform.spec.loader import load_streams, load_streams_leniently
from tests.unit.spec.files import MINIMAL, errors_of, write

TWO = """\
clusters:
  primary: {bootstrap_servers: "kafka-a:9092"}
  standby:
    bootstrap_servers: "kafka-b:9092,kafka-c:9092"
    properties:
      security.protocol: SASL_SSL
      sasl.password: env:STANDBY_PASSWORD
      socket.keepalive.enable: true
      retries: 3
streams: {primary: primary, standby: standby}
"""


def declare(folder: Path, text: str = TWO, **streams: str) -> Path:
    """Write the clusters and the streams, and return the folder of the streams."""
    (folder / "clusters.yaml").write_text(text)
    (folder / "streams").mkdir(exist_ok=True)
    return write(folder / "streams", **streams)


def test_a_stream_lives_where_the_file_says_by_default(tmp_path: Path) -> None:
    fleet = load_streams(declare(tmp_path, plays=MINIMAL))
    home = fleet.clusters.of(fleet.stream("plays").spec)
    assert (home.primary.name, home.primary.bootstrap_servers) == ("primary", "kafka-a:9092")
    assert home.standby
    assert home.standby.properties["socket.keepalive.enable"] == "true"
    assert [cluster.name for cluster in home.all] == ["primary", "standby"]
    assert home.topic_on("primary", "plays") == "plays"
    assert home.topic_on("standby", "plays") == "standby.plays"


@pytest.mark.parametrize(
    ("said", "lives_on"),
    [
        ("{standby: none}", ["primary"]),
        ("{primary: standby, standby: primary}", ["standby", "primary"]),
        ("{primary: standby, standby: none}", ["standby"]),
    ],
)
def test_a_stream_says_otherwise(tmp_path: Path, said: str, lives_on: list[str]) -> None:
    fleet = load_streams(declare(tmp_path, plays=f"{MINIMAL}clusters: {said}\n"))
    assert [each.name for each in fleet.clusters.of(fleet.stream("plays").spec).all] == lives_on


def test_without_a_file_there_is_the_settings_cluster(tmp_path: Path) -> None:
    fleet = load_streams(write(tmp_path, plays=MINIMAL))
    assert fleet.clusters == Clusters.alone()
    clusters = load_clusters(None, {"bootstrap.servers": "kafka:9092", "linger.ms": "1"})
    home = clusters.of(fleet.stream("plays").spec)
    assert home.all == (Cluster(PRIMARY, "kafka:9092", {"linger.ms": "1"}),)
    assert clusters.home("standby.plays") == (None, "standby.plays")


def test_the_environment_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = declare(tmp_path, "clusters: [", plays=MINIMAL)
    other = tmp_path / "other.yaml"
    other.write_text(TWO)
    assert clusters_file(folder, {}) == tmp_path / "clusters.yaml"
    assert clusters_file(folder, {"KEYSTONE_CLUSTERS": str(other)}) == other
    monkeypatch.setenv("KEYSTONE_CLUSTERS", str(other))
    assert load_streams(folder).clusters.standby == "standby"
    monkeypatch.setenv("KEYSTONE_CLUSTERS", str(tmp_path / "nowhere.yaml"))
    with pytest.raises(InvalidSpecs, match="can't be read"):
        load_streams(folder)


PROPERTIES = "clusters.standby.properties"

WRONG = {
    "no mapping": ("- a\n", 1, "", "a list where a mapping"),
    "no yaml": ("clusters: [\n", 2, "", "no valid YAML"),
    "nothing declared": ("clusters: {}\nstreams: {primary: a}\n", 1, "clusters", "no cluster is declared"),
    "a missing key": (TWO.replace("streams:", "streems:"), 10, "streems", "Did you mean 'streams'?"),
    "no default": (TWO.split("streams:")[0], 1, "", "'streams' is missing"),
    "a name with a dot": (
        TWO.replace("  standby:", "  stand.by:"),
        3,
        "clusters.stand.by",
        "can't be a cluster's name",
    ),
    "a name that says no standby": (TWO.replace("  primary:", "  none:"), 2, "clusters.none", "not `none`"),
    "no servers": (TWO.replace('{bootstrap_servers: "kafka-a:9092"}', "{}"), 2, "clusters.primary", "is missing"),
    "servers without port": (
        TWO.replace("kafka-a:9092", "kafka-a"),
        2,
        "clusters.primary.bootstrap_servers",
        "host:port",
    ),
    "an unknown key": (
        TWO.replace('bootstrap_servers: "kafka-a', 'servers: "kafka-a'),
        2,
        "clusters.primary.servers",
        "unknown",
    ),
    "a bare secret": (TWO.replace("env:STANDBY_PASSWORD", "hunter2"), 7, f"{PROPERTIES}.sasl.password", "env:NAME"),
    "servers twice": (
        TWO.replace("retries: 3", "bootstrap.servers: x:1"),
        9,
        f"{PROPERTIES}.bootstrap.servers",
        "twice",
    ),
    "a list as a property": (TWO.replace("retries: 3", "retries: [3]"), 9, f"{PROPERTIES}.retries", "a list"),
    "an unknown default": (
        TWO.replace("standby: standby", "standby: third"),
        10,
        "streams.standby",
        "primary, standby",
    ),
    "the same cluster twice": (
        TWO.replace("standby: standby", "standby: primary"),
        10,
        "streams.standby",
        "the same cluster",
    ),
}


@pytest.mark.parametrize(("text", "line", "field", "said"), WRONG.values(), ids=WRONG.keys())
def test_an_error_names_file_line_field_and_mend(tmp_path: Path, text: str, line: int, field: str, said: str) -> None:
    folder = declare(tmp_path, text, plays=MINIMAL)
    found = {(error.line, error.field): str(error) for error in errors_of(folder)}
    assert (line, field) in found, found
    assert said in found[line, field]
    assert "clusters.yaml" in found[line, field]
    assert not load_streams_leniently(folder).streams
    assert read_clusters(tmp_path / "clusters.yaml")[0] is None


def test_no_error_shows_a_secret(tmp_path: Path) -> None:
    folder = declare(tmp_path, TWO.replace("env:STANDBY_PASSWORD", "hunter2"), plays=MINIMAL)
    assert "hunter2" not in " ".join(map(str, errors_of(folder)))


WRONG_STREAMS = {
    "an unknown cluster": (MINIMAL + "clusters: {standby: third}\n", 9, "clusters.standby", "Declared are: primary"),
    "the same cluster twice": (MINIMAL + "clusters: {standby: primary}\n", 9, "clusters", "both 'primary'"),
    "the default standby as primary": (MINIMAL + "clusters: {primary: standby}\n", 9, "clusters", "both 'standby'"),
    "a name that is none": (MINIMAL + "clusters: {standby: Third}\n", 9, "clusters.standby", "lower-case"),
    "an unknown key": (MINIMAL + "clusters: {stanby: standby}\n", 9, "clusters.stanby", "Did you mean 'standby'?"),
    "a topic like the standby's": (MINIMAL + "topic: standby.plays\n", 9, "topic", "begins like one of the cluster"),
    "a sink's topic like the standby's": (
        MINIMAL + "  - sink: {kafka: {topic: standby.x}}\n",
        9,
        "routes[1].sink.kafka.topic",
        "begins like",
    ),
    "a topic too long with the prefix": (MINIMAL + f"topic: {'x' * 232}\n", 9, "topic", "8 characters too long"),
}


@pytest.mark.parametrize(("text", "line", "field", "said"), WRONG_STREAMS.values(), ids=WRONG_STREAMS.keys())
def test_what_a_stream_says_of_clusters_is_checked(tmp_path: Path, text: str, line: int, field: str, said: str) -> None:
    found = {(error.line, error.field): str(error) for error in errors_of(declare(tmp_path, plays=text))}
    assert (line, field) in found, found
    assert said in found[line, field]


def test_a_stream_that_names_a_cluster_needs_the_file(tmp_path: Path) -> None:
    (error,) = errors_of(write(tmp_path, plays=MINIMAL + "clusters: {standby: standby}\n"))
    assert "without a clusters.yaml" in str(error)


@pytest.mark.parametrize("topic", ["plays", "a.b.c", "plays.dlq", "standby_plays", ".x", "plays.replay.warehouse"])
def test_a_topic_on_the_standby_is_read_back(topic: str) -> None:
    clusters = ("primary", "standby")
    assert topic_home(standby_topic("standby", topic), clusters) == ("standby", topic)
    assert topic_home(topic, clusters) == (None, topic)


def test_secrets_are_looked_up_when_a_client_is_made_and_never_shown(tmp_path: Path) -> None:
    cluster = load_streams(declare(tmp_path, plays=MINIMAL)).clusters.cluster("standby")
    made = cluster.client_properties({"STANDBY_PASSWORD": "hunter2"})
    assert made["sasl.password"] == "hunter2"
    assert made["bootstrap.servers"] == "kafka-b:9092,kafka-c:9092"
    assert "sasl" not in repr(cluster)
    with pytest.raises(Terminal, match="STANDBY_PASSWORD"):
        cluster.client_properties({})


def test_an_unknown_cluster_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="primary, standby"):
        load_streams(declare(tmp_path, plays=MINIMAL)).clusters.cluster("third")


def test_a_file_of_clusters_that_breaks_takes_no_stream_out_of_sight(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    folder = declare(tmp_path, plays=MINIMAL)
    load_or_remember(folder, memory)
    declare(tmp_path, "clusters: [")
    fleet = load_or_remember(folder, memory)
    assert [stream.spec.stream for stream in fleet.streams] == ["plays"]
    assert fleet.clusters.standby == "standby"
    assert [Path(error.file).name for error in fleet.errors] == ["clusters.yaml"]
    (tmp_path / "clusters.yaml").unlink()
    assert load_or_remember(folder, memory).clusters == Clusters.alone()
