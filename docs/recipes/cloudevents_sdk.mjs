// npm install cloudevents; node cloudevents_sdk.mjs http://localhost:8080/streams/playback
import { CloudEvent, emitterFor, httpTransport, Mode } from "cloudevents";

const url = process.argv[2];
const event = new CloudEvent({
  source: "laptop/javascript-recipe",
  type: "playback",
  data: { user_id: 5, country: "US", duration_ms: 5000 },
});

// the SDK's transport resolves whatever the status is: look at what the gateway says
const options = { headers: {} }; // with a token: { authorization: `Bearer ${process.env.GATEWAY_TOKEN}` }
for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
  const answer = JSON.parse((await emitterFor(httpTransport(url), { mode })(event, options)).body);
  console.log(answer);
  if (answer.error) process.exitCode = 1;
}
