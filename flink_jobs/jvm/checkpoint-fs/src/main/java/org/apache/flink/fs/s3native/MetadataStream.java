package org.apache.flink.fs.s3native;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.RecoverableFsDataOutputStream;
import org.apache.flink.core.fs.RecoverableWriter;

/** A checkpoint's metadata on its way: kept in memory, and uploaded when it is committed or not at all. */
final class MetadataStream extends RecoverableFsDataOutputStream {

    private final CheckpointS3FileSystem files;
    private final Path path;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    MetadataStream(CheckpointS3FileSystem files, Path path) {
        this.files = files;
        this.path = path;
    }

    @Override
    public void write(int value) {
        bytes.write(value);
    }

    @Override
    public void write(byte[] buffer, int offset, int length) {
        bytes.write(buffer, offset, length);
    }

    @Override
    public long getPos() {
        return bytes.size();
    }

    @Override
    public void flush() {}

    @Override
    public void sync() {}

    @Override
    public void close() {}

    @Override
    public RecoverableWriter.ResumeRecoverable persist() {
        throw new UnsupportedOperationException("a checkpoint's metadata is written at once");
    }

    @Override
    public Committer closeForCommit() {
        return new Committer() {
            @Override
            public void commit() throws IOException {
                try (FSDataOutputStream upload = files.put(path)) {
                    bytes.writeTo(upload);
                }
            }

            @Override
            public void commitAfterRecovery() throws IOException {
                commit();
            }

            @Override
            public RecoverableWriter.CommitRecoverable getRecoverable() {
                throw new UnsupportedOperationException("a checkpoint's metadata is written at once");
            }
        };
    }
}
