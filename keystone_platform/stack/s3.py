"""The embedded object store: S3Proxy over a folder."""

from __future__ import annotations

from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keystone_platform.gateways.flink_home import jars_of, write_private
from keystone_platform.settings import S3Settings
from keystone_platform.stack.home import Home
from keystone_platform.stack.java import Java
from keystone_platform.stack.s3_requests import LOG_BYTES, LOG_NAME, LOGBACK
from keystone_platform.stack.server import S3, Server
from keystone_platform.stack.state import Ports

_LOGBACK = """\
<configuration>
  <appender name="STDERR" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%d{{yyyy-MM-dd HH:mm:ss.SSS}} %-5level %logger{{36}} - %msg%n</pattern></encoder>
  </appender>
{requests}  <root level="WARN"><appender-ref ref="STDERR"/></root>
</configuration>
"""

_LARGEST_PART = 256 * 1024 * 1024
"""Bytes: S3Proxy refuses a larger signed upload that is not chunked (default 128 MB); compacted files may be larger."""


def s3_server(home: Home, ports: Ports, s3: S3Settings, java: Java, jars: Path) -> Server:
    """Return the server; writes nothing."""
    folder = home.folder / "s3"
    command = (
        str(java.program),
        "-Xms128m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Dlogback.configurationFile={folder / 'logback.xml'}",
        "-cp",
        str(jars / "s3proxy" / "*"),
        "org.gaul.s3proxy.Main",
        "--properties",
        str(folder / "s3proxy.properties"),
    )
    return Server(
        name=S3,
        command=command,
        directory=folder,
        unready=lambda: _unready(s3),
        url=s3.endpoint,
        port=ports.s3,
    )


def prepare_s3(home: Home, s3: S3Settings, jars: Path) -> None:
    """Write the configuration; it holds the secret key, so its file is private.

    Raises:
        Terminal: the jars are missing.
    """
    folder = home.folder / "s3"
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    jars_of(jars / "s3proxy")
    properties = {
        "s3proxy.endpoint": s3.endpoint,
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": s3.access_key_id,
        "s3proxy.credential": s3.secret_access_key,
        "s3proxy.v4-max-non-chunked-request-size": _LARGEST_PART,
        "s3proxy.jetty.max-threads": 64,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.identity": "unused",
        "jclouds.credential": "unused",
        "jclouds.filesystem.basedir": data,
    }
    write_private(folder / "s3proxy.properties", "".join(f"{key}={value}\n" for key, value in properties.items()))
    log = home.log(LOG_NAME)
    requests = LOGBACK.format(log=log, rolled=log.with_name(f"{log.stem}.%i{log.suffix}"), bytes=LOG_BYTES)
    write_private(folder / "logback.xml", _LOGBACK.format(requests=requests))


def _unready(s3: S3Settings) -> str | None:
    """Ready means: it takes our signature and the bucket is there, which this makes."""
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
        region_name=s3.region,
        config=Config(
            connect_timeout=1,
            read_timeout=3,
            retries={"max_attempts": 0},
            s3={"addressing_style": "path" if s3.path_style else "virtual"},
        ),
    )
    try:
        if s3.bucket not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=s3.bucket)
    except (BotoCoreError, ClientError) as error:
        return f"does not list buckets: {error}"
    finally:
        client.close()
    return None
