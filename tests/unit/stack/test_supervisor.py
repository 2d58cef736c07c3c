from __future__ import annotations

import configparser
from pathlib import Path

from supervisor.options import ServerOptions

from keystone_platform.stack.home import Home
from keystone_platform.stack.server import Server
from keystone_platform.stack.supervisor import Supervisor, render_configuration


def _server(folder: Path, **environment: str) -> Server:
    return Server("one", ("/bin/echo", "a b", "%d"), folder, unready=lambda: None, environment=environment)


def test_supervisord_reads_back_words_percent_signs_and_secrets_as_they_were(tmp_path: Path) -> None:
    home = Home(tmp_path)
    path = Supervisor(home).configure([_server(tmp_path, SECRET="a%b,c=d;e", WORDS="x y")])
    options = ServerOptions()
    options.realize(["-c", path])
    options.process_config()
    (program,) = options.process_group_configs[0].process_configs
    assert program.command == '"/bin/echo" "a b" "%d"'
    assert program.environment == {"SECRET": "a%b,c=d;e", "WORDS": "x y", "KEYSTONE_SERVER": "one"}
    assert program.stdout_logfile == str(home.log("one"))


def test_the_configuration_with_its_secrets_is_private(tmp_path: Path) -> None:
    path = Path(Supervisor(Home(tmp_path)).configure([_server(tmp_path)]))
    assert path.stat().st_mode & 0o077 == 0


def test_a_server_that_dies_is_started_again_and_none_starts_before_its_turn(tmp_path: Path) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(render_configuration(Home(tmp_path), [_server(tmp_path)]))
    assert parser["program:one"]["autorestart"] == "true"
    assert parser["program:one"]["autostart"] == "false"


def test_no_supervisor_is_told_as_none_also_with_a_socket_left_by_a_crash(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert Supervisor(home).pid() is None
    home.run.mkdir()
    home.socket.touch()
    assert Supervisor(home).pid() is None
