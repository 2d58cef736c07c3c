// go mod init example.com/produce && go get github.com/twmb/franz-go/pkg/kgo && go run produce.go SERVERS TOPIC STREAM < events.ndjson
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const largest = 10 << 20

// Sends each line of stdin as an event, with the headers that Keystone reads.
func main() {
	servers, topic, stream := os.Args[1], os.Args[2], os.Args[3]
	host, _ := os.Hostname()
	client, err := kgo.NewClient( // idempotent and acks=all by default
		kgo.SeedBrokers(strings.Split(servers, ",")...),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(20*time.Millisecond),
		kgo.ProducerBatchMaxBytes(largest+64<<10),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var acknowledged, lost atomic.Int64
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, largest)
	for lines.Scan() {
		now := time.Now()
		event := &kgo.Record{Topic: topic, Value: bytes.Clone(lines.Bytes()), Timestamp: now, Headers: []kgo.RecordHeader{
			{Key: "ce_specversion", Value: []byte("1.0")},
			{Key: "ce_type", Value: []byte(stream)},
			{Key: "ce_time", Value: []byte(now.UTC().Format(time.RFC3339Nano))},
			{Key: "ce_id", Value: []byte(guid(now))},
			{Key: "ce_source", Value: []byte(host + "/go-recipe")},
		}}
		client.Produce(context.Background(), event, func(_ *kgo.Record, err error) {
			if err != nil {
				lost.Add(1)
			} else {
				acknowledged.Add(1)
			}
		})
	}
	client.Flush(context.Background())
	fmt.Printf("acknowledged %d, lost %d\n", acknowledged.Load(), lost.Load())
	if lines.Err() != nil || lost.Load() > 0 {
		os.Exit(1)
	}
}

// guid returns a UUIDv7.
func guid(now time.Time) string {
	var id [16]byte
	rand.Read(id[:])
	for i, millis := 5, now.UnixMilli(); i >= 0; i, millis = i-1, millis>>8 {
		id[i] = byte(millis)
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:])
}
