"""Objects in S3, for what is no table: finding a job's newest retained checkpoint, removing a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from keystone_platform.errors import InvalidSpec, Terminal, Transient
from keystone_platform.settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHECKPOINT_METADATA = "_metadata"
"""Flink writes this file last: a checkpoint's folder without it is not complete."""

DELETE_BATCH = 1000
"""Keys that S3 deletes in one request at most."""

_CHECKPOINT = re.compile(r"chk-(\d+)/" + CHECKPOINT_METADATA)
_REFUSALS = (401, 403)


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing tells it."""

    uri: str
    bytes: int
    modified: datetime


@dataclass(frozen=True)
class Upload:
    """A multipart upload that was begun and neither completed nor aborted; its parts are stored and paid for."""

    uri: str
    id: str
    started: datetime


class ObjectStore(Protocol):
    """An object store, addressed by `s3://bucket/key`.

    Every method blocks for one request, a listing for one per 1,000 keys. Transient when the store does not answer,
    Terminal when it refuses.
    """

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Return the URIs of all objects whose URI begins with `prefix`, sorted."""
        ...

    def listed(self, prefix: str) -> tuple[StoredObject, ...]:
        """Return all objects whose URI begins with `prefix`, sorted by it."""
        ...

    def walk(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the same in the store's order; holds 1,000 at a time."""
        ...

    def size(self, uri: str) -> int | None:
        """Return the object's bytes, or None when there is no such object."""
        ...

    def head(self, uri: str, size: int) -> bytes:
        """Return the first `size` bytes of the object, fewer if it is smaller; Transient when it is gone."""
        ...

    def delete(self, uris: Iterable[str]) -> int:
        """Delete these objects, in batches; return how many were asked for. One that is gone already is no error."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Delete every object below `prefix`, which has to name at least one folder below the bucket."""
        ...

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        """Return the unfinished multipart uploads of objects whose URI begins with `prefix`, oldest first."""
        ...

    def abort(self, upload: Upload) -> None:
        """Abort an upload, which removes its parts; one that has ended meanwhile is no error."""
        ...


def newest_checkpoint(keys: Iterable[str], directory: str, job_id: str) -> str | None:
    """Choose a job's newest complete checkpoint among listed URIs: `<directory>/<job_id>/chk-<n>`.

    Newest is the highest number, compared as a number. None when no checkpoint of the job is complete.
    """
    start = checkpoint_prefix(directory, job_id)
    numbers = [
        int(match.group(1))
        for key in keys
        if key.startswith(start) and (match := _CHECKPOINT.fullmatch(key.removeprefix(start)))
    ]
    return f"{start}chk-{max(numbers)}" if numbers else None


def checkpoint_prefix(directory: str, job_id: str) -> str:
    """Return the URI prefix that all checkpoints of the job begin with."""
    return f"{directory.rstrip('/')}/{job_id}/"


class S3ObjectStore:
    """The real one, on a boto3 client that is handed in."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def keys(self, prefix: str) -> tuple[str, ...]:
        return tuple(each.uri for each in self.listed(prefix))

    def listed(self, prefix: str) -> tuple[StoredObject, ...]:
        return tuple(sorted(self.walk(prefix), key=lambda each: each.uri))

    def walk(self, prefix: str) -> Iterator[StoredObject]:
        bucket, key = bucket_and_key(prefix)
        with self._translated():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
                for item in page.get("Contents", []):
                    yield StoredObject(f"s3://{bucket}/{item['Key']}", item["Size"], item["LastModified"])

    def size(self, uri: str) -> int | None:
        bucket, key = bucket_and_key(uri)
        with self._translated():
            try:
                return self._client.head_object(Bucket=bucket, Key=key)["ContentLength"]
            except ClientError as error:
                if _status(error) == 404:
                    return None
                raise

    def head(self, uri: str, size: int) -> bytes:
        bucket, key = bucket_and_key(uri)
        with self._translated():
            return self._client.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{size - 1}")["Body"].read()

    def delete(self, uris: Iterable[str]) -> int:
        by_bucket: dict[str, list[str]] = {}
        for uri in uris:
            bucket, key = bucket_and_key(uri)
            by_bucket.setdefault(bucket, []).append(key)
        with self._translated():
            for bucket, keys in by_bucket.items():
                for start in range(0, len(keys), DELETE_BATCH):
                    self._delete_batch(bucket, keys[start : start + DELETE_BATCH])
        return sum(map(len, by_bucket.values()))

    def delete_prefix(self, prefix: str) -> int:
        if not bucket_and_key(prefix)[1].strip("/"):
            message = f"{prefix} is a whole bucket"
            raise InvalidSpec(message, mend="Name a folder in it.")
        return self.delete(self.keys(prefix))

    def uploads(self, prefix: str) -> tuple[Upload, ...]:
        bucket, key = bucket_and_key(prefix)
        with self._translated():
            found = [
                Upload(f"s3://{bucket}/{item['Key']}", item["UploadId"], item["Initiated"])
                for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
                for item in page.get("Uploads", [])
            ]
        return tuple(sorted(found, key=lambda each: each.started))

    def abort(self, upload: Upload) -> None:
        bucket, key = bucket_and_key(upload.uri)
        with self._translated():
            try:
                self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload.id)
            except ClientError as error:
                if _status(error) != 404:
                    raise

    def _delete_batch(self, bucket: str, keys: list[str]) -> None:
        answer = self._client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        if errors := answer.get("Errors"):
            first = errors[0]
            message = f"S3 did not delete {len(errors)} objects, first {first.get('Key')}: {first.get('Code')}"
            raise Transient(message, mend="Try again.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        endpoint = self._client.meta.endpoint_url
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if _status(error) in _REFUSALS:
                message = f"S3 at {endpoint} refuses access ({code})"
                raise Terminal(
                    message, mend="Check the access keys and the bucket's policy in the settings."
                ) from error
            if code == "NoSuchKey":
                message = "the object is gone"
                raise Transient(message, mend="Look again: it may have been replaced by a newer one.") from error
            if _status(error) == 404:
                message = f"S3 at {endpoint} has no such bucket ({code})"
                raise Terminal(message, mend="Create the bucket, or name another one in the settings.") from error
            message = f"S3 at {endpoint} answered {_status(error)} ({code})"
            raise Transient(message, mend="Try again.") from error
        except BotoCoreError as error:
            message = f"S3 at {endpoint} does not answer ({type(error).__name__})"
            raise Transient(message, mend="See `s3.endpoint` of the settings, and `keystone status`.") from error


def s3_client(settings: S3Settings) -> S3Client:
    """Return a boto3 client for the settings' object store; it connects on first use.

    Code that runs in Dagster takes the client of dagster-aws's S3Resource instead.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        s3={"addressing_style": "path" if settings.path_style else "virtual"},
        connect_timeout=5,
        read_timeout=30,
        retries={"max_attempts": 3},
    )
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        region_name=settings.region,
        config=config,
    )


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` (also s3a, s3n); InvalidSpec for anything else."""
    parts = urlsplit(uri)
    if parts.scheme not in ("s3", "s3a", "s3n") or not parts.netloc:
        message = f"{uri!r} is no S3 URI"
        raise InvalidSpec(message, mend="Write it as s3://bucket/key.")
    return parts.netloc, uri.split(parts.netloc, 1)[1].removeprefix("/")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
