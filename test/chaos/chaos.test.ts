import { spawnSync } from 'node:child_process';
import os from 'node:os';
import { afterEach, expect, test } from 'vitest';
import type { RunningAgent } from '#agent/run.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { openDatabase } from '#db/database.ts';
import { parseUsd } from '#domain/money.ts';
import { pause, systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { startAgent } from '#support/agent.ts';
import { chatModels, makeConsumer, makeProvider, operatorsBook, type TestParty } from '#support/parties.ts';
import { freePorts, run } from '#support/program.ts';
import { hasRedis, TestRedis } from '#support/redis.ts';
import { StallingPostgres } from '#support/stalling-postgres.ts';
import { client, Ledger, PROMPT_TOKENS, TOKENS } from './client.ts';
import { ChaosGateway } from './gateway.ts';
import { planChaos, type Trouble } from './plan.ts';
import { Waits } from './waits.ts';

// Three gateways of one market, real PostgreSQL and Redis, agents at one of them or at all, and clients that ask now here
// and now there, while gateways are killed and everything between them fails in turn. In the end every answer was complete or
// failed with a word, every complete one was charged exactly once, nothing is held, and the books balance.
//
// A minute or two on two quiet cores for fifty kills, as in CI; `npm run chaos -- --seed N --kills 1000 --long` does as many as
// asked, and lets troubles last up to a minute. Whatever is waited for has a deadline, and what did not come is named.

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const KILLS = number('CYGNET_CHAOS_KILLS', 50);
const SEED = number('CYGNET_CHAOS_SEED', 1);
const AGENTS = number('CYGNET_CHAOS_AGENTS', 20);
const CLIENTS = number('CYGNET_CHAOS_CLIENTS', 9);
const GATEWAYS = 3;
const LONG = process.env['CYGNET_CHAOS_LONG'] === 'yes';
/** A kill comes after so long at the latest, however little was answered. */
const KILL_EACH_MS = 2_000;
/** A gateway that died is up again, on a busy machine and whatever else is in trouble. */
const UP_WITHIN_MS = LONG ? 300_000 : 150_000;
/** One trouble, and what has to be up before it ends. */
const TROUBLE_MS = 3 * UP_WITHIN_MS;
const OTHER_MS = 120_000;

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

test.skipIf(!hasRedis())(
  `killed ${KILLS} times in all kinds of trouble, a market of three gateways charges what it answered exactly once`,
  async () => {
    const [postgres, redis] = await Promise.all([StallingPostgres.open(), TestRedis.open()]);
    closers.push(
      () => postgres.close(),
      () => redis.close(),
    );
    const database = openDatabase({ url: postgres.url, log: silentLog, deadlineMs: 120_000 });
    closers.push(() => database.close());
    await seedCatalogue(database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
    const credit = parseUsd('50');
    const parties = await Promise.all(Array.from({ length: 3 }, () => makeConsumer(database, credit)));
    const providers = await Promise.all(Array.from({ length: 3 }, () => makeProvider(database)));
    const [model] = (await chatModels(database)).filter(({ category }) => category === 'llm');
    if (!model) throw new Error('The catalogue is empty.');

    const ports = await freePorts(3 * GATEWAYS);
    const env = {
      DATABASE_URL: postgres.url,
      CYGNET_REDIS_URL: redis.url,
      CYGNET_LINK_SECRET: 'a secret between gateways of one market',
      CYGNET_LLM_REQUESTS_PER_MINUTE: '1000000',
      CYGNET_REQUEST_TIMEOUT_MS: '60000',
    };
    const gateways: ChaosGateway[] = [];
    for (let i = 0; i < GATEWAYS; i++) {
      const own = ports.slice(3 * i, 3 * i + 3) as [number, number, number];
      const gateway = await ChaosGateway.make(i, own, env);
      gateways.push(gateway);
      closers.push(() => gateway.close());
    }
    const agents: RunningAgent[] = [];
    const ledger = new Ledger();
    const underWay = { step: 0, trouble: 'none' };
    const waits = new Waits(async () => {
      const busy = await Promise.race([
        database.sql`select application_name, state, wait_event, left(query, 120) as query, now() - query_start as since
          from pg_stat_activity where state <> 'idle' order by query_start`,
        pause(systemClock, 5_000).then(() => 'it does not answer'),
      ]).catch(String);
      return [
        `step ${underWay.step}, trouble ${underWay.trouble}, seed ${SEED}; load ${os.loadavg().join(' ')}`,
        `told ${ledger.told.size}, failed ${JSON.stringify([...ledger.honest])}, lost ${ledger.lost}`,
        `clients: ${[...ledger.doing].map(([name, { what, sinceMs }]) => `${name} at ${what} for ${Math.round((performance.now() - sinceMs) / 1_000)} s`).join('; ')}`,
        `agents: ${agents.map(({ connected }) => (connected ? 'connected' : 'not')).join(', ')}`,
        `PostgreSQL ${postgres.stalled ? 'stands still' : 'runs'}: ${JSON.stringify(busy)}`,
        `Redis ${redis.runs ? 'runs' : 'is dead'}`,
        ...gateways.map((gateway) => gateway.describe()),
        spawnSync('ss', ['-tlnp'], { encoding: 'utf8' }).stdout ?? '',
      ].join('\n');
    });
    const whenUp = (gateway: ChaosGateway): Promise<void> =>
      waits.for(`${gateway.url} to be up`, gateway.up, UP_WITHIN_MS);
    await waits.for(
      'the first start of every gateway',
      Promise.all(gateways.map((gateway) => gateway.start())),
      UP_WITHIN_MS,
    );
    for (let i = 0; i < AGENTS; i++) {
      const hubs = i < AGENTS / 2 ? [gateways[i % GATEWAYS] as ChaosGateway] : gateways;
      const agent = await startAgent(
        hubs.map(({ hubUrl }) => hubUrl),
        [`${model.id}=rehearsal:tokens=${TOKENS},prompt=${PROMPT_TOKENS},paced=1`],
        { key: new Sealed((providers[i % providers.length] as TestParty).key) },
      );
      agents.push(agent);
      closers.push(() => agent.close());
    }
    await waits.for(
      'every agent to register',
      Promise.all(agents.map((agent) => agent.registered)),
      OTHER_MS,
    );

    const random = seededRandomness(SEED);
    let stopping = false;
    closers.push(() => {
      stopping = true;
    });
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      client(gateways, parties[i % parties.length] as TestParty, model.id, {
        name: i,
        ledger,
        random: seededRandomness(SEED * 1_000 + i),
        stop: () => stopping,
      }),
    );

    const began = performance.now();
    const troubles = new Map<string, number>();
    const begin = async (trouble: Trouble): Promise<void> => {
      say(JSON.stringify(trouble));
      troubles.set(trouble.kind, (troubles.get(trouble.kind) ?? 0) + 1);
      const lines =
        trouble.kind === 'apart'
          ? [(gateways[trouble.gateway] as ChaosGateway).linkLine]
          : trouble.kind === 'redis-apart'
            ? gateways
                .filter((_, i) => trouble.gateway === 'all' || trouble.gateway === i)
                .map((each) => each.redisLine)
            : [];
      switch (trouble.kind) {
        case 'pause': {
          const gateway = gateways[trouble.gateway] as ChaosGateway;
          gateway.freeze();
          await pause(systemClock, trouble.forMs);
          gateway.thaw();
          break;
        }
        case 'apart':
        case 'redis-apart':
          for (const line of lines) {
            if (trouble.how === 'cut') line.cut();
            else line.hush();
          }
          await pause(systemClock, trouble.forMs);
          for (const line of lines) line.mend();
          break;
        case 'redis-dies':
          await redis.kill();
          await pause(systemClock, trouble.forMs);
          await redis.start();
          break;
        case 'postgres-stalls':
          postgres.stall();
          await pause(systemClock, trouble.forMs);
          postgres.goOn();
          break;
        case 'restart-all':
          for (const gateway of gateways) await gateway.restart();
          break;
        default:
      }
    };
    /** `CYGNET_CHAOS_TRACE=1` tells what happens when. */
    const say = (text: string): void => {
      if (process.env['CYGNET_CHAOS_TRACE']) console.log(`${Math.round(performance.now() - began)} ${text}`);
    };
    let trouble: Promise<void> | undefined;
    let failed: unknown;
    const plan = planChaos(random, { kills: KILLS, gateways: GATEWAYS, long: LONG });
    const killed = (): number => gateways.reduce((all, { kills }) => all + kills, 0);
    for (const step of plan.steps) {
      if (killed() >= KILLS) break;
      const next = trouble ? undefined : plan.troubles.shift();
      if (next) {
        underWay.trouble = JSON.stringify(next);
        trouble = waits.for(`the end of ${underWay.trouble}`, begin(next), TROUBLE_MS).finally(() => {
          trouble = undefined;
          underWay.trouble = 'none';
        });
        // Whoever waits next hears of it.
        trouble.catch((error: unknown) => (failed ??= error));
      }
      await ledger.more(step.answers, pause(systemClock, KILL_EACH_MS));
      if (failed) throw failed;
      // One is left alone, so that there is always somebody to ask; whoever is down already is killed when it is up.
      const up = gateways.filter(({ isUp }) => isUp);
      if (up.length < 2)
        await Promise.race(gateways.filter(({ isUp }) => !isUp).map((gateway) => whenUp(gateway)));
      const victim = gateways[step.kill.gateway] as ChaosGateway;
      await whenUp(victim);
      victim.kill(step.kill.diesAgainMs);
      underWay.step += 1;
      say(
        `kill ${JSON.stringify(step.kill)}; killed ${killed()}, told ${ledger.told.size}, lost ${ledger.lost}`,
      );
    }
    await trouble;
    if (failed) throw failed;
    await Promise.all(gateways.map((gateway) => whenUp(gateway)));
    const seconds = Math.round((performance.now() - began) / 1_000);
    // Everything is there again, and so everything is served again.
    const never = new Promise<void>(() => {});
    await waits.for('forty answers after all trouble', ledger.more(40, never), OTHER_MS);
    stopping = true;
    await waits.for('every client to have its last answer', Promise.all(clients), OTHER_MS);
    await waits.for('every agent to leave', Promise.all(agents.map((agent) => agent.close())), OTHER_MS);
    for (const gateway of gateways)
      expect(await waits.for(`${gateway.url} to stop`, gateway.stop(), OTHER_MS)).toEqual({
        code: 0,
        signal: null,
      });

    const sum = [...ledger.honest.values()].reduce((all, count) => all + count, 0);
    const ready = gateways.flatMap(({ readyMs }) => readyMs).toSorted((x, y) => x - y);
    console.log(
      [
        `${killed()} kills of ${GATEWAYS} gateways in ${seconds} s (seed ${SEED}), ${AGENTS} agents, ${CLIENTS} clients;`,
        `${ledger.told.size} answers complete, ${sum} failed with a word`,
        `(${[...ledger.honest].map(([code, count]) => `${code} ${count}`).join(', ')}),`,
        `${ledger.lost} lost with their gateway, ${ledger.refused} refused while it was down, ${ledger.left} left;`,
        `troubles: ${[...troubles].map(([kind, count]) => `${kind} ${count}`).join(', ')};`,
        `ready again after p50 ${Math.round(ready[ready.length >> 1] ?? 0)} ms`,
      ].join(' '),
    );
    expect(ledger.dishonest).toEqual([]);
    expect(ledger.twice).toBe(0);
    const charged = await database.sql<{ id: string; outcome: string; charge: bigint; entries: number }[]>`
      select u.id, u.outcome, u.charge, count(e.id)::integer as entries
      from usage u left join entries e on e.id = 'charge:' || u.id group by u.id`;
    const byId = new Map(charged.map((row) => [row.id, row]));
    const wrong = [...ledger.told.values()].filter(({ requestId, usage }) => {
      const row = byId.get(requestId);
      const cost =
        BigInt(usage.prompt_tokens) * model.inputPico + BigInt(usage.completion_tokens) * model.outputPico;
      return row?.outcome !== 'completed' || row.charge !== cost || row.entries !== 1;
    });
    expect(wrong).toEqual([]);
    // What nobody was told of is charged once or not at all, and never without an entry; what broke is free.
    expect(charged.filter((row) => row.entries !== (row.charge > 0n ? 1 : 0))).toEqual([]);
    expect(
      charged.filter(({ outcome, charge }) => ['failed', 'broken'].includes(outcome) && charge > 0n),
    ).toEqual([]);

    expect(await audit(database)).toMatchObject({ balanced: true, differences: [], rejectedRecords: 0 });
    const book = operatorsBook(database);
    let left = 0n;
    for (const party of parties) {
      const balance = await book.balance(party.id);
      expect(balance.held).toBe(0n);
      left += balance.total;
    }
    const spent = charged.reduce((all, row) => all + row.charge, 0n);
    expect(left).toBe(credit * BigInt(parties.length) - spent);
    const audited = await run(['audit'], { DATABASE_URL: postgres.url });
    expect(audited).toMatchObject({ code: 0 });
  },
  // Every wait has its own deadline; this one is for what no wait accounts for.
  900_000 + KILLS * 60_000,
);
