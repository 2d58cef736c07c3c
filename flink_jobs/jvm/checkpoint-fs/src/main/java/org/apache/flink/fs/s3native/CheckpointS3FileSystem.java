package org.apache.flink.fs.s3native;

import java.io.IOException;
import java.net.URI;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.core.fs.BlockLocation;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.RecoverableWriter;

/**
 * Flink's S3 filesystem without the requests that a checkpoint does not need.
 *
 * <p>Flink treats checkpoint storage as folders of files: it makes the folder, looks whether the file is there, writes it in parts,
 * and removes file and folder later. On S3 there are no folders, a file of some kilobytes is one PUT, and a checkpoint's name
 * holds the job's id and a number that is used once, so nothing can be there. Whatever is no checkpoint goes to Flink's own.
 */
final class CheckpointS3FileSystem extends FileSystem {

    private final NativeS3FileSystem inner;
    private final String temporaryFolder;

    /** Checkpoints that were begun here and whose metadata is not written yet. */
    private final Set<Path> begun = ConcurrentHashMap.newKeySet();

    CheckpointS3FileSystem(NativeS3FileSystem inner, String temporaryFolder) {
        this.inner = inner;
        this.temporaryFolder = temporaryFolder;
    }

    @Override
    public boolean mkdirs(Path path) throws IOException {
        if (CheckpointPaths.isDirectory(path)) {
            begun.add(path);
            return true;
        }
        return inner.mkdirs(path);
    }

    @Override
    public boolean exists(Path path) throws IOException {
        boolean isNew = CheckpointPaths.isMetadata(path) && begun.contains(path.getParent());
        return !isNew && inner.exists(path);
    }

    @Override
    public RecoverableWriter createRecoverableWriter() throws IOException {
        return new CheckpointWriter(inner.createRecoverableWriter(), this);
    }

    @Override
    public FSDataOutputStream create(Path path, WriteMode mode) throws IOException {
        return CheckpointPaths.isFile(path) ? put(path) : inner.create(path, mode);
    }

    /** Returns a stream whose closing is one PUT. */
    FSDataOutputStream put(Path path) throws IOException {
        begun.remove(path.getParent());
        S3ClientProvider provider = inner.getClientProvider();
        return new NativeS3OutputStream(
                provider.getS3Client(), bucket(), key(path), temporaryFolder, provider.getEncryptionConfig());
    }

    @Override
    public boolean delete(Path path, boolean recursive) throws IOException {
        begun.remove(path);
        if (!recursive && CheckpointPaths.isDirectory(path)) {
            return true;
        }
        if (!CheckpointPaths.isFile(path)) {
            return inner.delete(path, recursive);
        }
        try {
            inner.getClientProvider().getS3Client().deleteObject(request -> request.bucket(bucket()).key(key(path)));
        } catch (RuntimeException refused) {
            throw new IOException("could not delete " + path, refused);
        }
        return true;
    }

    private String bucket() {
        return inner.getUri().getHost();
    }

    private static String key(Path path) {
        return path.getPath().substring(1);
    }

    @Override
    public Path getWorkingDirectory() {
        return inner.getWorkingDirectory();
    }

    @Override
    public Path getHomeDirectory() {
        return inner.getHomeDirectory();
    }

    @Override
    public URI getUri() {
        return inner.getUri();
    }

    @Override
    public FileStatus getFileStatus(Path path) throws IOException {
        return inner.getFileStatus(path);
    }

    @Override
    public BlockLocation[] getFileBlockLocations(FileStatus file, long start, long length) throws IOException {
        return inner.getFileBlockLocations(file, start, length);
    }

    @Override
    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        return inner.open(path, bufferSize);
    }

    @Override
    public FSDataInputStream open(Path path) throws IOException {
        return inner.open(path);
    }

    @Override
    public FileStatus[] listStatus(Path path) throws IOException {
        return inner.listStatus(path);
    }

    @Override
    public boolean rename(Path from, Path to) throws IOException {
        return inner.rename(from, to);
    }

    @Override
    public boolean isDistributedFS() {
        return inner.isDistributedFS();
    }
}
