package org.apache.flink.fs.s3native;

import java.io.IOException;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.RecoverableFsDataOutputStream;
import org.apache.flink.core.fs.RecoverableWriter;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Writes a checkpoint's metadata whole and at once; any other file in parts, as Flink's own writer does. */
final class CheckpointWriter implements RecoverableWriter {

    private final RecoverableWriter inner;
    private final CheckpointS3FileSystem files;

    CheckpointWriter(RecoverableWriter inner, CheckpointS3FileSystem files) {
        this.inner = inner;
        this.files = files;
    }

    @Override
    public RecoverableFsDataOutputStream open(Path path) throws IOException {
        return CheckpointPaths.isMetadata(path) ? new MetadataStream(files, path) : inner.open(path);
    }

    @Override
    public RecoverableFsDataOutputStream recover(ResumeRecoverable resumable) throws IOException {
        return inner.recover(resumable);
    }

    @Override
    public boolean requiresCleanupOfRecoverableState() {
        return inner.requiresCleanupOfRecoverableState();
    }

    @Override
    public boolean cleanupRecoverableState(ResumeRecoverable resumable) throws IOException {
        return inner.cleanupRecoverableState(resumable);
    }

    @Override
    public RecoverableFsDataOutputStream.Committer recoverForCommit(CommitRecoverable resumable) throws IOException {
        return inner.recoverForCommit(resumable);
    }

    @Override
    public SimpleVersionedSerializer<CommitRecoverable> getCommitRecoverableSerializer() {
        return inner.getCommitRecoverableSerializer();
    }

    @Override
    public SimpleVersionedSerializer<ResumeRecoverable> getResumeRecoverableSerializer() {
        return inner.getResumeRecoverableSerializer();
    }

    @Override
    public boolean supportsResume() {
        return inner.supportsResume();
    }
}
