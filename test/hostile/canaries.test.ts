import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { consoleRoutes } from '#gateway/console/console.ts';
import type { ConsoleRooms } from '#gateway/console/rooms.ts';
import { systemClock } from '#kit/clock.ts';
import { chat } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import { answerPlainly, HOSTILE, type Script, type Served, type SwanAgent } from '#support/swan-agent.ts';
import { visit } from '#support/visitor.ts';
import { Chance } from '../sim/chance.ts';

/**
 * Reliability, failures 11 and 12 (I12): prompts, answers and keys are seen nowhere but where they belong.
 * `npm run canaries` sends a hundred thousand prompts through all that can go wrong, in an order from a seed.
 */

const PROMPTS = Number(process.env['CYGNET_CANARY_PROMPTS'] ?? 400);
const SEED = Number(process.env['CYGNET_FUZZ_SEED'] ?? 1);
const AT_ONCE = 24;
const MANY = 100_000_000;

let house: HostileMarket;
const agents: SwanAgent[] = [];
let script: Script = answerPlainly;
const received: Served[] = [];

beforeAll(async () => {
  house = await openHostileMarket({
    providers: 4,
    consumers: 2,
    credit: '100000',
    config: {
      // Agents whose links are lost come back at once, however often.
      hub: { firstTokenDeadlineMs: 400, gapDeadlineMs: 400, upgradeBurst: MANY },
      limits: {
        requestTimeoutMs: 2_000,
        requestsPerMinute: { llm: MANY, image: MANY, embedding: MANY, other: MANY },
      },
      playground: { requestsPerHour: MANY },
      // The calls of the console come from many addresses, so that none is refused for their number.
      access: { trustedProxies: ['127.0.0.1'] },
    },
  });
  // The second consumer wants a debug log; the first wants none.
  await house.store.database.sql`
    update consumers set debug_until = now() + interval '3 days' where id = ${house.consumers[1]?.id ?? ''}`;
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
  agents.push(
    await house.swan(3, {
      generation: 'C',
      models: Object.values(OTHER_MODELS),
      script: (served) => script(served),
    }),
  );
});
afterAll(() => house.close());

const OTHER_MODELS = {
  embeddings: 'BAAI/bge-m3',
  images: 'Qwen/Qwen-Image',
  sound: 'openai/whisper-small',
} as const;

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

/** Marks of a person: what is an e-mail address, and what is a password. */
const MAIL = 'postkutsche';
const SECRET = 'schluesselbund';
/** Made here for the tests of the console: sessions and keys. */
const secrets: string[] = [];

/** Every file of a folder as one text. */
function everythingIn(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file, 'latin1'))
    .join('\n');
}

const FORM = 'multipart/form-data; boundary=cut';
const formOf = (fields: Record<string, string>): string =>
  `${Object.entries(fields)
    .map(([name, value]) => `--cut\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
    .join(
      '',
    )}--cut\r\nContent-Disposition: form-data; name="file"; filename="${canary('filename')}.wav"\r\n\r\n${canary('sound')}\r\n--cut--\r\n`;

/** Requests to the other endpoints, with canaries in every place that has one. */
const ENDPOINTS: Readonly<Record<string, () => Record<string, unknown>>> = {
  '/v1/completions': () => ({
    model: PLAIN_MODEL,
    prompt: canary('prompt'),
    user: canary('user'),
    [canary('field')]: 1,
  }),
  '/v1/embeddings': () => ({
    model: OTHER_MODELS.embeddings,
    input: [canary('input')],
    user: canary('user'),
  }),
  '/v1/images/generations': () => ({
    model: OTHER_MODELS.images,
    prompt: canary('prompt'),
    user: canary('user'),
  }),
  '/v1/audio/transcriptions': () => ({
    form: formOf({
      model: OTHER_MODELS.sound,
      prompt: canary('prompt'),
      language: canary('l'),
      user: canary('user'),
    }),
  }),
  '/v1/messages': () => ({
    model: PLAIN_MODEL,
    max_tokens: 9,
    stream: number % 2 === 0,
    system: canary('system'),
    messages: [{ role: 'user', content: canary('content') }],
    tools: [
      {
        name: canary('tool').slice(0, 60),
        description: canary('tool'),
        input_schema: { [canary('schema')]: {} },
      },
    ],
    metadata: { user_id: canary('user') },
  }),
  '/v1/responses': () => ({
    model: PLAIN_MODEL,
    stream: number % 2 === 0,
    instructions: canary('instructions'),
    input: [{ role: 'user', content: canary('input') }],
    metadata: { [canary('metadata')]: canary('metadata') },
    user: canary('user'),
  }),
  '/v1/playground/chat': () => ({ ...body(false), session_id: canary('session') }),
};

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
    text += rows.map((row) => `${row['row']}\n`).join('');
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

  describe.each(Object.entries(ENDPOINTS))('at %s', (address, bodyOf) => {
    it.each(PATHS)('through %s are seen in nothing but their own answer', async (_, how) => {
      script = how;
      received.length = 0;
      const asked = bodyOf();
      const answer = await visit(`${house.baseUrl}${address}`, {
        body: typeof asked === 'object' && 'form' in asked ? asked.form : asked,
        // The playground wants no key.
        ...(!address.includes('playground') && { token: house.consumers[0]?.key ?? '' }),
        headers: {
          'user-agent': canary('agent'),
          'anthropic-version': canary('version'),
          'openai-organization': canary('organization'),
          ...(typeof asked === 'object' && 'form' in asked && { 'content-type': FORM }),
        },
      });
      expect(JSON.stringify(answer.headers)).not.toContain(CANARY);
      expect(answer.status === 200 ? '' : answer.text).not.toContain(CANARY);
      // A response that failed repeats what was asked; what it says of the failure does not.
      for (const [error] of answer.text.matchAll(/"error":\{[^}]*\}/g)) expect(error).not.toContain(CANARY);
      for (const agent of agents) await agent.until(() => agent.registered);
    });
  });

  it('of one consumer are in no answer to another who asks the same', async () => {
    const mine: string[] = [];
    script = (served) => (served.token(said(served)), served.finish(), served.done(), served.end());
    const said = (served: Served): string => {
      const text = says(served);
      mine.push(text);
      return text;
    };
    const asked = JSON.stringify(body(true));
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        chat({ baseUrl: house.baseUrl, key: house.consumers[i % 2]?.key ?? '', body: asked }),
      ),
    );
    expect(answers.every((answer) => answer.ending === 'done')).toBe(true);
    // Each answer that a provider gave went to one request.
    expect(answers.map((answer) => answer.text).toSorted()).toEqual(mine.toSorted());
  });

  it('many at once, by all endpoints and through all that can go wrong, are in no error, header or log line', {
    timeout: 7_200_000,
  }, async () => {
    const chance = new Chance(SEED).stream('canaries');
    let reached = 0;
    script = (served) => {
      reached += 1;
      // Else no agent would be trusted for long.
      (chance.yes(0.7) ? answerPlainly : chance.one(PATHS)[1])(served);
    };
    const addresses = ['/v1/chat/completions', ...Object.keys(ENDPOINTS)];
    const [before, begunMs] = [number, performance.now()];
    const statuses = new Map<number, number>();
    const broke: string[] = [];
    let begun = 0;
    /** Looks through what was logged since the last time, and lets it go but for its end. */
    const logged = (): void => {
      const text = house.log.splice(0, Math.max(0, house.log.length - 1_000)).join('\n');
      for (const secret of [CANARY, 'sk-swan-', 'sk-prov-'])
        if (text.includes(secret)) broke.push(`${secret} in the log`);
    };
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (begun < PROMPTS && broke.length === 0) {
          begun += 1;
          if (begun % 1_000 === 0) logged();
          const address = chance.one(addresses);
          const asked = (ENDPOINTS[address] ?? (() => body(chance.yes(0.5))))();
          const answer = await visit(`${house.baseUrl}${address}`, {
            body: 'form' in asked ? asked['form'] : asked,
            ...(!address.includes('playground') && { token: house.consumers[begun % 2]?.key ?? '' }),
            headers: { 'user-agent': canary('agent'), ...('form' in asked && { 'content-type': FORM }) },
          });
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
          const errors = [...answer.text.matchAll(/"error":\{[^}]*\}/g)].join('');
          const seen = JSON.stringify(answer.headers) + errors + (answer.status === 200 ? '' : answer.text);
          if (seen.includes(CANARY)) broke.push(`seed ${SEED}, ${address}: ${seen}`);
          // Nobody serves for now: the agents that were cut off come back.
          if (answer.status === 503) for (const agent of agents) await agent.until(() => agent.registered);
        }
      }),
    );
    logged();
    expect(broke).toEqual([]);
    expect(reached).toBeGreaterThan(PROMPTS / 4);
    expect(statuses.get(200)).toBeGreaterThan(PROMPTS / 10);
    const told = [...statuses].map(([status, times]) => `${status} ${times}`).join(', ');
    process.stdout.write(
      `${PROMPTS} prompts with ${number - before} canaries (seed ${SEED}) in ${Math.round((performance.now() - begunMs) / 1_000)} s, ${reached} attempts reached an agent: ${told}\n`,
    );
  });

  it('in calls of the console, refused or not, are in no error and no header', {
    timeout: 240_000,
  }, async () => {
    const email = `${MAIL}@example.org`;
    const at = (route: string): string => `${house.baseUrl}/api/v1${route}`;
    const made = await visit(at('/user/signup'), { body: { email, password: `${SECRET}-1` } });
    expect(made.status).toBe(200);
    secrets.push(made.json.token, made.json.api_key);
    const { token } = made.json;
    const everything = {
      email: `${MAIL}@`,
      password: `${SECRET}-2`,
      present_password: `${SECRET}-3`,
      new_password: SECRET.slice(0, 5),
      name: `${canary('name')}\0`,
      display_name: `${canary('display')}\0`,
      owner_address: canary('owner'),
      wallet_address: canary('wallet'),
      worker_address: canary('worker'),
      beneficiary_address: canary('beneficiary'),
      provider_name: `${canary('provider')}\0`,
      hardware_summary: `${canary('hardware')}\0`,
      description: `${canary('description')}\0`,
      contact_email: `${MAIL} at example.org`,
      models: [`${canary('model')}\0`],
      categories: [canary('category')],
      addresses: [canary('address')],
      cap_day_usd: canary('cap'),
      expires_at: canary('expiry'),
      overlap_hours: canary('overlap'),
      state: canary('state'),
      reason: canary('reason'),
      [canary('field')]: canary('value'),
    };
    const tries: Parameters<typeof visit>[1][] = [
      { token },
      {},
      { token: `sess-${SECRET}` },
      { token: `sk-swan-${CANARY}` },
      {
        headers: {
          cookie: `cygnet_session=${SECRET}; ${CANARY}=${CANARY}`,
          origin: `https://${CANARY}.example`,
        },
      },
    ];
    for (const { method, url } of consoleRoutes({ clock: systemClock } as unknown as ConsoleRooms)) {
      const route = url.replaceAll(/:\w+/g, CANARY).replace('/api/v1', '');
      if (route === '/user/logout') continue;
      for (const [i, about] of tries.entries()) {
        const from = { ...about, headers: { ...about?.headers, 'x-forwarded-for': `10.0.0.${i + 1}` } };
        const asked = method === 'GET' ? { ...from, method } : { ...from, method, body: everything };
        // A stream of events would not end.
        const once = route === '/events' ? '&once=true' : '';
        const answer = await visit(`${at(route)}?${CANARY}=${SECRET}&category=${CANARY}${once}`, asked);
        const heard = answer.text + JSON.stringify(answer.headers);
        expect([429, 500], `${method} ${route}`).not.toContain(answer.status);
        for (const secret of [CANARY, SECRET])
          expect(heard.includes(secret), `${method} ${route}: ${heard}`).toBe(false);
        expect(answer.status >= 400 ? heard : '').not.toContain(MAIL);
      }
    }
    // Wrong and right passwords, broken JSON, and what a person changes.
    for (const sent of [{ email, password: `${SECRET}-4` }, `{"email":"${MAIL}","password":"${SECRET}`]) {
      const answer = await visit(at('/user/login'), { body: sent });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.text).not.toMatch(new RegExp(`${SECRET}|${MAIL}`));
    }
    const changed = { present_password: `${SECRET}-1`, new_password: `${SECRET}-5` };
    expect((await visit(at('/user/me/password'), { method: 'PUT', token, body: changed })).status).toBe(200);
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
    const files = everythingIn(house.folder);
    const keys = [...house.consumers, ...house.providers].map((each) => each.key);
    for (const secret of [CANARY, SECRET, 'sk-swan-', 'sk-prov-', 'sess-', ...secrets, ...keys]) {
      expect(log.includes(secret), `${secret} in the log`).toBe(false);
      expect(files.includes(secret), `${secret} in a file`).toBe(false);
      expect(stored.includes(secret), `${secret} in the database`).toBe(false);
    }
    // An e-mail address is where its user is, and nowhere else.
    expect(log.includes(MAIL)).toBe(false);
    expect(files.includes(MAIL)).toBe(false);
    const holding = stored.split('\n').filter((row) => row.includes(`${MAIL}@`));
    expect(holding.map((row) => Object.keys(JSON.parse(row)).includes('password_hash'))).toEqual([true]);
    // A debug log was kept, sealed, and of nobody who did not want one.
    const { sql } = house.store.database;
    await vi.waitFor(async () => {
      const owners = await sql<{ consumer_id: string }[]>`select distinct consumer_id from debug_entries`;
      expect(owners.map((row) => row.consumer_id)).toEqual([house.consumers[1]?.id]);
    });
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
