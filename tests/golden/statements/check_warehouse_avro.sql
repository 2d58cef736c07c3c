SET 'execution.runtime-mode' = 'STREAMING';
SET 'parallelism.default' = '1';
SET 'pipeline.max-parallelism' = '1024';
SET 'pipeline.name' = 'playback.warehouse';
SET 'pipeline.object-reuse' = 'true';
SET 'table.local-time-zone' = 'UTC';
SET 'table.exec.uid.generation' = 'ALWAYS';
SET 'table.exec.iceberg.use-v2-sink' = 'true';

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
  'properties.bootstrap.servers' = 'none:9092',
  'properties.group.id' = 'keystone.playback.warehouse',
  'properties.isolation.level' = 'read_committed',
  'properties.max.poll.records' = '500',
  'properties.receive.buffer.bytes' = '1048576',
  'scan.topic-partition-discovery.interval' = '30 s',
  'scan.carry' = 'nothing',
  'scan.max-event-bytes' = '10551296',
  'scan.max-headers-bytes' = '262144',
  'value.format' = 'keystone-avro',
  'value.keystone-avro.null-on-type-error' = 'user_id',
  'value.keystone-avro.registry.url' = 'http://none'
);

CREATE TEMPORARY TABLE `_dead_letters` (
  `_key` BYTES,
  `_raw` BYTES,
  `_headers` MAP<STRING, BYTES> METADATA FROM 'headers',
  `_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'
) WITH (
  'connector' = 'kafka',
  'topic' = 'playback.dlq',
  'properties.bootstrap.servers' = 'none:9092',
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

CREATE TEMPORARY TABLE `_target` (
  `user_id` BIGINT,
  `device_type` STRING,
  `at` TIMESTAMP_LTZ(6),
  `_guid` STRING,
  `_time` TIMESTAMP_LTZ(6),
  `_host` STRING,
  `_app` STRING,
  `_topic` STRING,
  `_partition` INT,
  `_offset` BIGINT
) WITH (
  'connector' = 'blackhole'
);

EXECUTE STATEMENT SET BEGIN

INSERT INTO `_target`
  (`user_id`, `device_type`, `at`, `_guid`, `_time`, `_host`, `_app`, `_topic`, `_partition`, `_offset`)
SELECT
  `user_id`,
  `device`.`type`,
  `at`,
  `_guid`,
  CAST(`_time` AS TIMESTAMP_LTZ(6)),
  `_host`,
  `_app`,
  `_topic`,
  `_partition`,
  `_offset`
FROM `_source`
WHERE `_error` IS NULL
  AND (`duration_ms` > 1000 OR `_partition` < 0);

INSERT INTO `_dead_letters`
  (`_key`, `_raw`, `_headers`, `_time`)
SELECT
  `_key`,
  `_raw`,
  MAP_UNION(`_headers`, MAP[
    'ks_dlq_code', ENCODE(SPLIT_INDEX(`_error`, ':', 0), 'UTF-8'),
    'ks_dlq_text', ENCODE(SUBSTRING(`_error`, POSITION(': ' IN `_error`) + 2), 'UTF-8'),
    'ks_dlq_time', ENCODE(DATE_FORMAT(CURRENT_ROW_TIMESTAMP(), 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''), 'UTF-8'),
    'ks_dlq_route', ENCODE('playback.warehouse', 'UTF-8'),
    'ks_dlq_digest', ENCODE('649d4dca3001e97e03730ca021d47665110ca95c5a5d4ac0a9bf92df924fbd68', 'UTF-8'),
    'ks_dlq_topic', ENCODE(`_topic`, 'UTF-8'),
    'ks_dlq_partition', ENCODE(CAST(`_partition` AS STRING), 'UTF-8'),
    'ks_dlq_offset', ENCODE(CAST(`_offset` AS STRING), 'UTF-8')]),
  `_time`
FROM `_source`
WHERE `_error` IS NOT NULL;

END;
