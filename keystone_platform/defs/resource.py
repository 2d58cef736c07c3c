"""The one resource of the control plane's definitions: the gateways, connected when a run or a sensor asks for them."""

from __future__ import annotations

import dagster as dg
from dagster_aws.s3 import S3Resource

from keystone_platform.control.gateways import Gateways
from keystone_platform.settings import Settings, load_settings
from keystone_platform.wiring import connect


class KeystoneResource(dg.ConfigurableResource[Gateways]):
    """Connects to the servers that the settings file names; nothing is read or reached at load."""

    def settings(self) -> Settings:
        """Return the settings, read anew; Terminal when there are none."""
        return load_settings()

    def gateways(self) -> Gateways:
        """Return gateways to the real servers; S3 is reached through dagster-aws's client."""
        settings = self.settings()
        return connect(settings, s3_resource(settings).get_client())


def s3_resource(settings: Settings) -> S3Resource:
    """Return dagster-aws's resource for the settings' object store."""
    return S3Resource(
        endpoint_url=settings.s3.endpoint,
        region_name=settings.s3.region,
        aws_access_key_id=settings.s3.access_key_id,
        aws_secret_access_key=settings.s3.secret_access_key,
    )
