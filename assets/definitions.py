"""Dagster's code location of the warehouse: landed and compacted hours, their sensors and checks, the views."""

from __future__ import annotations

import os

import dagster as dg

from assets.backfill.asset import backfill_assets
from assets.compacted import compacted_assets
from assets.dead_letters.asset import dead_letter_assets, dead_letter_streams
from assets.dead_letters.due import dead_letter_sensor
from assets.due import compaction_sensor
from assets.landed import landed_asset, landing_sensor
from assets.produced.asset import produced_asset
from assets.produced.checks import produced_checks
from assets.produced.due import produced_sensor
from assets.proof.due import proof_sensor
from assets.resource import WarehouseResource
from assets.routes import warehouse_routes
from assets.upkeep.asset import upkeep_asset, upkeep_schedules
from assets.upkeep.declared import retention_of
from assets.views import views_asset, views_sensor
from keystone_platform.plan.declared_tables import declared_tables
from keystone_platform.plan.plan_router import plan_fleet
from keystone_platform.settings import last_good_folder, streams_folder
from keystone_platform.spec.last_good import load_or_remember


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions from the folder of stream YAMLs; nothing else is read or reached."""
    fleet = load_or_remember(streams_folder(os.environ), last_good_folder(os.environ))
    planned = plan_fleet(fleet)
    routes, dying = warehouse_routes(fleet, planned), dead_letter_streams(fleet, planned)
    sensors = [landing_sensor(routes), compaction_sensor(routes), proof_sensor(routes), views_sensor()]
    return dg.Definitions(
        assets=[
            *map(produced_asset, fleet.streams),
            *map(landed_asset, routes),
            *compacted_assets(routes),
            *backfill_assets(routes),
            *([views_asset(routes)] if routes else []),
            *([dead_letter_assets(dying)] if dying else []),
            upkeep_asset(retention_of(declared_tables(planned).values())),
        ],
        asset_checks=[produced_checks(fleet.streams)] if fleet.streams else [],
        schedules=upkeep_schedules(),
        sensors=[
            *(sensors if routes else []),
            *([dead_letter_sensor(dying)] if dying else []),
            *([produced_sensor(fleet.streams)] if fleet.streams else []),
        ],
        executor=dg.in_process_executor,  # a run has one step: a process of its own would only import again
        resources={"warehouse": WarehouseResource()},
    )
