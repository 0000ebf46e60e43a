import { beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { type EventSink, LIVE_LIMITS, type Listener, LiveEvents, TOPICS } from './live-events.ts';

class Reader implements EventSink {
  text = '';
  waitingBytes = 0;
  ended: 'in-order' | 'now' | undefined;
  write(text: string): void {
    this.text += text;
  }
  end(how: 'in-order' | 'now'): void {
    this.ended = how;
  }
  get events(): string[] {
    return [...this.text.matchAll(/^event: (\w+)$/gm)].map(([, topic]) => topic as string);
  }
}

let clock: VirtualClock;
let live: LiveEvents;
let balances: Map<string, object>;
let asked: string[][];
let lasting: Map<string, { isOperator: boolean }>;
beforeEach(() => {
  clock = new VirtualClock(Date.UTC(2026, 10, 20));
  balances = new Map([
    ['cons_a', { total_usd: '1' }],
    ['cons_b', { total_usd: '2' }],
  ]);
  asked = [];
  lasting = new Map([['sess_a', { isOperator: false }]]);
  live = new LiveEvents({
    clock,
    log: silentLog,
    sources: {
      sessions: async () => lasting,
      balances: async (ids) => {
        asked.push([...ids]);
        return new Map(ids.map((id) => [id, balances.get(id) ?? {}]));
      },
      usage: async () => new Map(),
      nodes: (ids) => new Map(ids.map((id) => [id, { online: 1 }])),
      incidents: async () => ({ open: [] }),
      settlement: async () => ({ newest: null }),
      operator: async () => ({ approvals_waiting: 1 }),
    },
  });
});
const listener = (about: Partial<Listener> = {}): Listener => ({
  account: 'user_a',
  consumerId: 'cons_a',
  providerId: undefined,
  isOperator: false,
  sessionId: undefined,
  keyHolds: () => true,
  topics: new Set(TOPICS),
  ...about,
});

describe('a page that listens', () => {
  test('is told everything once, and then only what changed', async () => {
    const reader = new Reader();
    live.join(listener(), reader);
    await live.round();
    expect(reader.events).toEqual(['balance', 'incidents', 'settlement']);
    await live.round();
    expect(reader.events).toHaveLength(3);
    balances.set('cons_a', { total_usd: '0.5' });
    await live.round();
    expect(reader.events).toEqual(['balance', 'incidents', 'settlement', 'balance']);
    expect(reader.text).toContain('data: {"total_usd":"0.5"}\n\n');
  });

  test("hears of its own account and of nobody else's", async () => {
    const [mine, theirs] = [new Reader(), new Reader()];
    live.join(listener(), mine);
    live.join(listener({ account: 'user_b', consumerId: 'cons_b' }), theirs);
    await live.round();
    expect(mine.text).toContain('"1"');
    expect(mine.text).not.toContain('"2"');
    expect(theirs.text).not.toContain('"1"');
    expect(asked).toEqual([['cons_a', 'cons_b']]);
  });

  test('hears what operators do only as an operator, and of nodes only as a provider', async () => {
    const [plain, operator] = [new Reader(), new Reader()];
    live.join(listener(), plain);
    live.join(listener({ account: 'user_o', isOperator: true, providerId: 'prov_o' }), operator);
    await live.round();
    expect(plain.events).not.toContain('operator');
    expect(plain.events).not.toContain('nodes');
    expect(operator.events).toEqual(expect.arrayContaining(['operator', 'nodes']));
  });

  test('hears only the topics that it asked for', async () => {
    const reader = new Reader();
    live.join(listener({ topics: new Set(['incidents'] as const) }), reader);
    await live.round();
    expect(reader.events).toEqual(['incidents']);
    expect(asked).toEqual([]);
  });

  test('that reads too slowly is dropped, and the others go on', async () => {
    const [slow, quick] = [new Reader(), new Reader()];
    live.join(listener(), slow);
    live.join(listener({ account: 'user_b' }), quick);
    slow.waitingBytes = LIVE_LIMITS.waitingBytesMax + 1;
    await live.round();
    expect(slow.ended).toBe('now');
    expect(quick.events).toHaveLength(3);
    expect(live.size).toBe(1);
  });

  test('hears that there is somebody, when nothing changes', async () => {
    const reader = new Reader();
    live.join(listener(), reader);
    await live.round();
    await clock.advance(LIVE_LIMITS.heartbeatMs);
    await live.round();
    expect(reader.text).toContain(': still here\n\n');
  });

  test('hears nothing more once its session or its key is over, or it is no operator any more', async () => {
    const [session, key, operator, steady] = [new Reader(), new Reader(), new Reader(), new Reader()];
    lasting.set('sess_o', { isOperator: true });
    let holds = true;
    live.join(listener({ sessionId: 'sess_a' }), session);
    live.join(listener({ keyHolds: () => holds }), key);
    live.join(listener({ sessionId: 'sess_o', isOperator: true }), operator);
    live.join(listener(), steady);
    await live.round();
    for (const reader of [session, key, operator]) expect(reader.events).toContain('balance');
    const heard = session.text;
    lasting.delete('sess_a');
    lasting.set('sess_o', { isOperator: false });
    holds = false;
    balances.set('cons_a', { total_usd: '9' });
    await live.round();
    expect([session, key, operator, steady].map(({ ended }) => ended)).toEqual([
      'in-order',
      'in-order',
      'in-order',
      undefined,
    ]);
    expect(session.text).toBe(heard);
    expect(live.size).toBe(1);
  });

  test('must come back after a while, so that a lost right is noticed', async () => {
    const reader = new Reader();
    live.join(listener(), reader);
    await clock.advance(LIVE_LIMITS.lifeMs);
    await live.round();
    expect(reader.ended).toBe('in-order');
    expect(live.size).toBe(0);
  });
});

test('one account and one process have only so many streams, and a stream that left makes room', () => {
  const leave = [];
  for (let n = 0; n < LIVE_LIMITS.perAccount; n++) leave.push(live.join(listener(), new Reader()));
  expect(live.join(listener(), new Reader())).toBe('full');
  (leave[0] as () => void)();
  expect(live.join(listener(), new Reader())).not.toBe('full');
  for (let n = 0; live.size < LIVE_LIMITS.perProcess; n++)
    live.join(listener({ account: `user_${n}` }), new Reader());
  expect(live.join(listener({ account: 'user_last' }), new Reader())).toBe('full');
});

test('who asks once is told how things are, and of nobody else is anything asked or told', async () => {
  const other = new Reader();
  live.join(listener({ account: 'user_b', consumerId: 'cons_b' }), other);
  const before = other.text;
  const text = await live.once(listener({ topics: new Set(['balance', 'incidents'] as const) }));
  expect(text).toBe('event: balance\ndata: {"total_usd":"1"}\n\nevent: incidents\ndata: {"open":[]}\n\n');
  expect(asked).toEqual([['cons_a']]);
  expect(other.text).toBe(before);
  expect(live.size).toBe(1);
});

test('a market that nobody looks at is asked nothing', async () => {
  await live.round();
  expect(asked).toEqual([]);
});

test('when the market leaves, its pages are let go and none is taken', async () => {
  const reader = new Reader();
  live.join(listener(), reader);
  await live.close();
  expect(reader.ended).toBe('in-order');
  expect(live.join(listener(), new Reader())).toBe('full');
});
