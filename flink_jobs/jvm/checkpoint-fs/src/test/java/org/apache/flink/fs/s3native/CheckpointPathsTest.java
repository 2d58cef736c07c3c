package org.apache.flink.fs.s3native;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.flink.core.fs.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class CheckpointPathsTest {

    private static final String JOB = "s3://bucket/flink/checkpoints/a.b/0123456789abcdef0123456789abcdef";

    @Test
    void filesAndFoldersOfCheckpointsAreKnown() {
        assertTrue(CheckpointPaths.isDirectory(new Path(JOB + "/chk-17")));
        assertTrue(CheckpointPaths.isDirectory(new Path(JOB + "/taskowned")));
        assertTrue(CheckpointPaths.isFile(new Path(JOB + "/shared/7c9e6679-7425-40de-944b-e07fc1f90ae7")));
        assertTrue(CheckpointPaths.isFile(new Path(JOB + "/chk-17/_metadata")));
        assertTrue(CheckpointPaths.isMetadata(new Path(JOB + "/chk-17/_metadata")));
        assertFalse(CheckpointPaths.isMetadata(new Path(JOB + "/chk-17/7c9e6679-7425-40de-944b-e07fc1f90ae7")));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "s3://bucket/chk-17/_metadata",
                "s3://bucket/flink/savepoints/savepoint-012345-0123456789ab/_metadata",
                JOB,
                JOB + "/chk-17/folder/file",
                JOB + "/chk-x/_metadata",
                "s3://bucket/chk-1",
                "s3://bucket/shared/file"
            })
    void whatSomebodyElseWritesIsLeftToFlink(String path) {
        assertFalse(CheckpointPaths.isFile(new Path(path)));
        assertFalse(CheckpointPaths.isDirectory(new Path(path)));
        assertFalse(CheckpointPaths.isMetadata(new Path(path)));
    }
}
