import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import { answerPlainly, HOSTILE, type Script, type Served, type SwanAgent } from '#support/swan-agent.ts';

/** Reliability, failures 11 and 12 (I12): prompts, answers and keys are seen nowhere but where they belong. */

let house: HostileMarket;
const agents: SwanAgent[] = [];
let script: Script = answerPlainly;
const received: Served[] = [];

beforeAll(async () => {
  house = await openHostileMarket({
    providers: 3,
    config: {
      hub: { firstTokenDeadlineMs: 400, gapDeadlineMs: 400 },
      limits: { requestTimeoutMs: 2_000 },
    },
  });
  for (let provider = 0; provider < 3; provider++) {
    agents.push(
      await house.swan(provider, {
        script: (served) => {
          received.push(served);
          script(served);
        },
      }),
    );
  }
});
afterAll(() => house.close());

const CANARY = 'kanarienvogel';
let number = 0;
const canary = (where: string): string => `${CANARY}-${where}-${++number}`;

/** A request with a canary in every place that has one, also where a name stands. */
function body(stream: boolean): Record<string, unknown> {
  return {
    model: PLAIN_MODEL,
    stream,
    messages: [
      { role: 'system', content: canary('system'), name: canary('name'), [canary('field')]: 1 },
      { role: 'user', content: [{ type: 'text', text: canary('part') }] },
    ],
    user: canary('user'),
    metadata: { [canary('metadata')]: canary('metadata') },
    safety_identifier: canary('safety'),
    [canary('unknown')]: { deep: canary('deep') },
  };
}

const says = (served: Served): string => canary(`answer-of-${served.agent.options.nodeId}`);
const PATHS: [string, Script][] = [
  ['a plain answer', (served) => (served.token(says(served)), served.finish(), served.done(), served.end())],
  ['an error with a text', (served) => served.end({ status_code: 500, error: says(served) })],
  ['a refusal with a text', (served) => served.end({ status_code: 400, error: says(served) })],
  ['a busy agent', (served) => served.end({ status_code: 429, error: says(served) })],
  [
    'an error message',
    (served) =>
      served.agent.send('error', served.id, { request_id: served.id, code: 400, message: says(served) }),
  ],
  [
    'a cut after content',
    (served) => (served.token(says(served)), served.end({ status_code: 502, error: says(served) })),
  ],
  [
    'an error in place of a chunk',
    (served) => (served.chunk({ error: { message: says(served) } }), served.end()),
  ],
  ['a lost link', (served) => served.agent.reconnect()],
  ['a lost link after content', (served) => (served.token(says(served)), served.agent.reconnect())],
  ['silence', () => {}],
  ['an unstreamed error', (served) => served.result(null, { error: says(served), status_code: 500 })],
  ['an unstreamed answer that is none', (served) => served.result({ choices: says(served) })],
  [
    'an answer with an error inside',
    (served) => served.result({ error: { message: says(served), code: 500 } }),
  ],
  [
    'garbage',
    (served) => (
      served.agent.raw(`{"type":"${says(served)}"`), served.agent.raw(says(served)), answerPlainly(served)
    ),
  ],
  [
    'messages of unknown types',
    (served) => (served.agent.send(says(served), says(served), says(served)), answerPlainly(served)),
  ],
  [
    'a registration with a canary in every field',
    (served) => (
      served.agent.register({
        node_name: says(served),
        commit: says(served),
        models: [PLAIN_MODEL, says(served)],
      }),
      answerPlainly(served)
    ),
  ],
  ...Object.entries(HOSTILE),
];

/** Every text in every table of the database. */
async function everythingStored(): Promise<string> {
  const { sql } = house.store.database;
  const tables = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`;
  let text = '';
  for (const { name } of tables) {
    const rows = await sql.unsafe(`select row_to_json(t)::text as row from "${name}" t`);
    text += rows.map((row) => row['row']).join('\n');
  }
  return text;
}

describe('canaries', () => {
  it.each(PATHS)('through %s are seen in nothing but their own answer', async (_, how) => {
    script = how;
    for (const stream of [true, false]) {
      received.length = 0;
      const asked = JSON.stringify(body(stream));
      const answer = await chat({
        baseUrl: house.baseUrl,
        key: house.consumers[0]?.key ?? '',
        body: asked,
        headers: {
          'user-agent': canary('agent'),
          'x-forwarded-for': canary('address'),
          'x-request-id': canary('id'),
        },
      });
      expect(JSON.stringify(answer.headers)).not.toContain(CANARY);
      // A stream that began may hold the answer; an error may not hold anything of anybody.
      expect(answer.status === 200 ? '' : answer.body).not.toContain(CANARY);
      expect(JSON.stringify(answer.error ?? '')).not.toContain(CANARY);
      // The provider got the prompt, and nothing that tells whose it is.
      for (const { request } of received) {
        const text = JSON.stringify(request);
        for (const kept of ['-user-', '-metadata-', '-safety-', '-agent-', '-address-', '-id-']) {
          expect(text).not.toContain(`${CANARY}${kept}`);
        }
        expect(text).not.toContain('sk-');
        expect(text).not.toContain(house.consumers[0]?.id ?? 'none');
        expect(text).toContain(`${CANARY}-part-`);
      }
      for (const agent of agents) await agent.until(() => agent.registered);
    }
  });

  it.each<[string, string]>([
    ['no JSON', `{"model": ${CANARY}`],
    ['not UTF-8', `{"model": "${CANARY}\u0000`],
    ['an unknown model', JSON.stringify({ ...body(true), model: `${CANARY}/model` })],
    ['nonsense in a known field', JSON.stringify({ ...body(true), temperature: CANARY })],
    [
      'deep nesting under its own name',
      `{"model":"x","messages":[{"role":"user","content":"x"}],"${CANARY}":${'['.repeat(100)}${']'.repeat(100)}}`,
    ],
    [
      'a message that is too long',
      JSON.stringify({ model: PLAIN_MODEL, messages: [{ role: 'user', content: CANARY.repeat(20_000) }] }),
    ],
  ])('in a request that is refused for %s are not in the log', async (_, text) => {
    const answer = await chat({ baseUrl: house.baseUrl, key: house.consumers[0]?.key ?? '', body: text });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.error?.message).not.toContain(CANARY);
  });

  it('and keys, valid or not, in whatever place they are sent', async () => {
    const wrong = `sk-swan-${CANARY}`;
    for (const key of [wrong, house.providers[0]?.key ?? '']) {
      const answer = await chat({ baseUrl: house.baseUrl, key, body: body(true) });
      expect(answer.status).toBe(401);
      expect(answer.body).not.toContain(key);
    }
    const reply = await fetchText(
      `${house.baseUrl}/v1/models/${encodeURIComponent(wrong)}?key=${house.consumers[0]?.key}`,
    );
    expect(reply).not.toContain('sk-');
  });

  it('were written into no log line and no table', async () => {
    await house.idle();
    await house.usage();
    const log = house.log.join('\n');
    const stored = await everythingStored();
    const keys = [...house.consumers, ...house.providers].map((each) => each.key);
    for (const secret of [CANARY, 'sk-swan-', 'sk-prov-', ...keys]) {
      expect(log.includes(secret), `${secret} in the log`).toBe(false);
      expect(stored.includes(secret), `${secret} in the database`).toBe(false);
    }
    // The scan can see: what belongs there is there.
    expect(log).toContain(house.consumers[0]?.id);
    expect(stored).toContain(house.providers[0]?.id);
    expect(house.market.hub.counters.internalErrors).toBe(0);
    expect(log).not.toContain('met a bug');
  });
});

async function fetchText(url: string): Promise<string> {
  const { request } = await import('undici');
  return await (await request(url)).body.text();
}
