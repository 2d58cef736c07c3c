from __future__ import annotations

import pytest

from flink_jobs.refusal import Thrown, chain_of_trace, reason_of, status_of

PLANNER = """org.apache.flink.table.api.ValidationException: SQL validation failed. From line 3, column 3
\tat org.apache.flink.table.planner.calcite.FlinkPlannerImpl.validate(FlinkPlannerImpl.scala:200)
Caused by: org.apache.calcite.sql.validate.SqlValidatorException: Column 'nosuch' not found in any table
\tat java.base/java.lang.Thread.run(Thread.java:840)
"""

DUPLICATE = """org.apache.flink.table.api.TableException: Failed to execute sql
\tat org.apache.flink.table.api.internal.TableEnvironmentImpl.executeInternal(TableEnvironmentImpl.java:1250)
Caused by: org.apache.flink.util.FlinkException: Failed to execute job 'p.warehouse'.
\t... 16 more
Caused by: org.apache.flink.runtime.client.JobSubmissionException: Failed to submit ExecutionPlan.
Caused by: org.apache.flink.runtime.rest.util.RestClientException: [Internal server error., <Exception on server side:
org.apache.flink.runtime.client.DuplicateApplicationSubmissionException: Application has already been submitted.
\tat org.apache.flink.runtime.dispatcher.Dispatcher.submitJob(Dispatcher.java:600)
"""

NO_SAVEPOINT = """org.apache.flink.table.api.TableException: Failed to execute sql
\tat org.apache.flink.table.api.internal.TableEnvironmentImpl.executeInternal(TableEnvironmentImpl.java:1250)
Caused by: org.apache.flink.util.FlinkException: Failed to execute job 'p.other'.
Caused by: java.lang.RuntimeException: org.apache.flink.runtime.client.JobInitializationException: Could not start it.
Caused by: org.apache.flink.runtime.client.JobInitializationException: Could not start the JobMaster.
Caused by: java.io.FileNotFoundException: Cannot find checkpoint or savepoint file/directory 's3://b/nosuch'.
\t... 5 more
"""

NOBODY_THERE = """org.apache.flink.table.api.TableException: Failed to execute sql
Caused by: org.apache.flink.util.FlinkException: Failed to execute job 'p.other'.
Caused by: org.apache.flink.runtime.client.JobSubmissionException: Failed to submit ExecutionPlan.
Caused by: java.net.ConnectException: Connection refused
"""

CLUSTER_WAITED_IN_VAIN = """org.apache.flink.table.api.TableException: Failed to execute sql
Caused by: org.apache.flink.util.FlinkException: Failed to execute job 'p.other'.
Caused by: org.apache.flink.runtime.client.JobSubmissionException: Failed to submit ExecutionPlan.
Caused by: org.apache.flink.runtime.rest.util.RestClientException: [Internal server error., <Exception on server side:
org.apache.flink.runtime.rest.handler.RestHandlerException: Job submission failed.
\tat org.apache.flink.runtime.rest.handler.job.JobSubmitHandler.handleRequest(JobSubmitHandler.java:100)
Caused by: java.util.concurrent.TimeoutException: Invocation of [submitJob] timed out.
"""


@pytest.mark.parametrize(
    ("trace", "status", "reason"),
    [
        (PLANNER, "refused", "Column 'nosuch' not found in any table"),
        (DUPLICATE, "duplicate", "DuplicateApplicationSubmissionException: Application has already been submitted."),
        (NO_SAVEPOINT, "refused", "Cannot find checkpoint or savepoint file/directory 's3://b/nosuch'."),
        (NOBODY_THERE, "unknown", "Connection refused"),
        (CLUSTER_WAITED_IN_VAIN, "unknown", "Invocation of [submitJob] timed out."),
    ],
    ids=["planner refuses", "same id twice", "no such savepoint", "nobody there", "cluster timed out"],
)
def test_what_became_of_a_submission_is_read_from_the_exceptions(trace: str, status: str, reason: str) -> None:
    chain = chain_of_trace(trace)
    assert status_of(chain) == status
    assert reason_of(chain) == reason


def test_an_error_after_sending_is_never_taken_for_a_refusal() -> None:
    chain = (
        Thrown("org.apache.flink.table.api.TableException", "Failed to execute sql"),
        Thrown("org.apache.flink.util.FlinkException", "Failed to execute job 'p'."),
        Thrown("java.io.IOException", "Connection reset by peer"),
    )
    assert status_of(chain) == "unknown"


def test_a_chain_without_messages_still_names_something() -> None:
    assert reason_of((Thrown("java.lang.NullPointerException", ""),)) == "java.lang.NullPointerException"


def test_a_reason_is_one_short_line() -> None:
    reason = reason_of((Thrown("x.Y", "first\nsecond " + "x" * 10_000),))
    assert reason == "first"
    assert len(reason_of((Thrown("x.Y", "x" * 10_000),))) <= 400
