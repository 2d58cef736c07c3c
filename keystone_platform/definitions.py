"""Dagster's code location of the control plane: topics, routers, their jobs and the health sensor."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from keystone_platform.defs.fleet import plan_declared
from keystone_platform.defs.health import health_sensor
from keystone_platform.defs.jobs import lifecycle_jobs
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.defs.routers import router_assets
from keystone_platform.defs.topics import topic_asset
from keystone_platform.settings import streams_folder
from keystone_platform.spec.loader import load_streams_leniently


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions from the folder of stream YAMLs; nothing else is read or reached."""
    return definitions_of(streams_folder(os.environ), KeystoneResource())


def definitions_of(streams: Path, keystone: KeystoneResource) -> dg.Definitions:
    """Return the definitions of the streams in a folder; `keystone` is connected only by what runs."""
    planned = plan_declared(load_streams_leniently(streams))
    topics = [topic_asset(stream) for stream in planned.fleet.streams]
    routers = [router_assets(planned.planned())] if planned.goals else []
    return dg.Definitions(
        assets=[*topics, *routers],
        jobs=lifecycle_jobs(planned.goals),
        sensors=[health_sensor(list(planned.goals))] if planned.goals else [],
        executor=dg.in_process_executor,  # a run has one step: a process of its own would only import again
        resources={"keystone": keystone},
    )
