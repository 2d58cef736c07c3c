package io.keystone.kafka;

import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.metrics.groups.SplitEnumeratorMetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps failures of what Kafka's enumerator asks the cluster from the enumerator, which would fail the job for them. It looks
 * for partitions again at its next interval, and finds then what it did not get.
 */
final class PatientContext implements SplitEnumeratorContext<KafkaPartitionSplit> {

    private static final Logger LOG = LoggerFactory.getLogger(PatientContext.class);

    private final SplitEnumeratorContext<KafkaPartitionSplit> context;

    PatientContext(SplitEnumeratorContext<KafkaPartitionSplit> context) {
        this.context = context;
    }

    private static <T> BiConsumer<T, Throwable> unlessItFails(BiConsumer<T, Throwable> handler) {
        return (answer, failure) -> {
            if (failure == null) {
                handler.accept(answer, null);
            } else {
                LOG.warn("A Kafka cluster does not tell its partitions; it is asked again.", failure);
            }
        };
    }

    @Override
    public <T> void callAsync(Callable<T> call, BiConsumer<T, Throwable> handler) {
        context.callAsync(call, unlessItFails(handler));
    }

    @Override
    public <T> void callAsync(Callable<T> call, BiConsumer<T, Throwable> handler, long delayMs, long periodMs) {
        context.callAsync(call, unlessItFails(handler), delayMs, periodMs);
    }

    @Override
    public SplitEnumeratorMetricGroup metricGroup() {
        return context.metricGroup();
    }

    @Override
    public void sendEventToSourceReader(int subtask, SourceEvent event) {
        context.sendEventToSourceReader(subtask, event);
    }

    @Override
    public void sendEventToSourceReader(int subtask, int attempt, SourceEvent event) {
        context.sendEventToSourceReader(subtask, attempt, event);
    }

    @Override
    public int currentParallelism() {
        return context.currentParallelism();
    }

    @Override
    public Map<Integer, ReaderInfo> registeredReaders() {
        return context.registeredReaders();
    }

    @Override
    public Map<Integer, Map<Integer, ReaderInfo>> registeredReadersOfAttempts() {
        return context.registeredReadersOfAttempts();
    }

    @Override
    public void assignSplits(SplitsAssignment<KafkaPartitionSplit> assignment) {
        context.assignSplits(assignment);
    }

    @Override
    public void assignSplit(KafkaPartitionSplit split, int subtask) {
        context.assignSplit(split, subtask);
    }

    @Override
    public void signalNoMoreSplits(int subtask) {
        context.signalNoMoreSplits(subtask);
    }

    @Override
    public void runInCoordinatorThread(Runnable runnable) {
        context.runInCoordinatorThread(runnable);
    }

    @Override
    public void setIsProcessingBacklog(boolean backlog) {
        context.setIsProcessingBacklog(backlog);
    }
}
