"""Dagster's code location of the control plane: topics, routers, their jobs and the health sensor."""

from __future__ import annotations

import os

import dagster as dg

from keystone_platform.defs.checkpoints import checkpoints_job
from keystone_platform.defs.fleet import plan_declared
from keystone_platform.defs.health import health_sensor
from keystone_platform.defs.jobs import end_strays_job, lifecycle_jobs, pause_job, rollback_job
from keystone_platform.defs.progress import progress_checks
from keystone_platform.defs.resource import KeystoneResource
from keystone_platform.defs.routers import router_assets
from keystone_platform.defs.scaling import rescale_job
from keystone_platform.defs.topics import topic_asset
from keystone_platform.settings import last_good_folder, streams_folder
from keystone_platform.spec.fleet import Fleet
from keystone_platform.spec.last_good import load_or_remember


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions from the folder of stream YAMLs; nothing else is read or reached."""
    fleet = load_or_remember(streams_folder(os.environ), last_good_folder(os.environ))
    return definitions_of(fleet, KeystoneResource())


def definitions_of(fleet: Fleet, keystone: KeystoneResource) -> dg.Definitions:
    """Return the definitions of the fleet; `keystone` is connected only by what runs."""
    planned = plan_declared(fleet)
    topics = [topic_asset(stream) for stream in planned.fleet.streams]
    routers = [router_assets(planned)] if planned.goals else []
    pause, rollback, rescale = pause_job(), rollback_job(), rescale_job(planned.goals)
    return dg.Definitions(
        assets=[*topics, *routers],
        asset_checks=[progress_checks(planned.goals)] if planned.goals else [],
        jobs=[*lifecycle_jobs(planned), end_strays_job(), pause, rollback, rescale, checkpoints_job()],
        sensors=[health_sensor(planned.goals, pause, rollback, rescale)] if planned.goals else [],
        executor=dg.in_process_executor,  # a run has one step: a process of its own would only import again
        resources={"keystone": keystone},
    )
