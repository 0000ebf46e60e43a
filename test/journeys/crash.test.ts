import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { RunningAgent } from '#agent/run.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { parseUsd } from '#domain/money.ts';
import { pause, systemClock } from '#kit/clock.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { startAgent } from '#support/agent.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { freePorts } from '#support/free-ports.ts';
import { chatModels, makeConsumer, makeProvider, operatorsBook, type TestParty } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Program } from '#support/program.ts';

// The real program, killed without warning while real clients are served, again and again. Whatever a client was told is
// complete was charged exactly once; nothing was charged twice; and at the end nothing is held and the book balances.
//
// Ten kills in an ordinary run; `npm run crash` does a thousand (or CYGNET_CRASH_KILLS). It prints how long the market
// took to be ready again.

const KILLS = Number(process.env['CYGNET_CRASH_KILLS'] ?? 10);
const SEED = Number(process.env['CYGNET_CRASH_SEED'] ?? 1);
const CLIENTS = 12;
const TOKENS = 12;
const PROMPT_TOKENS = 9;

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Told {
  readonly requestId: string;
  /** A streamed answer states what it costs. */
  readonly usage: { prompt_tokens: number; completion_tokens: number };
}

/** The market as a process, on a database and a folder that outlive it. */
class Victim {
  readonly fresh: FreshDatabase;
  readonly env: Record<string, string>;
  readonly url: string;
  readonly hubUrl: string;
  program: Program | undefined;
  /** Resolves when the market is up again; replaced at each kill. */
  up: Promise<void> = Promise.resolve();

  private constructor(fresh: FreshDatabase, folder: string, [gateway, hub]: readonly number[]) {
    this.fresh = fresh;
    this.url = `http://127.0.0.1:${gateway}`;
    this.hubUrl = `ws://127.0.0.1:${hub}`;
    this.env = {
      DATABASE_URL: fresh.url,
      CYGNET_DATA_DIR: folder,
      CYGNET_GATEWAY_PORT: String(gateway),
      CYGNET_HUB_PORT: String(hub),
      CYGNET_LLM_REQUESTS_PER_MINUTE: '1000000',
      CYGNET_LOG_LEVEL: 'warn',
    };
  }

  static async make(): Promise<Victim> {
    const fresh = await freshDatabase();
    closers.push(() => fresh.drop());
    await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
    const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-crash-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const victim = new Victim(fresh, folder, await freePorts(2));
    closers.push(() => victim.program?.stop('SIGKILL'));
    return victim;
  }

  /** Starts it and waits until it answers; how long that took, in milliseconds. */
  async start(): Promise<number> {
    const began = performance.now();
    const program = await Program.start(['serve'], this.env);
    this.program = program;
    for (;;) {
      if (!program.running) throw new Error(`The market did not start: ${program.out}${program.err}`);
      const health = await fetch(`${this.url}/health`).catch(() => undefined);
      if (health?.ok) return performance.now() - began;
      await pause(systemClock, 5);
    }
  }

  /** Starts it and kills it so many milliseconds later. */
  async startAndDie(afterMs: number): Promise<void> {
    this.program = await Program.start(['serve'], this.env);
    await pause(systemClock, afterMs);
    await this.program.stop('SIGKILL');
  }
}

/** Asks on and on until told to stop; keeps what it was told is complete. */
async function client(
  victim: Victim,
  party: TestParty,
  model: string,
  about: { stop: () => boolean; told: (told: Told) => void; stream: boolean },
): Promise<void> {
  const asked = { url: victim.url, key: party.key };
  const body = { model, messages: HELLO, max_tokens: TOKENS };
  while (!about.stop()) {
    try {
      if (about.stream) {
        const stream = await askStream({
          ...asked,
          body: { ...body, stream_options: { include_usage: true } },
        });
        await stream.ended;
        if (stream.done) {
          about.told({
            requestId: stream.headers['x-request-id'] as string,
            usage: stream.chunks.at(-1).usage,
          });
          continue;
        }
      } else {
        const { status, headers, json } = await ask({ ...asked, body });
        if (status === 200) {
          about.told({ requestId: headers['x-request-id'] as string, usage: json.usage });
          continue;
        }
      }
    } catch {
      // Killed under our hands: as any client would, we come again.
    }
    await victim.up;
    await pause(systemClock, 5);
  }
}

/** Asks for what is not there, on and on until told to stop, and once more then. Answers what was refused, in order. */
async function refusedClient(victim: Victim, party: TestParty, stop: () => boolean): Promise<string[]> {
  const refused: string[] = [];
  const body = { model: 'no-such-model', messages: HELLO };
  for (;;) {
    const isLast = stop();
    try {
      const { status, headers } = await ask({ url: victim.url, key: party.key, body });
      if (status === 404) refused.push(headers['x-request-id'] as string);
    } catch {
      // Killed under our hands.
    }
    if (isLast) return refused;
    await victim.up;
    await pause(systemClock, 100);
  }
}

test(
  `killed ${KILLS} times under load, the market charges what it answered exactly once`,
  async () => {
    const victim = await Victim.make();
    const { database } = victim.fresh;
    const random = seededRandomness(SEED);
    const credit = parseUsd('50');
    const parties = await Promise.all(Array.from({ length: 4 }, () => makeConsumer(database, credit)));
    const provider = await makeProvider(database);
    const [model] = await chatModels(database);
    if (!model) throw new Error('The catalogue is empty.');
    const agentFolder = mkdtempSync(path.join(tmpdir(), 'cygnet-crash-agent-'));
    closers.push(() => rmSync(agentFolder, { recursive: true, force: true }));

    const told = new Map<string, Told>();
    let twice = 0;
    let wake: () => void = () => {};
    let stopping = false;
    const readyMs: number[] = [];
    let agent: RunningAgent | undefined;
    const bringUp = async (): Promise<void> => {
      readyMs.push(await victim.start());
      await agent?.close();
      // A new agent each time, on the old one's folder: an old one would dial ever more slowly at a hub that dies so often.
      agent = await startAgent(
        victim.hubUrl,
        [`${model.id}=rehearsal:tokens=${TOKENS},prompt=${PROMPT_TOKENS},paced=1`],
        { key: new Sealed(provider.key), folder: agentFolder },
      );
      await agent.registered;
    };
    closers.push(() => agent?.close());

    victim.up = bringUp();
    await victim.up;
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      client(victim, parties[i % parties.length] as TestParty, model.id, {
        stop: () => stopping,
        stream: i % 3 !== 0,
        told: (answer) => {
          if (told.has(answer.requestId)) twice += 1;
          told.set(answer.requestId, answer);
          wake();
        },
      }),
    );
    const refusing = refusedClient(victim, parties[0] as TestParty, () => stopping);
    const answers = async (count: number): Promise<void> => {
      const goal = told.size + count;
      while (told.size < goal) await new Promise<void>((resolve) => (wake = resolve));
    };

    for (let kill = 0; kill < KILLS; kill++) {
      await answers(1 + Math.floor(random.float() * 40));
      await victim.program?.stop('SIGKILL');
      // Now and then it dies a second time while it is coming up, when it settles what its last life left.
      const diesAfterMs = random.float() < 0.2 ? random.float() * 600 : undefined;
      victim.up = (async () => {
        if (diesAfterMs !== undefined) await victim.startAndDie(diesAfterMs);
        await bringUp();
      })();
      await victim.up;
    }
    await answers(20);
    stopping = true;
    await Promise.all(clients);
    const refused = await refusing;
    await agent?.close();
    expect(await victim.program?.stop()).toEqual({ code: 0, signal: null });

    const sorted = readyMs.slice(1).toSorted((a, b) => a - b);
    const at = (share: number) =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
    console.log(
      `${KILLS} kills (seed ${SEED}), ${told.size} answers told complete; ready again after p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
    );

    expect(twice).toBe(0);
    const charged = await database.sql<{ id: string; outcome: string; charge: bigint; entries: number }[]>`
      select u.id, u.outcome, u.charge, count(e.id)::integer as entries
      from usage u left join entries e on e.id = 'charge:' || u.id group by u.id`;
    const byId = new Map(charged.map((row) => [row.id, row]));
    const wrong = [...told.values()].filter(({ requestId, usage }) => {
      const row = byId.get(requestId);
      const cost =
        BigInt(usage.prompt_tokens) * model.inputPico + BigInt(usage.completion_tokens) * model.outputPico;
      return row?.outcome !== 'completed' || row.charge !== cost || row.entries !== 1;
    });
    expect(wrong).toEqual([]);
    // What nobody was told of is charged once or not at all, and never without an entry.
    expect(charged.filter((row) => row.entries !== (row.charge > 0n ? 1 : 0))).toEqual([]);

    expect(await audit(database)).toMatchObject({ balanced: true, differences: [], rejectedRecords: 0 });
    const book = operatorsBook(database);
    let left = 0n;
    for (const party of parties) {
      const balance = await book.balance(party.id);
      expect(balance.held).toBe(0n);
      left += balance.total;
    }
    // A refusal has one row, or none where its gateway was killed over it, and nothing of money. The last life ended in order.
    const rows = await database.sql<{ id: string; used: boolean }[]>`
      select r.request_id as id, exists (select from usage u where u.id = r.request_id) as used from request_refusals r
      where r.request_id = any(${refused})`;
    expect(rows.filter(({ used }) => used)).toEqual([]);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
    expect(rows.map(({ id }) => id)).toContain(refused.at(-1));
    const spent = charged.reduce((sum, row) => sum + row.charge, 0n);
    expect(left).toBe(credit * BigInt(parties.length) - spent);
  },
  60_000 + KILLS * 10_000,
);
