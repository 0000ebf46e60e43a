import { afterEach, expect, test } from 'vitest';
import { pause, systemClock } from '#kit/clock.ts';
import { seededRandomness } from '#kit/random.ts';
import { hasRedis } from '#support/redis.ts';
import type { ChaosGateway } from './gateway.ts';
import { partedBy, planChaos, type Trouble } from './plan.ts';
import { IN_ORDER, Stage } from './stage.ts';

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
/** It ends after so long, however many were killed by then. */
const MINUTES = number('CYGNET_CHAOS_MINUTES', Number.POSITIVE_INFINITY);
const GATEWAYS = 3;
const LONG = process.env['CYGNET_CHAOS_LONG'] === 'yes';
/** A kill comes after so long at the latest, however little was answered. */
const KILL_EACH_MS = 2_000;
/** A gateway that died is up again, on a busy machine and whatever else is in trouble. */
const UP_WITHIN_MS = LONG ? 300_000 : 150_000;
/** One trouble, and what has to be up before it ends. */
const TROUBLE_MS = 3 * UP_WITHIN_MS;

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
}, 120_000);

test.skipIf(!hasRedis())(
  `killed again and again in all kinds of trouble, a market of three gateways charges what it answered exactly once`,
  async () => {
    const stage = await Stage.open(closers, { gateways: GATEWAYS, agents: AGENTS, upWithinMs: UP_WITHIN_MS });
    const { gateways, ledger, postgres, redis, waits, wires } = stage;
    const random = seededRandomness(SEED);
    stage.load(CLIENTS, SEED);
    const began = performance.now();
    const troubles = new Map<string, number>();
    const begin = async (trouble: Trouble): Promise<void> => {
      say(JSON.stringify(trouble));
      troubles.set(trouble.kind, (troubles.get(trouble.kind) ?? 0) + 1);
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
        case 'postgres-apart':
          await wires.part(partedBy(trouble, GATEWAYS), trouble.how);
          await pause(systemClock, trouble.forMs);
          await wires.mend();
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
      if (killed() >= KILLS || performance.now() - began > MINUTES * 60_000) break;
      const next = trouble ? undefined : plan.troubles.shift();
      if (next) {
        stage.doing = JSON.stringify(next);
        trouble = waits.for(`the end of ${stage.doing}`, begin(next), TROUBLE_MS).finally(() => {
          trouble = undefined;
          stage.doing = 'nothing';
        });
        // Whoever waits next hears of it.
        trouble.catch((error: unknown) => (failed ??= error));
      }
      await ledger.more(step.answers, pause(systemClock, KILL_EACH_MS));
      if (failed) throw failed;
      // One is left alone, so that there is always somebody to ask; whoever is down already is killed when it is up.
      const up = gateways.filter(({ isUp }) => isUp);
      if (up.length < 2)
        await Promise.race(gateways.filter(({ isUp }) => !isUp).map((gateway) => stage.whenUp(gateway)));
      const victim = gateways[step.kill.gateway] as ChaosGateway;
      await stage.whenUp(victim);
      victim.kill(step.kill.diesAgainMs);
      say(
        `kill ${JSON.stringify(step.kill)}; killed ${killed()}, told ${ledger.told.size}, lost ${ledger.lost}`,
      );
    }
    await trouble;
    if (failed) throw failed;
    const seconds = Math.round((performance.now() - began) / 1_000);
    await stage.end();
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
    expect(await stage.check()).toEqual(IN_ORDER);
  },
  // Every wait has its own deadline; this one is for what no wait accounts for.
  900_000 + KILLS * 60_000,
);
