import { Evaluator } from '#benchmark/evaluator.ts';
import { Sampler } from '#benchmark/sampler.ts';
import { type BenchmarkSettings, DEFAULT_BENCHMARK_SETTINGS } from '#benchmark/settings.ts';
import { BenchmarkStore, type Place } from '#benchmark/store.ts';
import { makePaper } from '#benchmark/tasks/paper.ts';
import type { Question } from '#benchmark/tasks/question.ts';
import { TurnBook } from '#benchmark/turn-book.ts';
import type { Collateral } from '#funds/collateral.ts';
import { NodeBook } from '#identity/node-book.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { type Randomness, seededRandomness } from '#kit/random.ts';
import type { MemoryTransport } from './memory-transport.ts';
import { makeId, makeProvider, type TestParty } from './parties.ts';
import { type FreshDatabase, freshDatabase } from './postgres.ts';
import { dialMemory, type Served, SwanAgent } from './swan-agent.ts';
import { MODEL, testHub } from './test-hub.ts';
import { settlePromises, VirtualClock } from './virtual-clock.ts';

/** A right answer to a question, as a good model may write it. */
export function solutionOf({ key }: Question): string {
  if (key.kind === 'math') return `Step 1 of 2 is done, so the result is ${key.value}.`;
  if (key.kind === 'code') return `Here you go:\n\n\`\`\`javascript\n${key.source}\n\`\`\`\n`;
  return key.items.join(', ');
}

/** What a node answers: a text, an error with this status (200: it ends without a word), or (undefined) nothing at all. */
export type Answers = (question: Question, modelId: string) => string | { status: number } | undefined;

/**
 * Knows every question that is drawn from a source of chance: what is asked can be looked up by its words. The market
 * draws from `random`; a test answers by `find`.
 */
export class QuestionSpy {
  readonly random: Randomness;
  readonly #seeds: string[] = [];
  readonly #byPrompt = new Map<string, Question>();
  #read = 0;

  constructor(source: Randomness) {
    this.random = {
      float: () => source.float(),
      bytes: (length) => {
        const bytes = source.bytes(length);
        if (length === 16) this.#seeds.push(bytes.toString('hex'));
        return bytes;
      },
    };
  }

  find(served: Served): Question {
    const [message] = served.request['messages'] as { content: string }[];
    for (; this.#read < this.#seeds.length; this.#read++) {
      for (const level of ['basic', 'standard'] as const) {
        for (const question of makePaper(this.#seeds[this.#read] ?? '', level)) {
          this.#byPrompt.set(question.prompt, question);
        }
      }
    }
    const question = this.#byPrompt.get(message?.content ?? '');
    if (!question) throw new Error(`Nobody drew ${JSON.stringify(message)}.`);
    return question;
  }

  /** A script that answers every question so. */
  script(answers: Answers): (served: Served) => void {
    return (served) => {
      const answer = answers(this.find(served), served.modelId);
      if (answer === undefined) return;
      if (typeof answer === 'object') {
        served.end(answer.status === 200 ? {} : { status_code: answer.status, error: 'no' });
        return;
      }
      served.role();
      for (let i = 0; i < answer.length; i += 200) served.token(answer.slice(i, i + 200));
      served.finish();
      served.done();
      served.end({});
    };
  }
}

const CLOCK_STEP_MS = 20_000;

export type CollateralStep = Parameters<Collateral['slash']>[0];

/** The room of benchmarks on a real database, with a hub in memory and a clock in hand. Wall time moves by `later`. */
export class BenchHouse {
  readonly fresh: FreshDatabase;
  readonly clock: VirtualClock;
  readonly store: BenchmarkStore;
  readonly book: TurnBook;
  /** What was asked of collateral since the last `leaveAll`. */
  readonly slashes: CollateralStep[] = [];
  readonly #spy = new QuestionSpy(seededRandomness(11));
  readonly #hub: ReturnType<typeof testHub>;
  readonly #evaluator = new Evaluator({ clock: systemClock });
  readonly #leaving: (() => unknown)[] = [];
  #broken = 0;
  #nodes = 0;

  static async open(): Promise<BenchHouse> {
    const fresh = await freshDatabase();
    const clock = new VirtualClock();
    const { validMs } = DEFAULT_BENCHMARK_SETTINGS;
    const book = await TurnBook.open({
      database: fresh.database,
      clock,
      log: silentLog,
      validMs,
      asks: () => true,
    });
    return new BenchHouse(fresh, clock, book);
  }

  private constructor(fresh: FreshDatabase, clock: VirtualClock, book: TurnBook) {
    this.fresh = fresh;
    this.clock = clock;
    this.book = book;
    this.store = new BenchmarkStore(fresh.database);
    const nodes = new NodeBook({ database: fresh.database, clock, log: silentLog });
    this.#hub = testHub(clock, { parts: { standings: book, nodes } });
  }

  /** A sampler of another process on the same database, which reaches the same agents. */
  another(more: Partial<BenchmarkSettings> = {}): Sampler {
    const sampler = new Sampler({
      clock: this.clock,
      random: this.#spy.random,
      ids: idMaker(systemClock, seededRandomness(++this.#nodes)),
      log: silentLog,
      registry: this.#hub.hub.registry,
      models: this.#hub.rooms,
      store: this.store,
      book: this.book,
      evaluator: this.#evaluator,
      collateral: {
        slash: async (finding) => {
          if (this.#broken-- > 0) throw new Error('The process dies here.');
          if (!this.slashes.some(({ id }) => id === finding.id)) this.slashes.push(finding);
          return { shareBasisPoints: 0, withholdMs: 0, removes: false };
        },
      },
      settings: { ...DEFAULT_BENCHMARK_SETTINGS, mode: 'enforce', pauseMsMax: 0, ...more },
    });
    return sampler;
  }

  /** A provider's node, registered, and a sampler that sees it. */
  async node(about: {
    answers: Answers;
    generation?: 'A' | 'B' | 'C';
    models?: string[];
    provider?: TestParty;
    activatedDaysAgo?: number | undefined;
  }) {
    const { database } = this.fresh;
    const provider = about.provider ?? (await makeProvider(database));
    if (!about.provider) {
      const at = about.activatedDaysAgo;
      const activated = at === undefined ? null : new Date(this.clock.wallMs() - at * 86_400_000);
      await database.sql`update providers set activated_at = ${activated}, state = 'activating' where id = ${provider.id}`;
    }
    const { rooms, hub } = this.#hub;
    rooms.states.set(provider.id, 'active');
    const key = { id: provider.keyId, kind: 'provider', ownerId: provider.id, name: 'test' } as const;
    rooms.keys.set(provider.key, { ...key, prefix: '00000000', revoked: false });
    const nodeId = makeId('node').replace('_', '-');
    const models = about.models ?? [MODEL];
    const transports: MemoryTransport[] = [];
    const agent = new SwanAgent({
      generation: about.generation ?? 'C',
      token: provider.key,
      nodeId,
      models,
      clock: this.clock,
      script: this.#spy.script(about.answers),
      dial: dialMemory((transport) => {
        transports.push(transport);
        hub.attach(transport);
      }),
    });
    this.#leaving.push(() => agent.stop());
    await agent.start();
    await agent.until(() => agent.registered);
    const sampler = this.another();
    this.#leaving.push(() => sampler.close());
    const place: Place = { nodeId, modelId: models[0] ?? MODEL, providerId: provider.id };
    return {
      agent,
      provider,
      place,
      sampler,
      notices: () =>
        transports
          .flatMap((transport) => transport.messages('notice'))
          .map(({ payload }) => payload)
          .filter((payload) => String(payload['event']).startsWith('benchmark')),
    };
  }

  /** Wall time passes; no timer runs. */
  async later(ms: number): Promise<void> {
    this.clock.jumpWall(ms);
    await this.book.look([]);
  }

  /** Whatever is due is run to its end. */
  async runs(sampler: Sampler): Promise<void> {
    await sampler.look();
    await sampler.idle();
  }

  /** A day later, what is due then runs to its end; the clock moves on meanwhile by at most `ms`. */
  async turnComes(sampler: Sampler, ms = 0): Promise<void> {
    await sampler.look();
    await this.later(86_400_000);
    await sampler.look();
    await this.clockRuns(ms, sampler.idle());
  }

  /** Moves the clock until `done`, at most by `ms`. */
  async clockRuns(ms: number, done: Promise<unknown>): Promise<void> {
    const state = { over: false };
    const ended = done.finally(() => {
      state.over = true;
    });
    for (let moved = 0; moved < ms && !state.over; moved += CLOCK_STEP_MS) {
      await this.clock.advance(CLOCK_STEP_MS);
      await this.fresh.database.sql`select 1`;
    }
    await ended;
  }

  /** Resolves when some agent was asked a question that it has not answered. */
  async began(): Promise<void> {
    while (this.#hub.hub.registry.inFlight === 0) await settlePromises();
  }

  /** The next time that something is taken, the process dies. */
  breakCollateral(): void {
    this.#broken = 1;
  }

  async leaveAll(): Promise<void> {
    for (const leave of this.#leaving.splice(0)) await leave();
    this.slashes.length = 0;
    this.#broken = 0;
  }

  async close(): Promise<void> {
    await this.leaveAll();
    await this.#evaluator.close();
    await this.book.close();
    await this.fresh.drop();
  }
}
