package io.keystone.kafka;

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplitSerializer;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.io.SimpleVersionedSerialization;
import org.apache.flink.core.memory.DataInputViewStreamWrapper;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.OperatorState;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.OperatorStateHandle;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;

/**
 * Tells the Kafka offsets that checkpoints and savepoints hold, by Flink's own reading of their metadata.
 *
 * <p>Stdin: any number of {@code _metadata} files, each after its length (4 bytes, big-endian). Stdout: a line for each, in
 * order: {@code ok}, a tab and {@code topic:partition:offset;…} (sorted, the offset to go on with), or {@code unreadable}, a tab
 * and why.
 */
public final class CheckpointOffsets {

    /** List state of every operator that runs a source ({@code SourceOperator.SPLITS_STATE_DESC}). */
    private static final String SPLITS = "SourceReaderState";

    private CheckpointOffsets() {}

    public static void main(String[] arguments) throws IOException {
        // what a library prints must not get between the lines
        PrintStream answer = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        DataInputStream files = new DataInputStream(new BufferedInputStream(System.in));
        for (byte[] lengthOf = new byte[Integer.BYTES]; files.readNBytes(lengthOf, 0, lengthOf.length) > 0; ) {
            int length = new DataInputStream(new ByteArrayInputStream(lengthOf)).readInt();
            answer.println(line(files.readNBytes(length)));
        }
    }

    static String line(byte[] metadata) {
        try {
            return "ok\t" + text(read(new ByteArrayInputStream(metadata)));
        } catch (IOException | RuntimeException unreadable) {
            String why = String.valueOf(unreadable.getMessage() == null ? unreadable : unreadable.getMessage());
            return "unreadable\t" + why.lines().findFirst().orElse("").replace('\t', ' ');
        }
    }

    /** Offsets to go on with, by topic and partition; empty when no source has been given a partition yet. */
    static Map<String, Map<Integer, Long>> read(InputStream metadata) throws IOException {
        ClassLoader loader = CheckpointOffsets.class.getClassLoader();
        Map<String, Map<Integer, Long>> found = new TreeMap<>();
        boolean hasSource = false;
        for (OperatorState operator : Checkpoints.loadCheckpointMetadata(
                        new DataInputStream(metadata), loader, "s3://unknown/unknown")
                .getOperatorStates()) {
            for (OperatorSubtaskState subtask : operator.getStates()) {
                for (OperatorStateHandle handle : subtask.getManagedOperatorState()) {
                    hasSource |= handle.getStateNameToPartitionOffsets().containsKey(SPLITS);
                    collect(handle, found);
                }
            }
        }
        if (!hasSource) {
            throw new IOException("no source has left its state in it");
        }
        return found;
    }

    private static void collect(OperatorStateHandle handle, Map<String, Map<Integer, Long>> found) throws IOException {
        OperatorStateHandle.StateMetaInfo splits = handle.getStateNameToPartitionOffsets().get(SPLITS);
        if (splits == null || splits.getOffsets().length == 0) {
            return;
        }
        if (!(handle.getDelegateStateHandle() instanceof ByteStreamStateHandle)) {
            throw new IOException("the source's state is in a file beside it");
        }
        KafkaPartitionSplitSerializer serializer = new KafkaPartitionSplitSerializer();
        try (FSDataInputStream state = handle.openInputStream()) {
            for (long position : splits.getOffsets()) {
                state.seek(position);
                byte[] bytes =
                        BytePrimitiveArraySerializer.INSTANCE.deserialize(new DataInputViewStreamWrapper(state));
                KafkaPartitionSplit split = SimpleVersionedSerialization.readVersionAndDeSerialize(serializer, bytes);
                found.computeIfAbsent(split.getTopic(), topic -> new TreeMap<>())
                        .put(split.getPartition(), split.getStartingOffset());
            }
        }
    }

    private static String text(Map<String, Map<Integer, Long>> offsets) {
        return offsets.entrySet().stream()
                .flatMap(topic -> topic.getValue().entrySet().stream()
                        .map(each -> topic.getKey() + ":" + each.getKey() + ":" + each.getValue()))
                .collect(Collectors.joining(";"));
    }
}
