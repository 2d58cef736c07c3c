package org.apache.flink.fs.s3native;

import java.io.IOException;
import java.net.URI;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ConfigurationUtils;
import org.apache.flink.core.fs.FileSystem;
import org.apache.flink.core.fs.FileSystemFactory;

/**
 * Serves {@code s3://} in place of {@link NativeS3FileSystemFactory}, whose options it takes.
 *
 * <p>It lives in that one's package, because the S3 client that both share can be had only there.
 */
public final class CheckpointS3FileSystemFactory implements FileSystemFactory {

    private final NativeS3FileSystemFactory inner = new NativeS3FileSystemFactory();
    private String temporaryFolder;

    @Override
    public String getScheme() {
        return inner.getScheme();
    }

    @Override
    public int getPriority() {
        return inner.getPriority() + 100;
    }

    @Override
    public void configure(Configuration configuration) {
        inner.configure(configuration);
        temporaryFolder = ConfigurationUtils.parseTempDirectories(configuration)[0];
    }

    @Override
    public FileSystem create(URI uri) throws IOException {
        return new CheckpointS3FileSystem((NativeS3FileSystem) inner.create(uri), temporaryFolder);
    }
}
