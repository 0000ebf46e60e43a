import { describe, expect, it } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { MemoryTransport } from '#support/memory-transport.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import { MODEL, testHub, testJob } from '#support/test-hub.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import { encodeDataFrame, encodeFrame } from '#wire/agent/frames.ts';

const FRAMES = 100_000;
const JOB = testJob();
const HONEST = Buffer.from(
  `data: ${JSON.stringify({ id: JOB.completionId, object: 'chat.completion.chunk', created: JOB.createdS, model: MODEL, choices: [{ index: 0, delta: { content: 'x' } }] })}\n\n`,
);

/**
 * Random frames from a seed: well-formed messages with senseless contents, cut and flipped ones, and noise. Sockets that
 * are closed for it are replaced. Whatever arrives, nothing throws, every attempt ends exactly once (the sink sees to
 * that), every event is framed (also the sink), and in the end nothing is left over.
 */
function fuzz(seed: number, dialect: 'swan' | 'stream') {
  const random = seededRandomness(seed);
  const int = (below: number): number => Math.floor(random.float() * below);
  const pick = <T>(list: readonly T[]): T => list[int(list.length)] as T;
  const clock = new VirtualClock();
  const { hub } = testHub(clock);
  const sinks: RecordedSink[] = [];
  const ids: string[] = ['att_none'];
  let transport = new MemoryTransport();
  /** Streams begun on the present connection. */
  let streams = 0;

  const word = (): unknown =>
    pick<() => unknown>([
      () => null,
      () => int(1_000) - 500,
      () => 1e308,
      () => '',
      () => 'x\n\ndata: y',
      () => pick(ids),
      () => [],
      () => ({}),
      () => [word()],
      () => ({ [pick(['choices', 'usage', 'error', '__proto__', 'delta', 'content', 'done'])]: word() }),
      () => true,
      () => ({ choices: [{ index: 0, delta: { content: 'tok' }, finish_reason: null }] }),
      () => ({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
      () => ({ choices: [{ message: { content: 'hi' } }] }),
      () => ({ choices: [], usage: { prompt_tokens: int(9), completion_tokens: int(9) } }),
    ])();
  const types = [
    'stream_chunk',
    'stream_end',
    'ack',
    'error',
    'register',
    'heartbeat',
    'model_health_update',
    'verify',
    '',
  ];
  const text = (): string => {
    const id = pick(ids);
    const payload: Record<string, unknown> = { request_id: int(20) === 0 ? word() : id };
    for (const key of [
      'chunk',
      'done',
      'error',
      'status_code',
      'response',
      'tokens_input',
      'models',
      'node_id',
      'model_health',
      'metrics',
      'token',
    ]) {
      if (int(4) === 0) payload[key] = word();
    }
    if (int(3) === 0)
      payload['chunk'] = { choices: [{ index: 0, delta: { content: `tok${int(9)}` }, finish_reason: null }] };
    const whole = JSON.stringify({
      type: pick(types),
      request_id: int(20) === 0 ? word() : id,
      payload: int(30) === 0 ? word() : payload,
    });
    if (int(12) > 0) return whole;
    const at = int(whole.length);
    return int(2) === 0
      ? whole.slice(0, at)
      : whole.slice(0, at) + String.fromCharCode(int(256)) + whole.slice(at + 1);
  };
  const binary = (): Buffer => {
    const type = pick([0x11, 0x11, 0x11, 0x12, 0x13, 0x14, 0x01, 0xff]);
    const body =
      int(2) === 0
        ? Buffer.from(
            pick([
              '{"status":200,"finish_reason":"stop"}',
              '{"status":200}',
              '{"status":499}',
              '{}',
              '[',
              `\u0001\u0000\u0001\u0000data: ${JSON.stringify(word())}\n\n`,
            ]),
            'latin1',
          )
        : random.bytes(int(60));
    const honest = encodeDataFrame(int(streams + 2), 1, 1, HONEST);
    if (int(4) === 0) return honest;
    const frame = encodeFrame(type, Math.max(0, streams - int(6) + 2), body);
    return int(50) === 0 ? frame.subarray(0, int(frame.length)) : frame;
  };
  const register = async (): Promise<void> => {
    transport = new MemoryTransport();
    streams = 0;
    hub.attach(transport);
    const capabilities = dialect === 'stream' ? ['cygnet.stream.v1'] : [];
    transport.arrive(
      JSON.stringify({
        type: 'register',
        payload: { node_id: 'n', token: 'sk-prov-one', models: [MODEL], capabilities },
      }),
    );
    await settlePromises();
  };
  const start = (): void => {
    const candidate = hub.candidates(MODEL)[0];
    const link = candidate && hub.linkOf(candidate);
    if (!link) return;
    const job = testJob({ stream: int(3) > 0 });
    const sink = new RecordedSink();
    sinks.push(sink);
    streams += 1;
    ids.push(job.attemptId);
    if (ids.length > 12) ids.splice(1, 1);
    const attempt = link.start(job, sink);
    if (int(5) === 0) attempt.cancel('consumer_disconnected');
  };

  return async () => {
    await register();
    for (let i = 0; i < FRAMES; i++) {
      if (i % 8 === 0) start();
      if (i % 50 === 0) await clock.advance(500);
      if (transport.closedWith !== undefined) await register();
      transport.arrive(dialect === 'stream' && int(6) > 0 ? binary() : text());
    }
    await hub.close();
    await clock.advance(5_000);
    return { hub, sinks, clock };
  };
}

describe('a session', () => {
  it.each([
    ['swan', 1],
    ['stream', 2],
  ] as const)(
    `of the %s dialect survives ${FRAMES} random frames with nothing left over`,
    async (dialect, seed) => {
      const { hub, sinks, clock } = await fuzz(seed, dialect)();
      expect(hub.counters.internalErrors).toBe(0);
      expect(sinks.length).toBeGreaterThan(1_000);
      expect(sinks.filter((sink) => !sink.ending)).toHaveLength(0);
      expect(sinks.filter((sink) => sink.ending?.outcome === 'completed').length).toBeGreaterThan(0);
      expect(hub.registry.inFlight).toBe(0);
      expect(hub.registry.bufferedBytes).toBe(0);
      expect(hub.links).toBe(0);
      expect(clock.nextAt()).toBeUndefined();
      expect(({} as Record<string, unknown>)['choices']).toBeUndefined();
    },
    60_000,
  );
});
