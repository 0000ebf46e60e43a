/**
 * What one token costs in the hub, from an agent's message to the event that the sink is given, without sockets:
 * `npx tsx bench/hub-frames.ts`. Best of nine rounds. "bytes" is the least a proxy could do: copy the event.
 */

import type { AttemptSink, Job, Link } from '../src/hub/link.ts';
import { systemClock } from '../src/kit/clock.ts';
import { encodeDataFrame, STREAM_EXTENSION } from '../src/wire/agent/frames.ts';
import { MemoryTransport } from '../test/support/memory-transport.ts';
import { MODEL, testHub, testJob } from '../test/support/test-hub.ts';

const ROUNDS = 9;
const TOKENS = 20_000;

function best(name: string, tokens: number, run: () => void): void {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const from = process.hrtime.bigint();
    run();
    least = Math.min(least, Number(process.hrtime.bigint() - from) / tokens);
  }
  console.log(`${name.padEnd(56)}${least.toFixed(0).padStart(7)} ns a token`);
}

async function open(
  capabilities: string[],
): Promise<{ transport: MemoryTransport; start: () => Job; close: () => Promise<void> }> {
  const { hub } = testHub(systemClock, {
    settings: {
      streamBufferBytesMax: 1e12,
      linkBufferBytesMax: 1e12,
      hubBufferBytesMax: 1e12,
      creditBytes: 2 ** 31,
    },
  });
  const transport = new MemoryTransport();
  hub.attach(transport);
  const payload = { node_id: 'bench', token: 'sk-prov-one', models: [MODEL], capabilities };
  transport.arrive(JSON.stringify({ type: 'register', payload }));
  await new Promise((resolve) => setImmediate(resolve));
  const link = hub.linkOf(hub.candidates(MODEL)[0]) as Link;
  const start = (): Job => {
    const job = testJob();
    let attempt: { consumed(bytes: number): void } | undefined;
    const sink: AttemptSink = {
      data: (events) => {
        taken = events;
        attempt?.consumed(events.length);
      },
      result: () => undefined,
      end: (end) => {
        if (end.outcome !== 'lost') throw new Error(`ended early: ${end.inner}`);
      },
    };
    attempt = link.start(job, sink);
    return job;
  };
  return { transport, start, close: () => hub.close() };
}

let taken: unknown;

const chunk = (i: number, extra: object): string =>
  JSON.stringify({
    id: 'chatcmpl-abc0123456789',
    object: 'chat.completion.chunk',
    created: 1_763_600_000,
    model: 'local-name',
    choices: [{ index: 0, delta: { content: ` tok${i % 10}` }, logprobs: null, finish_reason: null }],
    ...extra,
  });

const swan = await open([]);
const swanMessages = (id: string, varied: boolean): Buffer[] =>
  Array.from({ length: TOKENS }, (_, i) =>
    Buffer.from(
      `{"type":"stream_chunk","request_id":"${id}","payload":{"request_id":"${id}","chunk":${chunk(i, varied ? { nonce: i } : {})},"done":false}}`,
    ),
  );
const alike = swanMessages(swan.start().attemptId, false);
const varied = swanMessages(swan.start().attemptId, true);

const stream = await open(['inference', STREAM_EXTENSION]);
const event = (job: Job): string =>
  `data: ${JSON.stringify({ id: job.completionId, object: 'chat.completion.chunk', created: job.createdS, model: MODEL, choices: [{ index: 0, delta: { content: ' tok1' }, finish_reason: null }] })}\n\n`;
const jobs = Array.from({ length: 32 }, () => stream.start());
const single = encodeDataFrame(1, 1, 1, Buffer.from(event(jobs[0])));
const step = Buffer.concat(jobs.map((job, i) => encodeDataFrame(i + 1, 1, 1, Buffer.from(event(job)))));
const bytes = Buffer.from(event(jobs[0]));

best('bytes copied', TOKENS, () => {
  for (let i = 0; i < TOKENS; i++) taken = Buffer.from(bytes);
});
best('Swan message, read and rewritten in full every time', TOKENS, () => {
  for (const message of varied) swan.transport.arrive(message, false);
});
best('Swan message, like the one before but for its text', TOKENS, () => {
  for (const message of alike) swan.transport.arrive(message, false);
});
best('binary extension, one event a message', TOKENS, () => {
  for (let i = 0; i < TOKENS; i++) stream.transport.arrive(single);
});
best('binary extension, 32 streams in one message', TOKENS, () => {
  for (let i = 0; i < TOKENS / 32; i++) stream.transport.arrive(step);
});
await Promise.all([swan.close(), stream.close()]);

export { taken };
