package org.apache.flink.fs.s3native;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.core.fs.Path;

/** Tells the paths of checkpoints, as Flink's checkpoint storage names them, from all others. */
final class CheckpointPaths {

    private static final String JOB = ".*/[0-9a-f]{32}";
    private static final Pattern DIRECTORY = Pattern.compile(JOB + "/(chk-\\d+|shared|taskowned)/?");
    private static final Pattern FILE = Pattern.compile("(" + JOB + "/(?:chk-\\d+|shared|taskowned))/([^/]+)");
    private static final String METADATA = "_metadata";

    private CheckpointPaths() {}

    /** A folder of a checkpoint, or of the files that a job's checkpoints share. */
    static boolean isDirectory(Path path) {
        return DIRECTORY.matcher(path.getPath()).matches();
    }

    /** A file directly in such a folder. */
    static boolean isFile(Path path) {
        return FILE.matcher(path.getPath()).matches();
    }

    /** The one file of a checkpoint whose state is inlined. */
    static boolean isMetadata(Path path) {
        Matcher file = FILE.matcher(path.getPath());
        return file.matches() && file.group(2).equals(METADATA);
    }
}
