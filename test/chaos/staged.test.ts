import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { formatUsd } from '#domain/money.ts';
import { pause, systemClock } from '#kit/clock.ts';
import { Sealed } from '#kit/sealed.ts';
import { startAgent } from '#support/agent.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { chatModels, makeConsumer, type TestParty } from '#support/parties.ts';
import { hasRedis } from '#support/redis.ts';
import { behindBalancer } from './balanced.ts';
import { PROMPT_TOKENS, TOKENS } from './client.ts';
import type { ChaosGateway } from './gateway.ts';
import { IN_ORDER, Stage } from './stage.ts';
import { NetworkWires } from './wires.ts';

// One trouble after the other, with gateways as processes, links between them, and load. In the end what `Stage.check` says is so.

const UP_WITHIN_MS = 150_000;
const STALL_MS = 60_000;
const TEST_MS = 900_000;

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
}, 120_000);

/** Closes what a test opened that runs beside another. */
function closersOf(onTestFinished: (run: () => Promise<void>, timeoutMs: number) => void): typeof closers {
  const own: typeof closers = [];
  onTestFinished(async () => {
    for (const close of own.splice(0).toReversed()) await close();
  }, 120_000);
  return own;
}

/** What one of them costs. */
function chargeOf({ model }: Stage): bigint {
  return BigInt(PROMPT_TOKENS) * model.inputPico + BigInt(TOKENS) * model.outputPico;
}

/** One plain request, answered whole or refused. */
async function askOnce(stage: Stage, gateway: { url: string }, party: TestParty) {
  const body = { model: stage.model.id, messages: HELLO, max_tokens: TOKENS };
  const { status, headers, json } = await ask({ url: gateway.url, key: party.key, body });
  const requestId = headers['x-request-id'] as string;
  if (status === 200) stage.ledger.complete({ requestId, usage: json.usage });
  return {
    status,
    requestId,
    code: json.error?.code as string | undefined,
    retryAfter: headers['retry-after'],
  };
}

// These two wait more than they do: they run beside each other.

test.skipIf(!hasRedis()).concurrent(
  'PostgreSQL stands still for a minute: three gateways serve on what is set aside, no more of one account than its exposure, then refuse with a reason, and everything is charged once',
  async ({ onTestFinished }) => {
    const perRequest = 200_000_000n;
    const exposure = 100n * perRequest;
    const stage = await Stage.open(closersOf(onTestFinished), {
      agents: 6,
      upWithinMs: UP_WITHIN_MS,
      env: { CYGNET_EXPOSURE_MAX_USD: formatUsd(exposure).replace('$', '') },
    });
    const { gateways, parties, database, postgres } = stage;
    const [greedy, modest] = parties as [TestParty, TestParty];
    // Both are known everywhere, and something is set aside for each.
    for (const gateway of gateways)
      for (const party of [greedy, modest])
        await expect
          .poll(async () => (await askOnce(stage, gateway, party)).status, { timeout: 30_000 })
          .toBe(200);
    const stranger = await makeConsumer(database);
    const spentOf = async (party: TestParty): Promise<bigint> => {
      const [row] = await database.sql<{ sum: bigint | null }[]>`
        select sum(charge) as sum from usage where consumer_id = ${party.id}`;
      return row?.sum ?? 0n;
    };
    await expect.poll(async () => (await spentOf(greedy)) > 0n, { timeout: 30_000 }).toBe(true);

    const refusals: Awaited<ReturnType<typeof askOnce>>[] = [];
    let greedyAnswers = 0n;
    const modestAnswers: { status: number; atMs: number }[] = [];
    // Once every two seconds at each, as before and so afterwards: a purse is filled for a minute at the pace of ten seconds.
    const minute = { over: false };
    let stalledAtMs = Number.POSITIVE_INFINITY;
    const modestly = gateways.map(async (gateway) => {
      while (!minute.over) {
        const atMs = performance.now();
        const { status } = await askOnce(stage, gateway, modest);
        if (atMs > stalledAtMs) modestAnswers.push({ status, atMs: atMs - stalledAtMs });
        await pause(systemClock, 2_000);
      }
    });
    // As long as it can, another account asks without a pause.
    const greedily = gateways.map(async (gateway) => {
      while (!minute.over) {
        const atMs = performance.now();
        const answer = await askOnce(stage, gateway, greedy);
        if (atMs < stalledAtMs) await pause(systemClock, 1_000);
        else if (answer.status === 200) greedyAnswers += 1n;
        else {
          refusals.push(answer);
          await pause(systemClock, 500);
        }
      }
    });
    await pause(systemClock, 12_000);

    const toldBefore = stage.ledger.told.size;
    postgres.stall();
    stalledAtMs = performance.now();
    const over = (async () => {
      await pause(systemClock, STALL_MS);
      minute.over = true;
    })();
    const unknown = await Promise.all(gateways.map((gateway) => askOnce(stage, gateway, stranger)));
    await stage.waits.for('the minute to be over', over, STALL_MS + 60_000);
    // What was told in the meantime is told for good, though no database has heard of it.
    const toldMeanwhile = stage.ledger.told.size - toldBefore;
    postgres.goOn();
    await stage.waits.for(
      'everybody who asked in that minute',
      Promise.all([...modestly, ...greedily]),
      120_000,
    );

    expect(toldMeanwhile).toBeGreaterThan(0);
    // Keys and prices are known without it, and what is set aside lasts for half a minute at the least.
    const early = modestAnswers.filter(({ atMs }) => atMs < 30_000);
    expect(early.length).toBeGreaterThanOrEqual(gateways.length);
    expect(early.filter(({ status }) => status !== 200)).toEqual([]);
    // Who has used up what was set aside is refused, and so is who has nothing here.
    expect(refusals.length).toBeGreaterThan(0);
    for (const refused of [...refusals, ...unknown]) {
      expect(refused).toMatchObject({ status: 503, code: 'ledger_unavailable' });
      expect(Number(refused.retryAfter)).toBeGreaterThan(0);
    }
    stage.load(3, 1);
    await stage.end();
    expect(await stage.check()).toEqual(IN_ORDER);
    expect(greedyAnswers).toBeGreaterThan(0n);
    // Each process sets aside one exposure at most; what it had before the minute began was part of that.
    const spentThen = greedyAnswers * chargeOf(stage);
    expect(spentThen).toBeLessThanOrEqual(exposure * BigInt(gateways.length));
    console.log(
      `PostgreSQL still for ${STALL_MS / 1_000} s: ${toldMeanwhile} answers meanwhile, ${refusals.length} refused; the greedy account spent ${spentThen} of at most ${exposure * BigInt(gateways.length)} pico-dollars`,
    );
  },
  TEST_MS,
);

test.skipIf(!hasRedis()).concurrent(
  'what two gateways send each other is lost, then what one of them and Redis or PostgreSQL do, and nobody is told: everybody serves on, finds out, and comes back when the network does',
  async ({ onTestFinished }) => {
    const own = closersOf(onTestFinished);
    const stage = await Stage.open(own, { agents: 6, upWithinMs: UP_WITHIN_MS });
    const { gateways, ledger, waits, wires, database } = stage;
    const party = stage.parties[0] as TestParty;
    const [first, second] = gateways as [ChaosGateway, ChaosGateway];
    stage.load(1, 1);
    const serves = async (gateway: ChaosGateway): Promise<void> =>
      expect.poll(async () => (await askOnce(stage, gateway, party)).status, { timeout: 60_000 }).toBe(200);
    // A model that only the second gateway has an agent for: the first one serves it over their link.
    const other = (await chatModels(database)).find(
      ({ id, category }) => category === 'llm' && id !== stage.model.id,
    );
    if (!other) throw new Error('The catalogue has one model.');
    const far = await startAgent(second.hubUrl, [`${other.id}=rehearsal:tokens=4`], {
      key: new Sealed((stage.providers[0] as TestParty).key),
    });
    own.push(() => far.close());
    const overLink = { url: first.url, key: party.key };
    const linked = async (): Promise<number> => {
      const body = { model: other.id, messages: HELLO, max_tokens: 4 };
      return (await ask({ ...overLink, body })).status;
    };
    await expect.poll(linked, { timeout: 60_000 }).toBe(200);

    stage.doing = 'the first gateway apart from the second';
    const running = await askStream({
      ...overLink,
      body: {
        model: other.id,
        messages: HELLO,
        max_tokens: 3_000,
        rehearsal: 'paced=10,tokens=3000',
      },
    });
    await running.tokens(3);
    await wires.part([{ gateway: 0, from: 1 }], 'silent');
    await waits.for('the stream over their link to end', running.ended, 60_000);
    expect([running.done, running.error?.error?.code]).toEqual([false, 'gateway_lost']);
    expect(await linked()).toBe(503);
    await Promise.all(gateways.map(serves));
    await wires.mend();
    await expect.poll(linked, { timeout: 60_000 }).toBe(200);

    stage.doing = 'the first gateway apart from Redis';
    await wires.part([{ gateway: 0, from: 'redis' }], 'silent');
    await waits.for('it to notice', first.says('Redis does not answer'), 60_000);
    await Promise.all(gateways.map(serves));
    await wires.mend();

    // Whoever makes the rounds is cut off in the middle of them: it keeps neither its term nor what it had locked.
    stage.doing = 'whoever makes the rounds apart from PostgreSQL';
    const holder = async () => {
      const [row] = await database.sql<{ holder: string; term: bigint }[]>`
        select holder, term from round_terms where name = 'chain'`;
      return row;
    };
    await expect.poll(holder, { timeout: 60_000 }).toBeDefined();
    const before = (await holder()) as { holder: string; term: bigint };
    const leader = gateways.findIndex(({ instance }) => instance === before.holder);
    const cutOff = gateways[leader] as ChaosGateway;
    await serves(cutOff);
    await wires.part([{ gateway: leader, from: 'postgres' }], 'silent');
    const told = await waits.for(
      'an answer of the gateway that is cut off',
      (async () => {
        for (;;) {
          const { status, requestId } = await askOnce(stage, cutOff, party);
          if (status === 200) return requestId;
        }
      })(),
      30_000,
    );
    await expect.poll(async () => (await holder())?.holder, { timeout: 120_000 }).not.toBe(before.holder);
    await Promise.all(gateways.filter((gateway) => gateway !== cutOff).map(serves));
    await wires.mend();
    // It posts what it served meanwhile, and makes no rounds until the term of the other is over.
    const posted = async (): Promise<number> =>
      (await database.sql`select from usage where id = ${told ?? ''} and outcome = 'completed'`).length;
    await expect.poll(posted, { timeout: 120_000 }).toBe(1);
    await serves(cutOff);
    expect((await holder())?.term).toBeGreaterThan(before.term);
    // PostgreSQL is left with no session that nobody holds the other end of.
    const orphans = async (): Promise<unknown[]> => {
      const sessions = await database.sql<{ address: string; port: number }[]>`
        select host(client_addr) as address, client_port as port from pg_stat_activity where client_addr is not null`;
      const held = wires instanceof NetworkWires ? wires.held() : new Map<string, Set<number>>();
      return sessions.filter(({ address, port }) => held.get(address)?.has(port) === false);
    };
    await expect.poll(orphans, { timeout: 120_000 }).toEqual([]);
    await stage.end();
    expect(await stage.check()).toEqual(IN_ORDER);
    expect(ledger.told.size).toBeGreaterThan(0);
  },
  TEST_MS,
);

/** A small disk of its own; needs to be root on Linux, as CI is. */
function smallDisk(own: typeof closers): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-chaos-disk-'));
  chmodSync(folder, 0o755);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder], { encoding: 'utf8' });
  if (mounted.status !== 0) throw new Error(`A disk of eight MB could not be mounted: ${mounted.stderr}`);
  own.push(() => {
    spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  const data = path.join(folder, 'data');
  mkdirSync(data);
  return data;
}

/** Every write to the journal of this process fails from now on, as a broken disk fails it; the call ends that. */
async function breakWrites(gateway: ChaosGateway): Promise<() => Promise<void>> {
  const folder = path.join(gateway.folder, 'journal');
  const files = readdirSync(folder).flatMap((name) => ['-P', path.join(folder, name)]);
  const inject = 'write,writev,pwrite64,pwritev:error=EIO';
  const tracer: ChildProcess = spawn(
    'strace',
    ['-f', '-p', String(gateway.pid), ...files, '-e', `inject=${inject}`, '-o', '/dev/null'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await new Promise<void>((resolve, reject) => {
    let said = '';
    tracer.once('error', reject);
    tracer.once('exit', (code) => reject(new Error(`strace ended with ${code}: ${said}`)));
    tracer.stderr?.on('data', (part: Buffer) => {
      said += part.toString();
      if (/attached/.test(said)) resolve();
    });
  });
  tracer.removeAllListeners('exit');
  return async () => {
    if (tracer.exitCode !== null || tracer.signalCode !== null) return;
    const gone = once(tracer, 'exit');
    tracer.kill('SIGINT');
    await gone;
  };
}

for (const { trouble, small } of [
  { trouble: 'its disk is full', small: true },
  { trouble: 'the writes of its journal fail', small: false },
])
  test.skipIf(!hasRedis())(
    `a gateway of which ${trouble} takes no more paid work and says so, the others serve on, and nothing that was told is lost`,
    async ({ onTestFinished }) => {
      const own = closersOf(onTestFinished);
      const disk = small ? smallDisk(own) : undefined;
      const stage = await Stage.open(own, {
        gateways: 2,
        agents: 4,
        upWithinMs: UP_WITHIN_MS,
        ...(disk && { folders: [disk] }),
      });
      const { gateways, ledger, waits, parties } = stage;
      const [sick, well] = gateways as [ChaosGateway, ChaosGateway];
      stage.load(4, 1);
      await waits.for('thirty answers', ledger.more(30, new Promise<void>(() => {})), 120_000);

      let mend: () => Promise<void>;
      if (disk) {
        const ballast = path.join(disk, 'ballast');
        // To the last byte, whatever is written meanwhile.
        const fill = (): void => {
          for (let size = 1 << 20; size >= 1; size >>= 1) {
            try {
              for (;;) writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' });
            } catch {
              // This much does not fit any more.
            }
          }
        };
        fill();
        if (statfsSync(disk).bavail > 0) throw new Error('The disk is not full.');
        mend = async () => rmSync(ballast);
      } else mend = await breakWrites(sick);
      own.push(() => mend().catch(() => {}));

      const party = parties[0] as TestParty;
      // Its agents, or its link to the other, may be a moment away.
      const serves = async (gateway: ChaosGateway): Promise<void> =>
        expect.poll(async () => (await askOnce(stage, gateway, party)).status, { timeout: 60_000 }).toBe(200);
      const refused = (async () => {
        for (;;) {
          const answer = await askOnce(stage, sick, party);
          if (answer.status !== 200) return answer;
        }
      })();
      expect(await waits.for('a refusal', refused, 120_000)).toMatchObject({
        status: 503,
        code: 'ledger_unavailable',
      });
      const health = await ask({ url: sick.url, method: 'GET', path: '/health' });
      expect(health.json.status).toBe('failing');
      expect(health.status).toBe(503);
      await serves(well);

      // As the runbook says: make room (or give it another disk), and start it again.
      await mend();
      await waits.for('the sick one to be started again', sick.restart(), UP_WITHIN_MS);
      await serves(sick);
      await stage.end();
      expect(await stage.check()).toEqual(IN_ORDER);
    },
    TEST_MS,
  );

test.skipIf(!hasRedis())(
  'a rolling restart of three linked gateways behind a balancer fails no request',
  async () => {
    const stage = await Stage.open(closers, {
      agents: 9,
      upWithinMs: UP_WITHIN_MS,
      env: { CYGNET_DRAIN_NOTICE_MS: '3000', CYGNET_READY_AGENTS: '3' },
    });
    const { gateways, ledger, waits } = stage;
    const { url, sends } = await behindBalancer(stage, closers, UP_WITHIN_MS);
    // To whoever asks there is one market, and it is never down.
    stage.load(6, 1, [{ url, wasDown: () => false }]);
    for (const gateway of gateways) {
      stage.doing = `the restart of ${gateway.url}`;
      await waits.for('thirty answers', ledger.more(30, new Promise<void>(() => {})), 120_000);
      const restarted = gateway.restart();
      await sends(gateway, false);
      await waits.for(`${gateway.url} to come back`, restarted, UP_WITHIN_MS);
      await sends(gateway, true);
    }
    await stage.end();
    console.log(
      `${ledger.told.size} answers complete, ${ledger.left} left, ${ledger.honest.size} kinds of failure`,
    );
    expect([...ledger.honest]).toEqual([]);
    expect(ledger.lost + ledger.refused).toBe(0);
    expect(await stage.check()).toEqual(IN_ORDER);
  },
  TEST_MS,
);
