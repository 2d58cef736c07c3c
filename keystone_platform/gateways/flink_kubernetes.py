"""Routers on Kubernetes, each with a Flink cluster of its own that the Flink Kubernetes Operator runs.

What is asked for is written into the routers' FlinkDeployments, what became of it is read from their status; the
operator does the rest. Figures that the status has not come from the router's own REST API.
"""

from __future__ import annotations

import httpx

from keystone_platform.errors import Conflict, KeystoneError, Terminal, Transient, UnknownOutcome
from keystone_platform.gateways.clock import Clock, SystemClock
from keystone_platform.gateways.flink_deployment import FLEET, job_selector
from keystone_platform.gateways.flink_rest import FlinkRest
from keystone_platform.gateways.kubernetes_api import KubernetesApi
from keystone_platform.gateways.kubernetes_resource import Resource
from keystone_platform.plan.observation import Checkpoints, Cluster, Job
from keystone_platform.plan.progress import JobProgress

REST_TIMEOUT_S = 10.0

_POLL_S = 1.0

_TRIES = 10


class KubernetesFlink:
    """FlinkGateway over the routers of one namespace.

    Args:
        api: the API server.
        slots: how many slots all routers may take together.
        rest: base URL of a router's REST API with `{name}` and `{namespace}` in it; None asks the API server's proxy.
        clock: for waits and deadlines.
    """

    def __init__(self, api: KubernetesApi, *, slots: int, rest: str | None = None, clock: Clock | None = None) -> None:
        self._api = api
        self._slots = slots
        self._rest_url = rest
        self._rest_http = httpx.Client(timeout=REST_TIMEOUT_S) if rest else api.http
        self._clock = clock or SystemClock()
        self._names: dict[str, str] = {}

    def cluster(self) -> Cluster:
        routers = self._api.list(FLEET)
        taken = sum(each.parallelism for each in routers if not each.is_over)
        return Cluster(sum(each.task_managers for each in routers), self._slots, max(0, self._slots - taken))

    def jobs(self) -> tuple[Job, ...]:
        routers = [each for each in self._api.list(FLEET) if each.is_ours]
        self._names = {each.job_id: each.name for each in routers}
        return tuple(each.job() for each in routers)

    def job(self, job_id: str) -> Job | None:
        found = self._find(job_id)
        return found.job() if found else None

    def checkpoints(self, job_id: str) -> Checkpoints:
        return self._rest(job_id).checkpoints(job_id)

    def progress(self, job_id: str) -> JobProgress:
        return self._rest(job_id).progress(job_id)

    def failure(self, job_id: str) -> str | None:
        """Return what Flink says of it, or the operator where no JobManager answers (any more)."""
        try:
            told = self._rest(job_id).failure(job_id)
        except KeystoneError:
            told = None
        found = None if told else self._find(job_id)
        return told or (found.reason() if found else None)

    def stop_with_savepoint(self, job_id: str, directory: str, timeout_s: float) -> str:
        """Suspend the router, as the operator calls it.

        A savepoint that fails is not tried again by the operator, since the spec is set back; the job goes on.
        """
        before, asked = self._suspend(job_id)
        deadline = self._clock.now().timestamp() + timeout_s
        while self._clock.now().timestamp() < deadline:
            now = self._look(asked)
            if now and now.is_suspended and now.observed_generation >= asked.generation:
                return _savepoint_of(now, directory)
            if now and now.error and now.error != before.error and self._taken_back(now):
                message = f"job {job_id}: the savepoint failed, the job goes on: {now.reason()}"
                raise Terminal(message, mend="Look at the job's checkpoints; is S3 reachable and writable?")
            self._clock.sleep(_POLL_S)
        message = f"job {job_id}: the operator did not suspend {asked.name} within {timeout_s:.0f} s"
        raise UnknownOutcome(message, mend=f"Look at `kubectl describe flinkdeployment {asked.name}`.")

    def cancel(self, job_id: str, timeout_s: float) -> None:
        """Delete the router's FlinkDeployment and wait until the operator has ended the job and let it go."""
        found = self._find(job_id)
        if found is None or (found.job_state and found.job_state.is_terminal):
            return
        self._api.delete(found)
        deadline = self._clock.now().timestamp() + timeout_s
        while self._clock.now().timestamp() < deadline:
            if self._find(job_id) is None:
                return
            self._clock.sleep(_POLL_S)
        message = f"{found.name}, job {job_id}, is still being deleted after {timeout_s:.0f} s"
        raise UnknownOutcome(message, mend="Does the operator run? It has to let go of it (`metadata.finalizers`).")

    def _suspend(self, job_id: str) -> tuple[Resource, Resource]:
        """Ask for the job's end and return the resource as it was before and is after."""
        for _ in range(_TRIES):
            before = self._known(job_id)
            try:
                return before, self._api.patch(before, {"job": {"state": "suspended"}})
            except Conflict:  # the operator has written its status meanwhile
                continue
        message = f"job {job_id}: its FlinkDeployment changes too often to be written"
        raise Transient(message)

    def _find(self, job_id: str) -> Resource | None:
        """Look by name where it is known: a list makes the API server go through the whole fleet."""
        name = self._names.get(job_id)
        if name:
            there = self._api.get(name)
            return there if there and there.job_id == job_id else None
        found = next(iter(self._api.list(job_selector(job_id))), None)
        if found:
            self._names[job_id] = found.name
        return found

    def _known(self, job_id: str) -> Resource:
        found = self._find(job_id)
        if found is None:
            message = f"no FlinkDeployment of job {job_id} is there"
            raise Transient(message)
        return found

    def _look(self, asked: Resource) -> Resource | None:
        """Return the same resource as it is now; None when that is not known at the moment."""
        try:
            now = self._api.get(asked.name)
        except Transient:  # it may answer another time; the deadline bounds it
            return None
        if now is None or now.uid != asked.uid:
            message = f"{asked.name} was deleted while it was being stopped"
            raise UnknownOutcome(message, mend="The next reconcile finds out where it ended.")
        return now

    def _taken_back(self, now: Resource) -> bool:
        """Ask for the job to run on; False when that could not be said, or the operator has acted: then look again."""
        try:
            self._api.patch(now, {"job": {"state": "running"}})
        except (Conflict, Transient):
            return False
        return True

    def _rest(self, job_id: str) -> FlinkRest:
        name = self._names.get(job_id) or self._known(job_id).name
        if self._rest_url:
            url = self._rest_url.format(name=name, namespace=self._api.namespace)
            return FlinkRest(url, clock=self._clock, http=self._rest_http)
        proxy = f"/api/v1/namespaces/{self._api.namespace}/services/{name}-rest:rest/proxy"
        return FlinkRest(str(self._api.http.base_url).rstrip("/") + proxy, clock=self._clock, http=self._rest_http)


def _savepoint_of(stopped: Resource, directory: str) -> str:
    if stopped.savepoint and stopped.savepoint.startswith(directory):
        return stopped.savepoint
    message = f"{stopped.name} is suspended, but the operator names no savepoint below {directory}"
    raise UnknownOutcome(message, mend="The next start goes on from its newest checkpoint.")
