SET 'execution.runtime-mode' = 'STREAMING';
SET 'parallelism.default' = '1';
SET 'pipeline.max-parallelism' = '1024';
SET 'pipeline.name' = 'playback.search';
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
SET 'execution.checkpointing.dir' = 's3://bucket/flink/checkpoints/playback.search';
SET 'execution.checkpointing.data-inline-threshold' = '1 mb';
SET 'state.backend.type' = 'hashmap';
SET 'restart-strategy.type' = 'exponential-delay';
SET 'restart-strategy.exponential-delay.initial-backoff' = '1 s';
SET 'restart-strategy.exponential-delay.max-backoff' = '30 s';
SET 'restart-strategy.exponential-delay.backoff-multiplier' = '2.0';
SET 'restart-strategy.exponential-delay.jitter-factor' = '0.1';
SET 'restart-strategy.exponential-delay.reset-backoff-threshold' = '5 min';
SET '$internal.pipeline.job-id' = '0123456789abcdef0123456789abcdef';
SET 'python.executable' = '/opt/keystone/bin/python';
SET 'python.fn-execution.memory.managed' = 'false';
SET 'python.fn-execution.arrow.batch.size' = '1000';
SET 'python.fn-execution.bundle.size' = '2000';
SET 'python.fn-execution.bundle.time' = '200';

-- index_documents: SearchConnection(url='http://search:9200', username='keystone', password='env:SEARCH_PASSWORD', ca_file=None)

CREATE TEMPORARY TABLE `_source` (
  `user_id` BIGINT,
  `device` ROW<`type` STRING, `os` STRING>,
  `at` TIMESTAMP_LTZ(6),
  `duration_ms` INT,
  `_error` STRING METADATA FROM 'error' VIRTUAL,
  `_key` BYTES METADATA FROM 'key' VIRTUAL,
  `_raw` BYTES METADATA FROM 'raw' VIRTUAL,
  `_headers` MAP<STRING, BYTES> METADATA FROM 'headers' VIRTUAL,
  `_guid` STRING METADATA FROM 'event-id' VIRTUAL,
  `_host` STRING METADATA FROM 'host' VIRTUAL,
  `_app` STRING METADATA FROM 'app' VIRTUAL,
  `_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `_topic` STRING METADATA FROM 'topic' VIRTUAL,
  `_partition` INT METADATA FROM 'partition' VIRTUAL,
  `_offset` BIGINT METADATA FROM 'offset' VIRTUAL
) WITH (
  'connector' = 'keystone-kafka',
  'topic' = 'playback;playback.replay.warehouse',
  'properties.bootstrap.servers' = 'broker:9092',
  'properties.group.id' = 'keystone.playback.search',
  'properties.isolation.level' = 'read_committed',
  'properties.max.poll.records' = '500',
  'properties.receive.buffer.bytes' = '1048576',
  'properties.metadata.recovery.strategy' = 'none',
  'standby.cluster' = 'kafka-b',
  'standby.topic' = 'kafka-b.playback;kafka-b.playback.replay.warehouse',
  'standby.properties.bootstrap.servers' = 'other:9092',
  'standby.properties.security.protocol' = 'SSL',
  'standby.properties.group.id' = 'keystone.playback.search',
  'standby.properties.isolation.level' = 'read_committed',
  'standby.properties.max.poll.records' = '500',
  'standby.properties.receive.buffer.bytes' = '1048576',
  'standby.properties.metadata.recovery.strategy' = 'none',
  'standby.properties.client.id.prefix' = 'keystone.playback.search.kafka-b',
  'scan.topic-partition-discovery.interval' = '30 s',
  'scan.carry' = 'record',
  'scan.max-event-bytes' = '10551296',
  'scan.max-headers-bytes' = '262144',
  'value.format' = 'keystone-json'
);

CREATE TEMPORARY TABLE `_dead_letters` (
  `_key` BYTES,
  `_raw` BYTES,
  `_headers` MAP<STRING, BYTES> METADATA FROM 'headers',
  `_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'
) WITH (
  'connector' = 'kafka',
  'topic' = 'playback.dlq',
  'properties.bootstrap.servers' = 'broker:9092',
  'properties.enable.idempotence' = 'true',
  'properties.acks' = 'all',
  'properties.compression.type' = 'lz4',
  'properties.linger.ms' = '20',
  'properties.batch.size' = '262144',
  'properties.max.request.size' = '16777216',
  'sink.delivery-guarantee' = 'at-least-once',
  'key.format' = 'raw',
  'key.fields' = '_key',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.format' = 'raw'
);

CREATE TEMPORARY TABLE `_standby_dead_letters` (
  `_key` BYTES,
  `_raw` BYTES,
  `_headers` MAP<STRING, BYTES> METADATA FROM 'headers',
  `_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'
) WITH (
  'connector' = 'kafka',
  'topic' = 'kafka-b.playback.dlq',
  'properties.bootstrap.servers' = 'other:9092',
  'properties.security.protocol' = 'SSL',
  'properties.enable.idempotence' = 'true',
  'properties.acks' = 'all',
  'properties.compression.type' = 'lz4',
  'properties.linger.ms' = '20',
  'properties.batch.size' = '262144',
  'properties.max.request.size' = '16777216',
  'sink.delivery-guarantee' = 'at-least-once',
  'key.format' = 'raw',
  'key.fields' = '_key',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.format' = 'raw'
);

CREATE TEMPORARY VIEW `_refused` AS
SELECT `_key`, `_raw`, `_headers`, `_time`, `_topic`, `_partition`, `_offset`, `_error` FROM `_source` WHERE `_error` IS NOT NULL
UNION ALL
SELECT `_key`, `_raw`, `_headers`, `_time`, `_topic`, `_partition`, `_offset`, index_documents(
  CONCAT('playback-', DATE_FORMAT(`_time`, 'yyyy.MM.dd'), ''),
  COALESCE(NULLIF(`_guid`, ''), CONCAT(`_topic`, '-', CAST(`_partition` AS STRING), '-', CAST(`_offset` AS STRING))),
  JSON_OBJECT(
    KEY 'user_id' VALUE `user_id`,
    KEY 'device_type' VALUE `device`.`type`,
    KEY 'at' VALUE DATE_FORMAT(`at`, 'yyyy-MM-dd''T''HH:mm:ss.SSSSSS''Z'''),
    KEY 'device' VALUE JSON(NULLIF(JSON_OBJECT(KEY 'type' VALUE `device`.`type`, KEY 'os' VALUE `device`.`os` ABSENT ON NULL), '{}')),
    KEY '_guid' VALUE `_guid`,
    KEY '_time' VALUE DATE_FORMAT(CAST(`_time` AS TIMESTAMP_LTZ(6)), 'yyyy-MM-dd''T''HH:mm:ss.SSSSSS''Z'''),
    KEY '_host' VALUE `_host`,
    KEY '_app' VALUE `_app`,
    KEY '_topic' VALUE `_topic`,
    KEY '_partition' VALUE `_partition`,
    KEY '_offset' VALUE `_offset`
    ABSENT ON NULL)) AS `_error`
FROM `_source`
WHERE `_error` IS NULL
  AND (`duration_ms` > 1000 OR `_partition` < 0);

EXECUTE STATEMENT SET BEGIN

INSERT INTO `_dead_letters`
  (`_key`, `_raw`, `_headers`, `_time`)
SELECT
  `_key`,
  `_raw`,
  MAP_UNION(`_headers`, MAP[
    'ks_dlq_code', ENCODE(SPLIT_INDEX(`_error`, ':', 0), 'UTF-8'),
    'ks_dlq_text', ENCODE(SUBSTRING(`_error`, POSITION(': ' IN `_error`) + 2), 'UTF-8'),
    'ks_dlq_time', ENCODE(DATE_FORMAT(CURRENT_ROW_TIMESTAMP(), 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''), 'UTF-8'),
    'ks_dlq_route', ENCODE('playback.search', 'UTF-8'),
    'ks_dlq_digest', ENCODE('646b7d3eeaa139af485d51ce3d60dbf3562a7e9acb395cb712f36e1bf2e8f4d8', 'UTF-8'),
    'ks_dlq_topic', ENCODE(`_topic`, 'UTF-8'),
    'ks_dlq_partition', ENCODE(CAST(`_partition` AS STRING), 'UTF-8'),
    'ks_dlq_offset', ENCODE(CAST(`_offset` AS STRING), 'UTF-8')]),
  `_time`
FROM `_refused`
WHERE `_error` IS NOT NULL AND `_topic` NOT IN ('kafka-b.playback', 'kafka-b.playback.replay.warehouse');

INSERT INTO `_standby_dead_letters`
  (`_key`, `_raw`, `_headers`, `_time`)
SELECT
  `_key`,
  `_raw`,
  MAP_UNION(`_headers`, MAP[
    'ks_dlq_code', ENCODE(SPLIT_INDEX(`_error`, ':', 0), 'UTF-8'),
    'ks_dlq_text', ENCODE(SUBSTRING(`_error`, POSITION(': ' IN `_error`) + 2), 'UTF-8'),
    'ks_dlq_time', ENCODE(DATE_FORMAT(CURRENT_ROW_TIMESTAMP(), 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''), 'UTF-8'),
    'ks_dlq_route', ENCODE('playback.search', 'UTF-8'),
    'ks_dlq_digest', ENCODE('646b7d3eeaa139af485d51ce3d60dbf3562a7e9acb395cb712f36e1bf2e8f4d8', 'UTF-8'),
    'ks_dlq_topic', ENCODE(`_topic`, 'UTF-8'),
    'ks_dlq_partition', ENCODE(CAST(`_partition` AS STRING), 'UTF-8'),
    'ks_dlq_offset', ENCODE(CAST(`_offset` AS STRING), 'UTF-8')]),
  `_time`
FROM `_refused`
WHERE `_error` IS NOT NULL AND `_topic` IN ('kafka-b.playback', 'kafka-b.playback.replay.warehouse');

END;
