import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import type { Backend, BackendEnd, BackendSink } from './backends/backend.ts';
import { HealthWatch } from './model-health.ts';
import { Desk } from './serve.ts';
import type { ModelSetting } from './settings.ts';
import { Shelf } from './shelf.ts';

/** A backend that runs until it is told to end, and remembers that it was closed. */
class HeldBackend implements Backend {
  readonly operations = ['chat/completions'] as const;
  readonly facts = {};
  readonly running: BackendSink[] = [];
  closed = 0;

  serve(_request: unknown, sink: BackendSink) {
    this.running.push(sink);
    return { cancel: () => sink.end({ status: 499 }), resume: () => {} };
  }

  probe() {
    return Promise.resolve(true);
  }

  close() {
    this.closed += 1;
    return Promise.resolve();
  }
}

let clock: VirtualClock;
let desk: Desk;
let shelf: Shelf;
let opened: Map<string, HeldBackend>;
let announced: string[];

beforeEach(async () => {
  clock = new VirtualClock();
  desk = new Desk({ models: new Map(), limits: { concurrent: 8, waiting: 8, waitMsMax: 60_000 }, clock });
  opened = new Map();
  announced = [];
  shelf = new Shelf({
    open: ({ id, source }) => {
      if (source.kind !== 'rehearsal') throw new Error('no such file');
      const backend = new HeldBackend();
      opened.set(`${id} ${source.plan}`, backend);
      return Promise.resolve(backend);
    },
    unmet: () => Promise.resolve([]),
    desk,
    watch: new HealthWatch(clock, silentLog),
    clock,
    log: silentLog,
    announce: () => announced.push(shelf.ready().join(' ')),
  });
  await shelf.open([setting('a'), setting('b')]);
});

function setting(id: string, more: Partial<ModelSetting> & { plan?: string } = {}): ModelSetting {
  const { plan = 'one', ...rest } = more;
  return {
    id,
    source: { kind: 'rehearsal', plan },
    concurrency: undefined,
    contextLength: undefined,
    format: undefined,
    quantization: undefined,
    ...rest,
  };
}

/** Asks for a model; resolves with how that ended. */
function ask(modelId: string): Promise<BackendEnd> {
  return new Promise((resolve) => {
    desk.begin(
      {
        modelId,
        deadlineMs: 600_000,
        operation: 'chat/completions',
        body: {},
        stream: true,
        identity: { completion: 'c', model: modelId, createdS: 0 },
      },
      { event: () => true, answer: () => {}, end: resolve },
    );
  });
}

const of = (name: string) => opened.get(name) as HeldBackend;
const settled = () => clock.advance(0);

describe('a model that is taken away', () => {
  it('is announced no more at once, served while the hub may not know it, and gone when its last request has ended', async () => {
    const change = await shelf.apply([setting('b')]);
    expect(change).toEqual({ added: [], changed: [], removed: ['a'], failed: [] });
    expect(announced).toEqual(['b']);
    const late = ask('a');
    expect(of('a one').running).toHaveLength(1);
    await clock.advance(10_000);
    // Its time is over, and a request still runs.
    expect(of('a one').closed).toBe(0);
    expect(shelf.states().map(({ id, state }) => [id, state])).toEqual([
      ['a', 'leaving'],
      ['b', 'ready'],
    ]);
    of('a one').running[0]?.end({ status: 200 });
    expect(await late).toMatchObject({ status: 200 });
    await settled();
    expect(of('a one').closed).toBe(1);
    expect(shelf.states().map(({ id }) => id)).toEqual(['b']);
    expect(await ask('a')).toMatchObject({ status: 404 });
  });

  it('may come back before it is gone, and stays', async () => {
    await shelf.apply([setting('b')]);
    await shelf.apply([setting('a'), setting('b')]);
    await clock.advance(60_000);
    expect(shelf.ready().toSorted()).toEqual(['a', 'b']);
    expect(shelf.states()).toMatchObject([{ state: 'ready' }, { state: 'ready' }]);
    void ask('a');
    expect(of('a one').running).toHaveLength(1);
    expect(of('a one').closed).toBe(0);
  });
});

describe('a model that gets another source', () => {
  it('is served from there at once, and the old one is closed when it has ended what it had', async () => {
    const before = ask('a');
    expect((await shelf.apply([setting('a', { plan: 'two' }), setting('b')])).changed).toEqual(['a']);
    void ask('a');
    expect([of('a one').running.length, of('a two').running.length]).toEqual([1, 1]);
    expect(of('a one').closed).toBe(0);
    of('a one').running[0]?.end({ status: 200 });
    expect(await before).toMatchObject({ status: 200 });
    await settled();
    expect([of('a one').closed, of('a two').closed]).toEqual([1, 0]);
  });

  it('has its waiting requests served by the new one', async () => {
    await shelf.apply([setting('a', { concurrency: 1 }), setting('b')]);
    void ask('a');
    void ask('a');
    expect(desk.figures()).toMatchObject({ active: 1, waiting: 1 });
    await shelf.apply([setting('a', { concurrency: 1, plan: 'two' }), setting('b')]);
    of('a one').running[0]?.end({ status: 200 });
    expect(of('a two').running).toHaveLength(1);
  });

  it('stays where it was when the new one cannot be opened', async () => {
    const file = { kind: 'embedded', path: '/x.gguf', sequences: 1, threads: 1, gpu: false } as const;
    const change = await shelf.apply([setting('a', { source: file }), setting('b')]);
    expect(change.failed).toEqual([{ id: 'a', because: 'no such file' }]);
    expect(shelf.ready()).toEqual(['a', 'b']);
    expect(of('a one').closed).toBe(0);
  });
});

describe('limits that were set while running', () => {
  const limits = () =>
    shelf.states().map(({ concurrency, requestsPerMinute }) => [concurrency, requestsPerMinute]);

  it("hold until the model's own setting changes, and no other change touches them", async () => {
    shelf.limit('a', { concurrency: 2, requestsPerMinute: 30 });
    expect(limits()[0]).toEqual([2, 30]);
    await shelf.apply([setting('a'), setting('b', { concurrency: 5 }), setting('c')]);
    expect(limits()).toEqual([
      [2, 30],
      [5, undefined],
      [8, undefined],
    ]);
    await shelf.apply([setting('a', { plan: 'two' }), setting('b'), setting('c')]);
    expect(limits()[0]).toEqual([2, 30]);
    await shelf.apply([setting('a', { plan: 'two', requestsPerMinute: 60 }), setting('b'), setting('c')]);
    expect(limits()[0]).toEqual([8, 60]);
  });

  it('never exceed what all together may do', () => {
    shelf.limit('a', { concurrency: 100 });
    expect(limits()[0]).toEqual([8, undefined]);
    desk.limit({ concurrent: 3 });
    shelf.limitsChanged();
    expect(limits()).toEqual([
      [3, undefined],
      [3, undefined],
    ]);
  });
});

it('says nothing to anybody where nothing has changed', async () => {
  expect(await shelf.apply([setting('a'), setting('b')])).toEqual({
    added: [],
    changed: [],
    removed: [],
    failed: [],
  });
  expect([announced, opened.size]).toEqual([[], 2]);
});

it('closes every backend once, those that were ending too', async () => {
  void ask('a');
  await shelf.apply([setting('a', { plan: 'two' }), setting('b')]);
  desk.close();
  await shelf.close();
  await clock.advance(60_000);
  expect([...opened.values()].map(({ closed }) => closed)).toEqual([1, 1, 1]);
});
