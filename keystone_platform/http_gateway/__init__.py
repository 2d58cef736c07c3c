"""The HTTP gateway: CloudEvents in, an answer once Kafka has them."""
