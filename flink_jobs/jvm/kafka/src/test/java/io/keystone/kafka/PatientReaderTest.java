package io.keystone.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.table.data.RowData;
import org.junit.jupiter.api.Test;

class PatientReaderTest {

    private static final KafkaPartitionSplit SPLIT = new KafkaPartitionSplit(new TopicPartition("b.plays", 0), 42L);

    /** Holds the splits that it was given, and reads nothing. */
    private static final class Reader implements SourceReader<RowData, KafkaPartitionSplit> {

        private final List<KafkaPartitionSplit> given = new ArrayList<>();
        private boolean polled;

        @Override
        public void start() {}

        @Override
        public InputStatus pollNext(ReaderOutput<RowData> output) {
            polled = true;
            return InputStatus.NOTHING_AVAILABLE;
        }

        @Override
        public List<KafkaPartitionSplit> snapshotState(long checkpointId) {
            return given;
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            return given.isEmpty() ? new CompletableFuture<>() : CompletableFuture.completedFuture(null);
        }

        @Override
        public void addSplits(List<KafkaPartitionSplit> splits) {
            given.addAll(splits);
        }

        @Override
        public void notifyNoMoreSplits() {}

        @Override
        public void close() {}
    }

    @Test
    void reads_when_the_cluster_answers_and_not_before() throws Exception {
        CountDownLatch answers = new CountDownLatch(1);
        Reader inner = new Reader();
        try (PatientReader reader = new PatientReader(inner, answers::await)) {
            reader.addSplits(List.of(SPLIT));
            assertEquals(InputStatus.NOTHING_AVAILABLE, reader.pollNext(null));
            assertFalse(reader.isAvailable().isDone());
            assertFalse(inner.polled);
            assertEquals(List.of(SPLIT), reader.snapshotState(1), "a checkpoint holds what is kept");

            answers.countDown();
            reader.isAvailable().get(10, TimeUnit.SECONDS);
            reader.pollNext(null);
            assertTrue(inner.polled);
            assertEquals(List.of(SPLIT), inner.given);
            assertEquals(List.of(SPLIT), reader.snapshotState(2), "and holds it once");
        }
    }

    @Test
    void a_task_that_waits_already_is_woken_for_splits_that_come_later() throws Exception {
        Reader inner = new Reader();
        try (PatientReader reader = new PatientReader(inner, () -> {})) {
            assertEquals(InputStatus.NOTHING_AVAILABLE, reader.pollNext(null));
            CompletableFuture<Void> awaited = reader.isAvailable();
            assertFalse(awaited.isDone());
            reader.addSplits(List.of(SPLIT));
            awaited.get(10, TimeUnit.SECONDS);
            reader.pollNext(null);
            assertEquals(List.of(SPLIT), inner.given);
        }
    }

    @Test
    void asks_again_when_the_cluster_does_not_answer() throws Exception {
        CountDownLatch asked = new CountDownLatch(2);
        Reader inner = new Reader();
        try (PatientReader reader = new PatientReader(inner, () -> {
            asked.countDown();
            if (asked.getCount() > 0) {
                throw new IllegalStateException("no name of it resolves");
            }
        })) {
            reader.addSplits(List.of(SPLIT));
            assertTrue(asked.await(30, TimeUnit.SECONDS));
            reader.isAvailable().get(10, TimeUnit.SECONDS);
            reader.pollNext(null);
            assertEquals(List.of(SPLIT), inner.given);
            reader.addSplits(List.of(SPLIT));
            assertEquals(2, inner.given.size(), "later ones are handed on at once");
        }
    }
}
