import assert from 'node:assert/strict';
import { MemoryTransport } from '#support/memory-transport.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import { MODEL, testHub, testJob } from '#support/test-hub.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import { encodeDataFrame, encodeFrame } from '#wire/agent/frames.ts';
import { Chance } from '../sim/chance.ts';
import { bent, broken, senseless } from './senseless.ts';
import { CHATS } from './templates.ts';

const JOB = testJob();
const HONEST = Buffer.from(
  `data: ${JSON.stringify({ id: JOB.completionId, object: 'chat.completion.chunk', created: JOB.createdS, model: MODEL, choices: [{ index: 0, delta: { content: 'x' } }] })}\n\n`,
);

/**
 * Random frames from a seed: well-formed messages with senseless contents, cut and flipped ones, and noise. Sockets that
 * are closed for it are replaced. Whatever arrives, nothing throws, every attempt ends exactly once (the sink sees to
 * that), every event is framed (also the sink), and in the end nothing is left over.
 */
export async function fuzzFrames(
  seed: number,
  dialect: 'swan' | 'stream',
  frames: number,
): Promise<FrameTally> {
  const chance = new Chance(seed);
  const random = chance.source;
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
      () => senseless(chance),
      () => bent(chance, chance.one<unknown>(CHATS)),
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
  /** A conversation as it should be, with a message of it sometimes missing, twice, or bent. */
  const honest = (): (string | Buffer)[] => {
    const id = ids.at(-1);
    const say = (type: string, payload: object) =>
      JSON.stringify({ type, request_id: id, payload: { request_id: id, ...payload } });
    const whole: (string | Buffer)[] =
      dialect === 'stream'
        ? [
            encodeDataFrame(streams, 1, 1, HONEST),
            encodeFrame(0x13, streams, Buffer.from('{"status":200,"finish_reason":"stop"}')),
          ]
        : [
            say('stream_chunk', { chunk: CHATS[0], done: false }),
            say('stream_chunk', { chunk: null, done: true }),
            say('stream_end', { latency_ms: 1, tokens_input: 1, tokens_output: 1 }),
            say('ack', { response: { ...CHATS[2], object: 'chat.completion' } }),
          ];
    const at = int(whole.length);
    const how = int(6);
    if (how === 0) whole.splice(at, 1);
    else if (how === 1) whole.push(whole[at] as string);
    else if (how === 2) whole.reverse();
    else if (how === 3) {
      const bytes = Buffer.from(whole[at] as string);
      const changed = broken(chance, bytes);
      whole[at] = typeof whole[at] === 'string' ? changed.toString() : changed;
    }
    return whole;
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

  await register();
  for (let i = 0; i < frames; i++) {
    if (i % 8 === 0) start();
    if (i % 50 === 0) await clock.advance(500);
    if (transport.closedWith !== undefined) await register();
    if (int(10) === 0) for (const message of honest()) transport.arrive(message);
    transport.arrive(dialect === 'stream' && int(6) > 0 ? binary() : text());
  }
  await hub.close();
  await clock.advance(5_000);
  const what = `seed ${seed}, ${frames} frames of the ${dialect} dialect`;
  assert.equal(hub.counters.internalErrors, 0, `${what}: something threw`);
  assert.equal(sinks.filter((sink) => !sink.ending).length, 0, `${what}: an attempt never ended`);
  assert.equal(hub.registry.inFlight, 0, `${what}: the table of attempts is not empty`);
  assert.equal(hub.registry.bufferedBytes, 0, `${what}: bytes are left`);
  assert.equal(hub.links, 0, `${what}: a link is left`);
  assert.equal(clock.nextAt(), undefined, `${what}: a timer is left`);
  assert.equal(
    ({} as Record<string, unknown>)['choices'],
    undefined,
    `${what}: the prototype of all objects was changed`,
  );
  return {
    attempts: sinks.length,
    completed: sinks.filter((sink) => sink.ending?.outcome === 'completed').length,
  };
}

/** How much of a run was more than noise. */
export interface FrameTally {
  readonly attempts: number;
  readonly completed: number;
}
