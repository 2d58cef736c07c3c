"""The one resource of the warehouse's definitions: lake and object store, connected when a run or a sensor asks."""

from __future__ import annotations

import os

import dagster as dg

from keystone_platform.gateways.kafka_clusters import KafkaClusters, connect_kafka
from keystone_platform.gateways.lake import IcebergLake
from keystone_platform.gateways.objects import ObjectStore, S3ObjectStore
from keystone_platform.settings import SETTINGS_VARIABLE, Settings, load_settings


class WarehouseResource(dg.ConfigurableResource[IcebergLake]):
    """Connects to the servers that the settings name; nothing is read or reached at load.

    Attributes:
        settings_file: a settings file; empty takes the one of the environment.
    """

    settings_file: str = ""

    def settings(self) -> Settings:
        """Return the settings, read anew; Terminal when there are none."""
        return load_settings({**os.environ, SETTINGS_VARIABLE: self.settings_file} if self.settings_file else None)

    def lake(self) -> IcebergLake:
        """Return the lake."""
        return IcebergLake(self.settings())

    def kafka(self) -> KafkaClusters:
        """Return the Kafka clusters."""
        return connect_kafka(self.settings())

    def objects(self) -> ObjectStore:
        """Return the object store, reached through dagster-aws's client."""
        from dagster_aws.s3 import S3Resource  # takes half a second to import, in each of Dagster's processes

        s3 = self.settings().s3
        resource = S3Resource(
            endpoint_url=s3.endpoint,
            region_name=s3.region,
            aws_access_key_id=s3.access_key_id,
            aws_secret_access_key=s3.secret_access_key,
        )
        return S3ObjectStore(resource.get_client())
