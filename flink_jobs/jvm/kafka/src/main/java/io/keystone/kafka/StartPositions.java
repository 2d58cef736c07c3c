package io.keystone.kafka;

import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.table.api.ValidationException;

/**
 * Where a job begins that has no state: the named positions, and elsewhere the beginning. Where a job ends, too: of what is
 * not named nothing is read then. Unlike Flink's own initializer of
 * given offsets it never asks for the positions that the group has committed: these are ahead of what a table holds.
 */
record StartPositions(Map<TopicPartition, Long> named) implements OffsetsInitializer {

    private static final long serialVersionUID = 1L;

    /** @param positions {@code topic:partition:offset}. */
    static StartPositions parse(List<String> positions) {
        Map<TopicPartition, Long> named = new HashMap<>();
        for (String position : positions) {
            String[] parts = position.split(":");
            try {
                named.put(new TopicPartition(parts[0], Integer.parseInt(parts[1])), Long.parseLong(parts[2]));
            } catch (NumberFormatException | ArrayIndexOutOfBoundsException malformed) {
                throw new ValidationException("among the offsets of a scan is '" + position + "', not topic:partition:offset.");
            }
        }
        return new StartPositions(Map.copyOf(named));
    }

    @Override
    public Map<TopicPartition, Long> getPartitionOffsets(
            Collection<TopicPartition> partitions, PartitionOffsetsRetriever offsets) {
        Map<TopicPartition, Long> chosen = new HashMap<>(
                offsets.beginningOffsets(partitions.stream().filter(each -> !named.containsKey(each)).toList()));
        partitions.stream().filter(named::containsKey).forEach(each -> chosen.put(each, named.get(each)));
        return chosen;
    }

    @Override
    public OffsetResetStrategy getAutoOffsetResetStrategy() {
        return OffsetResetStrategy.EARLIEST;
    }
}
