"""Sends events with the CloudEvents SDK to a gateway.

pip install cloudevents httpx; python cloudevents_sdk.py http://localhost:8080/streams/playback
"""

import json
import sys
import uuid
from datetime import UTC, datetime

import httpx
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def played(user_id: int) -> CloudEvent:
    """Return an event; its id stays the same however often it is sent."""
    attributes = {
        "id": str(uuid.uuid4()),
        "source": "laptop/python-recipe",
        "type": "playback",
        "time": datetime.now(UTC),
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, {"user_id": user_id, "country": "US", "duration_ms": 5000})


def main(url: str) -> None:
    """Send one event in each content mode; httpx.HTTPStatusError unless Kafka has them."""
    with httpx.Client() as client:
        for message in (to_binary_event(played(1)), to_structured_event(played(2))):
            answer = client.post(url, headers=message.headers, content=message.body).raise_for_status()
            print(answer.json())
        batch = [json.loads(JSONFormat().write(played(user_id))) for user_id in (3, 4)]
        headers = {"content-type": "application/cloudevents-batch+json"}
        print(client.post(url, headers=headers, content=json.dumps(batch)).raise_for_status().json())


if __name__ == "__main__":
    main(sys.argv[1])
