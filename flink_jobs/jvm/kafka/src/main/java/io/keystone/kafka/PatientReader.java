package io.keystone.kafka;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.table.data.RowData;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps its splits to itself until their cluster has answered once. A Kafka client that is made while no name of the cluster
 * resolves, or asked for a position that it does not get, throws, and that would fail the task. Checkpoints hold what is kept.
 */
final class PatientReader implements SourceReader<RowData, KafkaPartitionSplit> {

    private static final Logger LOG = LoggerFactory.getLogger(PatientReader.class);

    private static final long PAUSE_MS = 2_000;

    private final SourceReader<RowData, KafkaPartitionSplit> reader;
    private final ClusterProbe probe;
    private final List<KafkaPartitionSplit> kept = new ArrayList<>();
    private final CompletableFuture<Void> answered = new CompletableFuture<>();

    private Thread asking;

    PatientReader(SourceReader<RowData, KafkaPartitionSplit> reader, ClusterProbe probe) {
        this.reader = reader;
        this.probe = probe;
    }

    @Override
    public void start() {
        reader.start();
    }

    @Override
    public void addSplits(List<KafkaPartitionSplit> splits) {
        kept.addAll(splits);
        if (answered.isDone()) {
            handOver();
        } else if (asking == null) {
            asking = new Thread(this::askUntilItAnswers, "asks for a Kafka cluster");
            asking.setDaemon(true);
            asking.start();
        }
    }

    private void askUntilItAnswers() {
        boolean told = false;
        while (true) {
            try {
                probe.ask();
                answered.complete(null);
                return;
            } catch (InterruptedException closed) {
                return;
            } catch (Exception away) {
                if (!told) {
                    LOG.warn("A Kafka cluster does not answer: reading of it begins when it does.", away);
                    told = true;
                }
            }
            try {
                Thread.sleep(PAUSE_MS);
            } catch (InterruptedException closed) {
                return;
            }
        }
    }

    private void handOver() {
        if (!kept.isEmpty()) {
            reader.addSplits(List.copyOf(kept));
            kept.clear();
        }
    }

    @Override
    public InputStatus pollNext(ReaderOutput<RowData> output) throws Exception {
        if (answered.isDone()) {
            handOver();
        }
        return kept.isEmpty() ? reader.pollNext(output) : InputStatus.NOTHING_AVAILABLE;
    }

    /** Until the cluster has answered, the reader has no split: what wakes the task is the answer, and nothing of the reader. */
    @Override
    public CompletableFuture<Void> isAvailable() {
        return answered.isDone() && kept.isEmpty() ? reader.isAvailable() : answered;
    }

    @Override
    public List<KafkaPartitionSplit> snapshotState(long checkpointId) {
        List<KafkaPartitionSplit> splits = new ArrayList<>(reader.snapshotState(checkpointId));
        splits.addAll(kept);
        return splits;
    }

    @Override
    public void notifyNoMoreSplits() {
        reader.notifyNoMoreSplits();
    }

    @Override
    public void handleSourceEvents(SourceEvent event) {
        reader.handleSourceEvents(event);
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) throws Exception {
        reader.notifyCheckpointComplete(checkpointId);
    }

    @Override
    public void notifyCheckpointAborted(long checkpointId) throws Exception {
        reader.notifyCheckpointAborted(checkpointId);
    }

    @Override
    public void pauseOrResumeSplits(Collection<String> pause, Collection<String> resume) {
        reader.pauseOrResumeSplits(pause, resume);
    }

    @Override
    public void close() throws Exception {
        if (asking != null) {
            asking.interrupt();
        }
        reader.close();
    }
}
