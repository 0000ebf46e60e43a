import { beforeEach, describe, expect, test } from 'vitest';
import type { KeyRecord } from '#domain/party.ts';
import { openLog } from '#kit/log.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { type DebugEntry, DebugLog, type DebugText, REQUEST_BYTES_MAX, TEXT_CHARS_MAX } from './debug-log.ts';
import type { Reply } from './reply.ts';

let clock: VirtualClock;
let kept: DebugEntry[];
let fails: boolean;
let log: DebugLog;
let lines: string[];
beforeEach(() => {
  clock = new VirtualClock();
  kept = [];
  fails = false;
  lines = [];
  log = new DebugLog({
    clock,
    log: openLog({ level: 'debug', destination: { write: (line: string) => void lines.push(line) } }),
    modelNamed: (name) => (name === 'short' ? 'a/model' : undefined),
    store: {
      keep: async (entry) => {
        if (fails) throw Object.assign(new Error(`no room for ${entry.text.open()}`), { code: 'away' });
        kept.push(entry);
      },
    },
  });
});

/** What a client would get. */
class Got implements Reply {
  congested = false;
  gone = false;
  onGone: (() => void) | undefined;
  onDrained: (() => void) | undefined;
  heard = '';
  send(_status: number, _headers: readonly string[], body: Buffer): void {
    this.heard += body;
  }
  open(): void {}
  write(bytes: Buffer): void {
    this.heard += bytes;
  }
  finish(): void {}
}

const key = (debugUntil?: number): KeyRecord => ({
  id: 'key_1',
  kind: 'consumer',
  ownerId: 'con_1',
  name: '',
  prefix: '',
  revoked: false,
  ...(debugUntil !== undefined && { debugUntil }),
});
const until = (): number => clock.wallMs() + 1_000;
const copyOf = (body: Buffer | object, got = new Got()) =>
  log.copy(
    key(until()),
    {
      requestId: 'req_1',
      endpoint: 'chat completions',
      body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
    },
    got,
  );
const textOf = (entry: DebugEntry | undefined): DebugText =>
  JSON.parse(entry?.text.open() ?? '{}') as DebugText;
const event = (delta: object, finish: string | null = null): Buffer =>
  Buffer.from(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
const gathered = () => clock.advance(200);

describe('a debug log', () => {
  test('copies nothing for whoever wants none, or wanted it until now', () => {
    const about = { requestId: 'req_1', endpoint: 'x', body: Buffer.from('{}') };
    expect(log.copy(key(), about, new Got())).toBeUndefined();
    expect(log.copy(key(clock.wallMs()), about, new Got())).toBeUndefined();
  });

  test('keeps body and answer, redacted, under the id of the model', async () => {
    const got = new Got();
    const copied = copyOf({ model: 'short', messages: [{ content: 'I am me@example.org' }] }, got);
    copied?.send(200, [], Buffer.from('{"choices":[{"message":{"content":"sk-swan-0123456789"}}]}'));
    copied?.over();
    expect(got.heard).toContain('sk-swan-0123456789');
    await gathered();
    expect(kept).toMatchObject([
      { id: 'req_1', consumerId: 'con_1', endpoint: 'chat completions', status: 200, streamed: false },
    ]);
    expect(textOf(kept[0])).toEqual({
      model: 'a/model',
      request: '{"model":"short","messages":[{"content":"I am [e-mail address]"}]}',
      request_cut: false,
      answer: '{"choices":[{"message":{"content":"[secret]"}}]}',
      answer_cut: false,
      left: false,
    });
  });

  test('finds a secret that a stream cut in two, in text and in the arguments of a tool', async () => {
    const copied = copyOf({});
    copied?.open(200, []);
    copied?.write(event({ role: 'assistant', content: 'say sk-swan-01' }));
    copied?.write(event({ content: '23456789ab' }));
    copied?.write(
      event({ tool_calls: [{ index: 0, function: { name: 'mail', arguments: '{"to":"me@exa' } }] }),
    );
    copied?.write(event({ tool_calls: [{ index: 0, function: { arguments: 'mple.org"}' } }] }, 'tool_calls'));
    copied?.write(Buffer.from('data: [DONE]\n\n'));
    copied?.finish();
    copied?.over();
    await gathered();
    expect(JSON.parse(textOf(kept[0]).answer)).toEqual({
      choices: [
        {
          content: 'say [secret]',
          'tool_calls.0.function.name': 'mail',
          'tool_calls.0.function.arguments': '{"to":"[e-mail address]"}',
          finish_reason: 'tool_calls',
        },
      ],
    });
    expect(textOf(kept[0]).left).toBe(false);
  });

  test('says that the client left, and keeps what it got until then', async () => {
    const got = new Got();
    const copied = copyOf({}, got);
    copied?.open(200, []);
    copied?.write(event({ content: 'half' }));
    got.gone = true;
    copied?.write(event({ content: ' and more' }));
    copied?.finish();
    copied?.over();
    await gathered();
    expect(textOf(kept[0])).toMatchObject({ left: true });
    expect(textOf(kept[0]).answer).toContain('"half"');
  });

  test('keeps nothing of a request that never ended, because the process did', async () => {
    const copied = copyOf({});
    copied?.open(200, []);
    copied?.write(event({ content: 'half' }));
    await log.close();
    expect(kept).toEqual([]);
  });

  test('keeps the length alone of what is no JSON or too long, and cuts what is long', async () => {
    copyOf(Buffer.from('RIFF\0sound'))?.over();
    copyOf(Buffer.alloc(REQUEST_BYTES_MAX + 1, 'x'))?.over();
    copyOf({ text: 'word '.repeat(20_000) })?.over();
    await gathered();
    const texts = kept.map(textOf);
    expect(texts.map(({ request_cut }) => request_cut)).toEqual([true, true, true]);
    expect(texts[0]?.request).toBe('[a body of 10 bytes that is no JSON]');
    expect(texts[1]?.request).toMatch(/too long/);
    expect(texts[2]?.request).toHaveLength(TEXT_CHARS_MAX);
  });

  test('of an answer longer than is copied leaves no half of a secret at its end', async () => {
    const copied = copyOf({});
    copied?.open(200, []);
    for (let i = 0; i < 200; i++)
      copied?.write(event({ content: `${'word '.repeat(1_200)}sk-swan-0123456789abcdef` }));
    copied?.finish();
    copied?.over();
    await gathered();
    const { answer, answer_cut } = textOf(kept[0]);
    expect(answer_cut).toBe(true);
    expect(answer).not.toMatch(/sk-swan/);
  });

  test('that the store does not take costs no request anything, and no line of the log repeats it', async () => {
    fails = true;
    const got = new Got();
    const copied = copyOf({ text: 'kanarienvogel' }, got);
    copied?.send(200, [], Buffer.from('{}'));
    copied?.over();
    await gathered();
    expect(got.heard).toBe('{}');
    expect(kept).toEqual([]);
    expect(lines.join('\n')).toContain('could not be kept');
    expect(lines.join('\n')).not.toContain('kanarienvogel');
    fails = false;
    copyOf({})?.over();
    await gathered();
    expect(kept).toHaveLength(1);
  });

  test('keeps in memory no more than fits, and what waits is kept at the end', async () => {
    for (let i = 0; i < 1_000; i++) copyOf({ i })?.over();
    await log.close();
    expect(kept).toHaveLength(256);
    expect(copyOf({})).toBeUndefined();
  });

  test('hears of a client that leaves, and of one that can take more, like any reply', () => {
    const got = new Got();
    const copied = copyOf({}, got);
    let heard = 0;
    if (copied) {
      copied.onGone = () => heard++;
      copied.onDrained = () => heard++;
    }
    got.onGone?.();
    got.onDrained?.();
    got.congested = true;
    expect(heard).toBe(2);
    expect(copied?.congested).toBe(true);
  });
});
