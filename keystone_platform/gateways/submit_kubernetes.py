"""Starts routers on Kubernetes: a submission becomes a FlinkDeployment."""

from __future__ import annotations

from collections.abc import Sequence

from keystone_platform.errors import Conflict, KeystoneError, Transient, UnknownOutcome
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.flink_deployment import manifest, name_of
from keystone_platform.gateways.kubernetes_api import KubernetesApi
from keystone_platform.gateways.kubernetes_resource import Resource
from keystone_platform.gateways.submit import Submitter
from keystone_platform.plan.router_plan import RouterPlan
from keystone_platform.plan.submission import Submission, SubmitOutcome
from keystone_platform.settings import KubernetesSettings, Settings
from keystone_platform.spec.clusters import Clusters

GONE_TIMEOUT_S = 120.0
"""How long the operator may take to clean up after the deployments before; the act as a whole has ACT_TIMEOUT."""

_POLL_S = 1.0


class KubernetesSubmitter:
    """Submitter that makes one FlinkDeployment a router, in place of the one of the epoch before.

    Args:
        api: the API server.
        settings: the servers that routers are connected to.
        kubernetes: what their pods get.
        planner: compiles plans, which needs a JVM here and no cluster.
        clusters: the declared Kafka clusters; without them there is the settings' one.
        clock: for waits and deadlines.
    """

    def __init__(
        self,
        api: KubernetesApi,
        settings: Settings,
        kubernetes: KubernetesSettings,
        *,
        planner: Submitter,
        clusters: Clusters | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._api = api
        self._settings = settings
        self._kubernetes = kubernetes
        self._planner = planner
        self._clusters = clusters
        self._clock = clock or SystemClock()

    def submit(self, submissions: Sequence[Submission]) -> tuple[SubmitOutcome, ...]:
        """Make all, without a JVM: some milliseconds each, and the time until the deployments before are gone.

        A router that is there with an equal or newer epoch, or that has not ended, is never touched: it is `duplicate`
        if it is this very one, else the submission is `refused`.
        """
        outcomes: dict[str, SubmitOutcome] = {}
        leaving: list[Resource] = []
        for submission in submissions:
            try:
                before = self._api.get(name_of(submission.plan.route))
                told = _in_the_way(before, submission) if before else None
                if before and told is None:
                    self._api.delete(before)
                    leaving.append(before)
            except KeystoneError as error:  # nothing of this submission was sent
                told = _refused(submission, str(error))
            if told:
                outcomes[submission.job_id] = told
        self._await_gone(leaving)
        for submission in submissions:
            if submission.job_id not in outcomes:
                outcomes[submission.job_id] = self._create(submission)
        return tuple(outcomes[submission.job_id] for submission in submissions)

    def check(self, plans: Sequence[RouterPlan]) -> tuple[str, ...]:
        return self._planner.check(plans)

    def _create(self, submission: Submission) -> SubmitOutcome:
        try:
            self._api.create(manifest(submission, self._settings, self._kubernetes, self._clusters))
        except Conflict as error:
            return self._conflict(submission, error)
        except UnknownOutcome as error:
            return SubmitOutcome(job_id=submission.job_id, status="unknown", reason=str(error))
        except KeystoneError as error:
            return _refused(submission, str(error))
        return SubmitOutcome(job_id=submission.job_id, status="submitted")

    def _conflict(self, submission: Submission, error: Conflict) -> SubmitOutcome:
        try:
            there = self._api.get(name_of(submission.plan.route))
        except KeystoneError:
            there = None
        told = _in_the_way(there, submission) if there else None
        return told or _refused(submission, f"the deployment before it is not gone yet: {error.what}")

    def _await_gone(self, leaving: Sequence[Resource]) -> None:
        """Wait until they are gone; of those that stay the API server says so when their successor is made."""
        deadline = self._clock.now().timestamp() + GONE_TIMEOUT_S
        remaining = list(leaving)
        while remaining and self._clock.now().timestamp() < deadline:
            remaining = [each for each in remaining if self._is_there(each)]
            if remaining:
                self._clock.sleep(_POLL_S)

    def _is_there(self, resource: Resource) -> bool:
        try:
            found = self._api.get(resource.name)
        except Transient:
            return True
        return found is not None and found.uid == resource.uid


def _in_the_way(there: Resource, submission: Submission) -> SubmitOutcome | None:
    """Return why the submission can't be made; None when what is there may be deleted for it."""
    if there.job_id == submission.job_id:
        return SubmitOutcome(job_id=submission.job_id, status="duplicate", reason=f"{there.name} is there already")
    if not there.is_ours:
        return _refused(submission, f"Keystone did not make the FlinkDeployment {there.name} that is there")
    if there.epoch >= submission.epoch:
        return _refused(submission, f"{there.name} is there with epoch {there.epoch}, job {there.job_id}")
    if not there.is_over:
        return _refused(submission, f"{there.name} has not ended: epoch {there.epoch}, job {there.job_id}")
    return None


def _refused(submission: Submission, reason: str) -> SubmitOutcome:
    return SubmitOutcome(job_id=submission.job_id, status="refused", reason=reason)
