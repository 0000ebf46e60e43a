import { afterEach, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { systemClock } from '#kit/clock.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { chatModels, type TestModel, type TestParty } from '#support/parties.ts';
import { dialSocket, type Served, SwanAgent } from '#support/swan-agent.ts';
import { behindBalancer } from '../balanced.ts';
import { PROMPT_TOKENS, TOKENS } from '../client.ts';
import type { ChaosGateway } from '../gateway.ts';
import { IN_ORDER, Stage } from '../stage.ts';

// Three linked gateways of an older version serve behind a balancer that tries nothing twice, by agents of ours and of Swan's
// dialect. One after the other is replaced by this version; the first one of them migrates the database while the old ones serve.
// `npm run chaos:upgrade -- --from <git ref>` brings the older version.

const OLD = process.env['CYGNET_UPGRADE_PROGRAM'] as string;
/** Whether the versions are to serve by each other's agents. */
const LINKS = process.env['CYGNET_UPGRADE_LINKS'] !== 'no';
const UP_WITHIN_MS = 300_000;
const CLIENTS = 6;
/** Answers before the first is replaced, and after each. */
const ANSWERS = 150;

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
}, 120_000);

/** As many words as were asked for. */
function answer(served: Served): void {
  const tokens = Number(served.request['max_tokens'] ?? TOKENS);
  const text = rehearsedText(tokens);
  const usage = {
    prompt_tokens: PROMPT_TOKENS,
    completion_tokens: tokens,
    total_tokens: PROMPT_TOKENS + tokens,
  };
  if (!served.stream) return served.result({ ...served.completion(text), usage });
  served.role();
  served.token(text);
  served.finish();
  served.usage(PROMPT_TOKENS, tokens);
  served.done();
  served.end({ tokens_input: PROMPT_TOKENS, tokens_output: tokens });
}

test('three linked gateways of an older version are replaced one after the other: no request fails, and everything is charged once', async () => {
  const stage = await Stage.open(closers, {
    agents: 6,
    upWithinMs: UP_WITHIN_MS,
    program: OLD,
    env: { CYGNET_DRAIN_NOTICE_MS: '3000', CYGNET_READY_AGENTS: '3' },
  });
  const { gateways, ledger, waits, database } = stage;
  const party = stage.parties[0] as TestParty;
  const migrations = async (): Promise<number> =>
    (await database.sql`select from migrations where name not like '%step%'`).length;
  const before = await migrations();
  // Each gateway has an agent with a model that no other has: the others serve it over a link.
  const others = (await chatModels(database)).filter(
    ({ id, category }) => category === 'llm' && id !== stage.model.id,
  );
  for (const [i, gateway] of gateways.entries()) {
    const swan = new SwanAgent({
      generation: (['A', 'B', 'C'] as const)[i % 3] as 'A',
      token: (stage.providers[i] as TestParty).key,
      nodeId: `${i}c`.repeat(65),
      models: [(others[i] as TestModel).id, stage.model.id],
      clock: systemClock,
      dial: dialSocket(`${gateway.hubUrl}/ws`),
      script: answer,
    });
    closers.push(() => swan.stop());
    await swan.start();
    await waits.for(
      'an agent of Swan to register',
      swan.until(() => swan.registered),
      60_000,
    );
  }
  /** Resolves when `at` serves by the agent of `by`, streamed and not. */
  const servesBy = async (at: number, by: number): Promise<void> => {
    const body = { model: (others[by] as TestModel).id, messages: HELLO, max_tokens: TOKENS };
    const asked = { url: (gateways[at] as ChaosGateway).url, key: party.key, body };
    const what = `gateway ${at} to serve by the agent of gateway ${by}`;
    await expect.poll(async () => (await ask(asked)).status, { timeout: 120_000, message: what }).toBe(200);
    const stream = await askStream(asked);
    await stream.ended;
    expect({ what, status: stream.status, done: stream.done }).toEqual({ what, status: 200, done: true });
  };
  const linked = async (among: readonly number[]): Promise<void> => {
    for (const at of among) for (const by of among) if (at !== by) await servesBy(at, by);
  };
  await linked([0, 1, 2]);

  const { url, sends } = await behindBalancer(stage, closers, UP_WITHIN_MS);
  stage.load(CLIENTS, 1, [{ url, wasDown: () => false }]);
  const more = (): Promise<void> =>
    waits.for(`${ANSWERS} answers`, ledger.more(ANSWERS, new Promise<void>(() => {})), UP_WITHIN_MS);
  await more();
  // The last one first: the others, which dial it, are old then, and in the end it is dialled by new ones.
  const renewed: number[] = [];
  for (const i of [2, 0, 1]) {
    const gateway = gateways[i] as ChaosGateway;
    stage.doing = `${gateway.url} being replaced`;
    console.log(`${Math.round(performance.now())} gateway ${i} is told to end`);
    gateway.program = undefined;
    const restarted = gateway.restart();
    await sends(gateway, false);
    await waits.for(`${gateway.url} to come back`, restarted, UP_WITHIN_MS);
    await sends(gateway, true);
    renewed.push(i);
    console.log(
      `${Math.round(performance.now())} gateway ${i} is new: ${ledger.told.size} answers, ${await migrations()} migrations after ${before}`,
    );
    // Old and new side by side.
    await (LINKS ? linked([0, 1, 2]) : linked(renewed));
    await more();
  }
  await stage.end();
  if (ledger.said.length > 0)
    console.log([...ledger.said, ...gateways.map((gateway) => gateway.describe())].join('\n'));
  console.log(
    `${ledger.told.size} answers complete, ${ledger.left} left; failed: ${JSON.stringify([...ledger.honest])}; migrations: ${before}, then ${await migrations()}`,
  );
  expect([...ledger.honest]).toEqual([]);
  expect(ledger.lost + ledger.refused).toBe(0);
  expect(await stage.check()).toEqual(IN_ORDER);
}, 1_800_000);
