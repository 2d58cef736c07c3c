SET 'execution.runtime-mode' = 'STREAMING';
SET 'parallelism.default' = '1';
SET 'pipeline.max-parallelism' = '1024';
SET 'pipeline.name' = 'backfill-0123456789-01234567';
SET 'pipeline.object-reuse' = 'true';
SET 'table.local-time-zone' = 'UTC';
SET 'table.exec.uid.generation' = 'ALWAYS';
SET 'table.exec.iceberg.use-v2-sink' = 'true';
SET 'execution.checkpointing.mode' = 'EXACTLY_ONCE';
SET 'execution.checkpointing.interval' = '10 s';
SET 'execution.checkpointing.min-pause' = '5 s';
SET 'execution.checkpointing.timeout' = '5 min';
SET 'execution.checkpointing.max-concurrent-checkpoints' = '1';
SET 'execution.checkpointing.tolerable-failed-checkpoints' = '100';
SET 'execution.checkpointing.unaligned.enabled' = 'false';
SET 'execution.checkpointing.externalized-checkpoint-retention' = 'RETAIN_ON_CANCELLATION';
SET 'execution.checkpointing.num-retained' = '3';
SET 'execution.checkpointing.storage' = 'filesystem';
SET 'execution.checkpointing.dir' = 's3://bucket/flink/checkpoints/playback.warehouse';
SET 'execution.checkpointing.data-inline-threshold' = '1 mb';
SET 'state.backend.type' = 'hashmap';
SET 'restart-strategy.type' = 'fixed-delay';
SET 'restart-strategy.fixed-delay.attempts' = '3';
SET 'restart-strategy.fixed-delay.delay' = '2 s';
SET 'table.exec.iceberg.infer-source-parallelism' = 'false';
SET '$internal.pipeline.job-id' = '0123456789abcdef0123456789abcdef';

CREATE CATALOG `keystone` WITH (
  'type' = 'iceberg',
  'catalog-impl' = 'org.apache.iceberg.jdbc.JdbcCatalog',
  'uri' = 'jdbc:sqlite:/data/catalog.db',
  'jdbc.busy_timeout' = '30000',
  'jdbc.init-catalog-tables' = 'false',
  'jdbc.schema-version' = 'V1',
  'warehouse' = 's3://bucket/warehouse',
  'io-impl' = 'org.apache.iceberg.aws.s3.S3FileIO',
  's3.endpoint' = 'http://s3:9000',
  's3.path-style-access' = 'true',
  'client.region' = 'us-east-1'
);

CREATE TEMPORARY VIEW `_source` AS
SELECT
  CAST(NULL AS STRING) AS `_error`,
  `_row`.`_value` AS `_raw`,
  `_row`.`_guid`,
  `_row`.`_time`,
  `_row`.`_host`,
  `_row`.`_app`,
  `_row`.`_topic`,
  `_row`.`_partition`,
  `_row`.`_offset`
FROM (
  SELECT `_value`, `_guid`, `_time`, `_host`, `_app`, `_topic`, `_partition`, `_offset`
  FROM `keystone`.`raw`.`playback` /*+ OPTIONS('snapshot-id' = '4711', 'streaming' = 'false') */
  WHERE `_value` IS NOT NULL
    AND `_offset` >= 0 AND `_offset` < 200
    AND `_time` >= TO_TIMESTAMP_LTZ(1793527200000, 3) AND `_time` < TO_TIMESTAMP_LTZ(1793541600000, 3)
    AND ((`_topic` = 'playback' AND `_partition` = 0 AND `_offset` >= 100 AND `_offset` < 200) OR (`_topic` = 'playback.replay.warehouse' AND `_partition` = 0 AND `_offset` >= 0 AND `_offset` < 7))
    AND ((`_time` >= TO_TIMESTAMP_LTZ(1793527200000, 3) AND `_time` < TO_TIMESTAMP_LTZ(1793534400000, 3)) OR (`_time` >= TO_TIMESTAMP_LTZ(1793538000000, 3) AND `_time` < TO_TIMESTAMP_LTZ(1793541600000, 3)))
) AS `_row`;

EXECUTE STATEMENT SET BEGIN

INSERT INTO `keystone`.`events`.`playback` /*+ OPTIONS('uid-suffix' = 'backfill-0123456789-01234567', 'branch' = 'backfill-0123456789-01234567') */
  (`_value`, `_guid`, `_time`, `_host`, `_app`, `_topic`, `_partition`, `_offset`)
SELECT
  `_raw`,
  `_guid`,
  CAST(`_time` AS TIMESTAMP_LTZ(6)),
  `_host`,
  `_app`,
  `_topic`,
  `_partition`,
  `_offset`
FROM `_source`
WHERE `_error` IS NULL;

END;
