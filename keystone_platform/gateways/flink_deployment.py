"""A router as a FlinkDeployment, the custom resource of the Flink Kubernetes Operator (pure).

A route has one FlinkDeployment at a time, named by the route, so the API server itself refuses a second router of it.
The deployment's epoch and job id are labels: by them anybody looks up what became of a request without an answer.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from keystone_platform.gateways.flink_home import JAVA_OPTIONS
from keystone_platform.plan.submission import ApplicationRequest, Connection, Submission
from keystone_platform.settings import KubernetesSettings, Resources, S3Settings, Settings
from keystone_platform.spec.clusters import Clusters
from keystone_platform.spec.sinks import CHECKPOINT_TIMEOUT_S

API_VERSION = "flink.apache.org/v1beta1"
KIND = "FlinkDeployment"

MANAGED_BY = "app.kubernetes.io/managed-by"
"""Label of everything that Keystone makes; its value is OWNER."""

OWNER = "keystone"

EPOCH = "keystone-platform/epoch"
"""Label: the deployment's epoch."""

JOB_ID = "keystone-platform/job-id"
"""Label: the Flink job id, 32 hex digits."""

ROUTE = "keystone-platform/route"
"""Annotation: the route; it may be too long for a label."""

PLAN_DIGEST = "keystone-platform/plan-digest"
"""Annotation: digest of the RouterPlan, as ledger and Dagster show it."""

FLEET = f"{MANAGED_BY}={OWNER}"
"""Label selector of all routers."""

_SLUG = 34
_HASH = 8


def name_of(route: str) -> str:
    """Return the name of the route's FlinkDeployment: readable, unique, of at most the operator's 45 characters."""
    readable = re.sub(r"[^a-z0-9]+", "-", route.lower()).strip("-")[:_SLUG].rstrip("-")
    return f"{readable}-{hashlib.sha256(route.encode()).hexdigest()[:_HASH]}"


def job_selector(job_id: str) -> str:
    """Return the label selector of the router with that job id."""
    return f"{FLEET},{JOB_ID}={job_id}"


def manifest(
    submission: Submission, settings: Settings, kubernetes: KubernetesSettings, clusters: Clusters | None = None
) -> dict[str, Any]:
    """Return the FlinkDeployment that runs the submission's router. It holds no secret, only names of Secrets."""
    plan = submission.plan
    connection = Connection.of(settings, clusters)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name_of(plan.route),
            "namespace": kubernetes.namespace,
            "labels": {MANAGED_BY: OWNER, EPOCH: str(submission.epoch), JOB_ID: submission.job_id},
            "annotations": {ROUTE: plan.route, PLAN_DIGEST: plan.digest},
        },
        "spec": {
            "image": kubernetes.image,
            "flinkVersion": kubernetes.flink_version,
            "serviceAccount": kubernetes.service_account,
            "flinkConfiguration": _configuration(submission, settings, kubernetes),
            "podTemplate": _pod_template(settings.s3, kubernetes),
            "jobManager": {"replicas": 1, "resource": _resource(kubernetes.job_manager)},
            "taskManager": {"resource": _resource(kubernetes.task_manager)},
            "job": {
                "jarURI": kubernetes.flink_python_jar,
                "entryClass": "org.apache.flink.client.python.PythonDriver",
                "args": [
                    "-pyclientexec",
                    connection.python,
                    "-pym",
                    "flink_jobs.application",
                    ApplicationRequest.of(submission, connection).encoded(),
                ],
                "parallelism": plan.parallelism,
                "state": "running",
                # a stop makes a savepoint; what can't make one is never started without its state
                "upgradeMode": "savepoint",
                "allowNonRestoredState": False,
                **({"initialSavepointPath": submission.restore_from} if submission.restore_from else {}),
            },
        },
    }


def _configuration(submission: Submission, settings: Settings, kubernetes: KubernetesSettings) -> dict[str, str]:
    return {
        "env.java.opts.all": JAVA_OPTIONS,
        "classloader.check-leaked-classloader": "false",
        "taskmanager.numberOfTaskSlots": str(kubernetes.task_slots),
        # routers keep no state, so heap is worth more than managed memory
        "taskmanager.memory.managed.size": "128m",
        **_object_store(settings.s3),
        **kubernetes.flink_configuration,
        # what follows is not for configuration to change: without it a router would lose or repeat events
        "$internal.pipeline.job-id": submission.job_id,
        "execution.checkpointing.dir": submission.checkpoint_directory,
        "execution.checkpointing.savepoint-dir": submission.savepoint_directory,
        # how long the operator waits for a savepoint, too
        "execution.checkpointing.timeout": f"{CHECKPOINT_TIMEOUT_S // 60} min",
        "execution.state-recovery.claim-mode": "NO_CLAIM",
        # without it a lost JobManager would begin again at the savepoint of the first start
        "high-availability.type": "kubernetes",
        "high-availability.storageDir": f"{settings.checkpoints}/high-availability/{submission.plan.route}",
        # savepoints are Keystone's recovery points, and Keystone alone starts a failed router again
        "kubernetes.operator.savepoint.dispose-on-delete": "false",
        "kubernetes.operator.job.restart.failed": "false",
        "kubernetes.operator.deployment.rollback.enabled": "false",
        "job.autoscaler.enabled": "false",
    }


def _object_store(s3: S3Settings) -> dict[str, str]:
    """Return how the checkpoint filesystem reaches the object store; it finds its keys in the environment."""
    return {
        "s3.endpoint": s3.endpoint,
        "s3.path-style-access": "true" if s3.path_style else "false",
        "s3.region": s3.region,
    }


def _resource(resources: Resources) -> dict[str, Any]:
    return {"cpu": resources.cpu, "memory": resources.memory}


def _pod_template(s3: S3Settings, kubernetes: KubernetesSettings) -> dict[str, Any]:
    """Return the template of settings, with the region and the Secrets in the environment of Flink's container."""
    template: dict[str, Any] = dict(kubernetes.pod_template)
    spec: dict[str, Any] = dict(template.get("spec") or {})
    containers: list[dict[str, Any]] = [dict(each) for each in spec.get("containers") or ()]
    main = next((each for each in containers if each.get("name") == _MAIN_CONTAINER), None)
    if main is None:
        main = {"name": _MAIN_CONTAINER}
        containers.append(main)
    main["env"] = [{"name": "AWS_REGION", "value": s3.region}, *(main.get("env") or ())]
    main["envFrom"] = [*({"secretRef": {"name": name}} for name in kubernetes.secrets), *(main.get("envFrom") or ())]
    return {**template, "spec": {**spec, "containers": containers}}


_MAIN_CONTAINER = "flink-main-container"
"""As the operator names the container of JobManager and TaskManagers."""
