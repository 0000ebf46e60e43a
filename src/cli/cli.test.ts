import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { LikenessStore } from '#benchmark/likeness/store.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { packageRoot } from '#kit/package-root.ts';
import { systemRandomness } from '#kit/random.ts';
import { Book } from '#ledger/book.ts';
import { Leases } from '#ledger/leases.ts';
import { STANDARD_SLA } from '#reliability/sla-terms.ts';
import { makeProvider } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Upstream } from '#support/upstream.ts';
import { COMMANDS } from './commands.ts';
import { run } from './run.ts';

// Most commands run in this process; what the program as a whole does is tried on it as it ships, bundled, in processes.
const program = path.join(packageRoot(), 'dist', `cli-under-test-${process.pid}.mjs`);
let fresh: FreshDatabase;

beforeAll(async () => {
  fresh = await freshDatabase();
  await build({
    absWorkingDir: packageRoot(),
    entryPoints: ['src/cli/main.ts'],
    outfile: program,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
  });
});
afterAll(async () => {
  rmSync(program, { force: true });
  await fresh.drop();
});

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** A command line as it runs in this process: by its own settings only, and with what it prints kept. */
async function cygnet(words: string[], more: Record<string, string> = {}): Promise<Ended> {
  const ended: Ended = { code: null, out: '', err: '' };
  const before = { env: process.env, exitCode: process.exitCode };
  const kept = (stream: 'out' | 'err') => (part: string | Uint8Array) => {
    ended[stream] += typeof part === 'string' ? part : Buffer.from(part).toString();
    return true;
  };
  const out = vi.spyOn(process.stdout, 'write').mockImplementation(kept('out'));
  const err = vi.spyOn(process.stderr, 'write').mockImplementation(kept('err'));
  try {
    process.env = { PATH: before.env['PATH'], DATABASE_URL: fresh.url, ...more };
    process.exitCode = undefined;
    const code = await run(words);
    ended.code = code === 0 ? exitCode() : code;
  } finally {
    process.env = before.env;
    process.exitCode = before.exitCode;
    out.mockRestore();
    err.mockRestore();
  }
  return ended;
}

/** What a command left behind for the end of its process. */
const exitCode = (): number => Number(process.exitCode ?? 0);

/** The same as a process of its own, of the program as it ships. */
async function shipped(words: string[], more: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...words], {
    env: { PATH: process.env['PATH'], DATABASE_URL: fresh.url, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended: Ended = { code: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (part) => {
    ended.out += part;
  });
  child.stderr.setEncoding('utf8').on('data', (part) => {
    ended.err += part;
  });
  [ended.code] = (await once(child, 'close')) as [number | null];
  return ended;
}

/** What a command that must succeed answers with `--json`. */
async function answer<T = Record<string, string>>(...words: string[]): Promise<T> {
  const ended = await cygnet([...words, '--json']);
  expect(ended).toMatchObject({ code: 0, err: '' });
  return JSON.parse(ended.out) as T;
}

/** A refusal is one sentence on stderr and nothing on stdout. */
async function refusal(code: number, ...words: string[]): Promise<string> {
  const ended = await cygnet(words);
  expect(ended).toMatchObject({ code, out: '' });
  expect(ended.err.trim().split('\n')).toHaveLength(1);
  return ended.err;
}

describe('keys', () => {
  test('a key is made, shown once, listed without its secret, and revoked', async () => {
    const consumer = await answer('consumers', 'create', 'Ada');
    const made = await answer('keys', 'create', '--consumer', 'Ada', '--name', 'laptop');
    expect(made).toMatchObject({ kind: 'consumer', ownerId: consumer['id'], name: 'laptop' });
    expect(made['key']).toMatch(/^sk-swan-[0-9a-f]{48}$/);

    const listed = await cygnet(['keys', 'list', '--owner', consumer['id'] as string]);
    expect(listed.out).toContain(`sk-swan-${made['prefix']}…`);
    expect(listed.out).not.toContain(made['key']);

    expect(await refusal(2, 'keys', 'revoke', made['key'] as string)).not.toContain(made['key']);
    expect(await answer('keys', 'revoke', made['prefix'] as string)).toMatchObject({
      id: made['id'],
      changed: true,
    });
    expect(await answer('keys', 'revoke', made['id'] as string)).toMatchObject({ changed: false });
  });

  test('a key is made with limits, which the list shows, and rotated with them', async () => {
    const owner = await answer('consumers', 'create', 'Scoped');
    const limits =
      '--cap-day 0.5 --cap-month 10 --expires 30d --rate 7 --categories llm --ip 203.0.113.0/24,::1';
    const made = await answer<Record<string, unknown>>(
      'keys',
      'create',
      '--consumer',
      owner['id'] as string,
      '--models',
      'glm-4.7-flash, cygnet-nano',
      ...limits.split(' '),
    );
    expect(made).toMatchObject({
      models: ['zai-org/GLM-4.7-Flash', 'cygnet/cygnet-nano'],
      categories: ['llm'],
      capDay: '500000000000',
      capMonth: '10000000000000',
      addresses: ['203.0.113.0/24', '::1'],
      requestsPerMinute: 7,
    });
    expect(Date.parse(made['expiresAt'] as string)).toBeGreaterThan(Date.now() + 29 * 86_400_000);
    const rotated = await answer('keys', 'rotate', made['id'] as string, '--overlap', '90m');
    expect(rotated['key']).toMatch(/^sk-swan-/);
    const listed = await answer<Record<string, unknown>[]>('keys', 'list', '--owner', owner['id'] as string);
    expect(listed[1]).toMatchObject({ familyId: made['id'], expiresAt: made['expiresAt'] });
    expect(listed[1]?.['scope']).toEqual(listed[0]?.['scope']);
    expect(Date.parse(listed[0]?.['expiresAt'] as string)).toBeLessThan(Date.now() + 91 * 60_000);
    const shown = await cygnet(['keys', 'list', '--owner', owner['id'] as string]);
    expect(shown.out).toContain('$0.50 a day; $10.00 a month; from 203.0.113.0/24, ::1; 7 a minute; until');
    expect(await refusal(1, 'keys', 'rotate', made['id'] as string)).toContain('successor');
  });

  test('a limit that is none is refused, quoted, before anything is made', async () => {
    const create = ['keys', 'create', '--consumer', 'Scoped'];
    expect(await refusal(2, ...create, '--cap-day', 'much')).toContain('"much"');
    expect(await refusal(2, ...create, '--ip', '10.0.0.0/99')).toContain('"10.0.0.0/99"');
    expect(await refusal(2, ...create, '--expires', '2020-01-01')).toContain('"2020-01-01"');
    expect(await refusal(2, ...create, '--categories', 'video')).toContain('"video"');
    expect(await refusal(2, ...create, '--rate', '0')).toContain('"0"');
    expect(await refusal(1, ...create, '--models', 'nonsense')).toContain('nonsense');
    expect(await refusal(2, 'keys', 'create', '--provider', 'x', '--cap-day', '1')).toContain('provider key');
    expect(await refusal(2, 'keys', 'rotate', 'key_x', '--overlap', 'long')).toContain('"long"');
  });

  test('a key for nobody, or for two, is refused', async () => {
    expect(await refusal(1, 'keys', 'create', '--provider', 'nobody')).toContain('no provider "nobody"');
    expect(await refusal(2, 'keys', 'create', '--provider', 'a', '--consumer', 'b')).toContain('whose key');
    expect(await refusal(1, 'keys', 'revoke', 'key_none')).toContain('no key "key_none"');
  });
});

test('two parties of one name must be told apart by id', async () => {
  const [one, two] = [
    await answer('consumers', 'create', 'Twin'),
    await answer('consumers', 'create', 'Twin'),
  ];
  const told = await refusal(1, 'keys', 'create', '--consumer', 'Twin');
  expect(told).toContain(one['id']);
  expect(told).toContain(two['id']);
  expect((await answer('keys', 'create', '--consumer', two['id'] as string))['ownerId']).toBe(two['id']);
});

test('a provider waits for approval where the operator says so, and can be suspended and let back', async () => {
  const created = await cygnet(['providers', 'create', 'GPU', '--json'], {
    CYGNET_PROVIDER_APPROVAL: 'operator',
  });
  expect(JSON.parse(created.out)).toMatchObject({ state: 'pending' });
  expect(await refusal(1, 'providers', 'suspend', 'GPU')).toContain('is pending and cannot become suspended');
  expect(await answer('providers', 'approve', 'GPU')).toMatchObject({ state: 'active', changed: true });
  await answer('providers', 'suspend', 'GPU', '--reason', 'late answers');
  const [listed] = await answer<Record<string, unknown>[]>('providers', 'list');
  expect(listed).toMatchObject({ name: 'GPU', state: 'suspended', reason: 'late answers', nodes: 0 });
});

test('where a benchmark is demanded, approval lets a provider in only so far', async () => {
  const enforce = { CYGNET_BENCHMARKS: 'enforce', CYGNET_PROVIDER_APPROVAL: 'operator' };
  const created = await cygnet(['providers', 'create', 'Strict', '--json'], enforce);
  expect(JSON.parse(created.out)).toMatchObject({ state: 'pending' });
  const approved = await cygnet(['providers', 'approve', 'Strict', '--json'], enforce);
  expect(JSON.parse(approved.out)).toMatchObject({ state: 'approved', changed: true });
  const automatic = await cygnet(['providers', 'create', 'Waits', '--json'], {
    CYGNET_BENCHMARKS: 'enforce',
  });
  expect(JSON.parse(automatic.out)).toMatchObject({ state: 'approved' });
});

test('benchmarks are listed, and what cannot be shown, hurried or decided is said', async () => {
  await answer('providers', 'create', 'Asked');
  expect(await answer('benchmarks', 'list')).toEqual([]);
  expect(await answer('benchmarks', 'list', '--provider', 'Asked')).toEqual([]);
  expect(await refusal(1, 'benchmarks', 'list', '--provider', 'nobody')).toContain('no provider "nobody"');
  expect(await refusal(1, 'benchmarks', 'show', 'bench_none')).toContain('no benchmark run "bench_none"');
  expect(await refusal(1, 'benchmarks', 'run', 'Asked')).toContain('no such node was seen yet');
  expect(await refusal(1, 'benchmarks', 'appeal', 'bench_none', '--grant', '--reason', 'r')).toContain(
    'no such benchmark run',
  );
  expect(await refusal(2, 'benchmarks', 'appeal', 'bench_none', '--reason', 'r')).toContain(
    'either --grant or --reject',
  );
  const vain = await cygnet(['benchmarks', 'run', 'Asked'], { CYGNET_BENCHMARKS: 'off' });
  expect([vain.code, vain.err]).toEqual([1, expect.stringContaining('Benchmarks are off')]);
});

test('who was found to answer unlike others is listed, shown with what it rests on, and cleared', async () => {
  expect(await refusal(1, 'benchmarks', 'likeness', 'unlike_none')).toContain('no finding "unlike_none"');
  const store = new LikenessStore(fresh.database);
  const providers = await Promise.all([0, 1, 2].map(() => makeProvider(fresh.database)));
  const at = systemClock.wallMs();
  const { found } = await store.finish(
    {
      id: 'like_1',
      modelId: 'm',
      at,
      prompt: 'Summarize\nthis.',
      answers: providers.map(({ id }, i) => ({
        nodeId: `node-${i}`,
        providerId: id,
        verdict: i === 2 ? 'unlike' : 'alike',
        opening: i === 2 ? 'sure here it is' : 'the harbour is closed',
        ttftMs: 12,
      })),
    },
    {
      weigh: (before, verdict) => ({ ...before, checks: 1, unlike: 1, found: verdict === 'unlike' }),
      findingId: () => 'unlike_1',
      validMs: 60_000,
    },
  );
  expect(found).toHaveLength(1);
  expect((await cygnet(['benchmarks', 'likeness', '--provider', providers[2]?.id ?? ''])).out).toMatch(
    /unlike_1 .* 1\/1 +until .*\n\nprovider[^]*node-2/,
  );
  const { out } = await cygnet(['benchmarks', 'likeness', 'unlike_1']);
  for (const said of [
    'in 1 of 1 comparisons',
    'not benchmarked yet',
    'Summarize this.',
    'node-2 *',
    'the harbour',
  ])
    expect(out).toContain(said);
  expect(await answer('benchmarks', 'clear', 'unlike_1', '--reason', 'a trial')).toMatchObject({
    ended: { as: 'cleared', by: 'cli', because: 'a trial' },
  });
});

describe('external endpoints', () => {
  const KEY = 'sk-upstream-canary-0123456789';
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-cli-'));
  const keyFile = path.join(folder, 'key');
  let upstream: Upstream;
  beforeAll(async () => {
    writeFileSync(keyFile, `${KEY}\n`);
    upstream = await Upstream.open();
    upstream.models = ['glm-flash'];
    upstream.key = KEY;
  });
  afterAll(async () => {
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const here = () => ({ CYGNET_EXTERNAL_ALLOW_NETWORKS: '127.0.0.1', CYGNET_DATA_DIR: folder });

  test('one is added with a key from a file, checked, listed without the key, and removed', async () => {
    const provider = await answer('providers', 'create', 'Endpoint owner');
    // A name may hold a colon, as Ollama's do.
    upstream.models = ['glm:flash'];
    const words = ['endpoints', 'add', upstream.url, '--provider', 'Endpoint owner', '--key-file', keyFile];
    const added = await cygnet([...words, '--model', 'glm-4.7-flash=glm:flash', '--json'], here());
    expect(added).toMatchObject({ code: 0, err: '' });
    const { id, healthy, missing } = JSON.parse(added.out);
    expect({ healthy, missing }).toEqual({ healthy: true, missing: [] });

    const listed = await cygnet(['endpoints', 'list', '--json'], here());
    expect(JSON.parse(listed.out)).toMatchObject([
      {
        id,
        providerId: provider['id'],
        hasKey: true,
        models: [{ upstreamName: 'glm:flash', operations: ['chat/completions'] }],
      },
    ]);
    upstream.models = ['something-else'];
    const checked = await cygnet(['endpoints', 'check', id], here());
    expect(checked.out).toContain('It does not list "glm:flash": zai-org/GLM-4.7-Flash is not offered.');
    const unreadable = await cygnet(['endpoints', 'check', id], { ...here(), CYGNET_SECRET: 'x'.repeat(32) });
    expect(unreadable.out).toContain('cannot be read with the present CYGNET_SECRET');
    const forbidden = await cygnet(['endpoints', 'check', id], { CYGNET_DATA_DIR: folder });
    expect(forbidden.out).toContain('not on the public Internet');

    const removed = await cygnet(['endpoints', 'remove', id], here());
    expect(removed).toMatchObject({ code: 0 });
    expect(await cygnet(['endpoints', 'remove', id], here())).toMatchObject({ code: 1, out: '' });
    expect(JSON.parse((await cygnet(['endpoints', 'list', '--json'], here())).out)).toEqual([]);
    expect(JSON.stringify([added, listed, checked, unreadable, removed])).not.toContain('canary');
  });

  test('one that could not be called is refused in a sentence, before anything is kept', async () => {
    await answer('providers', 'create', 'Careless');
    const add = (url: string, ...more: string[]) =>
      ['endpoints', 'add', url, '--provider', 'Careless', '--model', 'glm-4.7-flash'].concat(more);
    expect(await refusal(1, ...add('https://169.254.169.254/v1'))).toContain('not on the public Internet');
    expect(await refusal(1, ...add('https://8.8.8.8/v1', '--model', 'no/such'))).toContain('no/such');
    expect(await refusal(1, ...add('https://8.8.8.8/v1', '--key-file', '/no/such/file'))).toContain('ENOENT');
    expect(await refusal(2, ...add('https://8.8.8.8/v1', '--capacity', 'many'))).toContain('--capacity');
    expect(await answer('endpoints', 'list')).toEqual([]);
  });

  test('one is added with an ask, which is changed and given up', async () => {
    await answer('providers', 'create', 'Asker');
    const words = ['endpoints', 'add', upstream.url, '--provider', 'Asker', '--model', 'glm-4.7-flash'];
    const added = await cygnet([...words, '--ask', 'glm-4.7-flash=0.000001/0.03', '--json'], here());
    expect(added).toMatchObject({ code: 0, err: '' });
    const { id } = JSON.parse(added.out);
    const listed = await cygnet(['endpoints', 'list'], here());
    expect(listed.out).toContain('zai-org/GLM-4.7-Flash at $0.000001 in, $0.03 out per million tokens');
    const changed = ['endpoints', 'ask', id, 'glm-4.7-flash', '--input', '0.01', '--output', '0.02'];
    const asks = await cygnet(changed, here());
    expect(asks.out).toContain('asks $0.01 in, $0.02 out per million tokens for zai-org/GLM-4.7-Flash');
    const back = await cygnet(['endpoints', 'ask', id, 'glm-4.7-flash', '--listed', '--json'], here());
    expect(JSON.parse(back.out)).toMatchObject({ endpointId: id, ask: null });
    await cygnet(['endpoints', 'remove', id], here());
  });

  test('an ask above the list, of an odd shape or of no model is refused in a sentence', async () => {
    await answer('providers', 'create', 'Greedy');
    const asking = (...asks: string[]) =>
      ['endpoints', 'add', 'https://8.8.8.8/v1', '--provider', 'Greedy', '--model', 'glm-4.7-flash'].concat(
        asks.flatMap((each) => ['--ask', each]),
      );
    expect(await refusal(1, ...asking('glm-4.7-flash=900/0'))).toContain('may not be above the listed price');
    expect(await refusal(2, ...asking('other=0.1/0.1'))).toContain('which no --model names');
    expect(await refusal(2, ...asking('glm-4.7-flash=1/2/3'))).toContain('--ask is not one');
    expect(
      await refusal(1, 'endpoints', 'ask', 'ext_none', 'glm-4.7-flash', '--input', '0', '--output', '0'),
    ).toContain('There is no endpoint "ext_none"');
  });
});

test("what a provider's agents ask is set and given up, and refused above the list", async () => {
  await answer('providers', 'create', 'Agents');
  const words = ['providers', 'ask', 'Agents', 'glm-4.7-flash'];
  const asks = await cygnet([...words, '--input', '0.01', '--output', '0.02']);
  expect(asks.out).toContain('asks $0.01 in, $0.02 out per million tokens for zai-org/GLM-4.7-Flash');
  expect(await refusal(1, ...words, '--input', '900', '--output', '0')).toContain('may not be above');
  expect(await answer(...words, '--listed')).toMatchObject({ modelId: 'zai-org/GLM-4.7-Flash', ask: null });
});

test('asking a market that is not there, or with a key that cannot be read, is refused in a sentence', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-cli-'));
  const keyFile = path.join(folder, 'key');
  expect(await refusal(1, 'providers', 'why', '--key-file', keyFile)).toContain('ENOENT');
  writeFileSync(keyFile, 'sk-prov-nobody');
  const nowhere = ['providers', 'why', '--key-file', keyFile, '--market', 'http://127.0.0.1:9'];
  expect(await refusal(1, ...nowhere)).toContain('does not answer');
  rmSync(folder, { recursive: true, force: true });
});

test('whoever puts a consumer on a plan with a fee is told that it costs', async () => {
  await answer('consumers', 'create', 'Charged');
  const { out } = await cygnet(['consumers', 'plan', 'Charged', 'pro']);
  expect(out).toContain('$6.00 a month');
});

test('a plan is chosen from the table, and an operator is made of somebody who signed up', async () => {
  const id = (await answer('consumers', 'create', 'Planned'))['id'] as string;
  expect(await answer('consumers', 'plan', 'Planned', 'pro')).toMatchObject({ id, plan: 'pro' });
  expect(await refusal(2, 'consumers', 'plan', 'Planned', 'gold')).toContain('"gold"');
  expect(await refusal(1, 'users', 'operator', 'nobody@example.org')).toContain('nobody@example.org');
  await fresh.database.sql`
    insert into users (id, email, email_key, display_name, password_hash, consumer_id, created_at, password_set_at)
    values ('user_1', 'Ada@Example.org', 'ada@example.org', 'Ada', '$argon2id$x', ${id}, now(), now())`;
  expect(await answer('users', 'operator', 'ada@example.ORG')).toMatchObject({ isOperator: true });
  const [listed] = await answer<Record<string, unknown>[]>('users', 'list');
  expect(listed).toMatchObject({ email: 'Ada@Example.org', isOperator: true });
  expect(JSON.stringify(listed)).not.toContain('argon2');
  expect(await answer('users', 'operator', 'ada@example.org', '--revoke')).toMatchObject({
    isOperator: false,
  });
  // Each is written down, whichever command it was.
  const log = await fresh.database.sql<{ outcome: string; asked: object }[]>`
    select outcome, asked from operator_actions join operator_outcomes o on o.action_id = id
    where what = 'cygnet users operator' order by operator_actions.at`;
  expect(log.map(({ outcome, asked }) => [outcome, asked])).toEqual([
    ['refused', { isOperator: true }],
    ['done', { isOperator: true }],
    ['done', { isOperator: false }],
  ]);
});

test('who runs the market takes a second factor away from somebody who lost it, and that is written down', async () => {
  const id = (await answer('consumers', 'create', 'Lost'))['id'] as string;
  const { sql } = fresh.database;
  await sql`
    insert into users (id, email, email_key, display_name, password_hash, consumer_id, created_at, password_set_at)
    values ('user_lost', 'lost@example.org', 'lost@example.org', 'Lost', '$argon2id$x', ${id}, now(), now())`;
  const off = ['operator', 'second-factor', 'off'];
  expect(await refusal(1, ...off, 'lost@example.org')).toContain('has no second factor');
  expect(await refusal(1, ...off, 'nobody@example.org')).toContain('nobody@example.org');
  await sql`
    insert into second_factors (user_id, secret_id, sealed, made_at, confirmed_at)
    values ('user_lost', 'x', 'x', now(), now())`;
  await sql`insert into recovery_codes (user_id, hash) values ('user_lost', ${Buffer.alloc(32)})`;
  await sql`
    insert into sessions (id, user_id, hash, created_at, expires_at)
    values ('sess_lost', 'user_lost', ${Buffer.alloc(32)}, now(), now() + interval '1 hour')`;
  // What was made in a session that ends is revoked with it, and what was there before is not.
  await sql`
    insert into keys (id, kind, consumer_id, name, prefix, hash, created_at, session_id)
    select id, 'consumer', ${id}, id, '00000000', decode(hash, 'hex'), now(), session
    from (values ('key_lost', ${'1'.repeat(64)}, 'sess_lost'), ('key_kept', ${'2'.repeat(64)}, null)) as k(id, hash, session)`;
  expect(await answer(...off, 'Lost@example.org')).toEqual({
    email: 'Lost@example.org',
    secondFactor: false,
    revokedKeys: ['key_lost'],
  });
  expect(await sql`select from second_factors where user_id = 'user_lost'`).toHaveLength(0);
  expect(await sql`select from sessions where id = 'sess_lost' and ended_at is null`).toHaveLength(0);
  const log = await answer<{ what: string; about: string; outcome: string }[]>('operator', 'log');
  expect(
    log.filter(({ what }) => what.includes('second-factor')).map(({ about, outcome }) => [about, outcome]),
  ).toEqual([
    ['Lost@example.org', 'done'],
    ['nobody@example.org', 'refused'],
    ['lost@example.org', 'refused'],
  ]);
});

test('a price is set now or for later, shown in the list and the history, and a slip is refused', async () => {
  const models = await answer<{ id: string; price: { inputPico: string } }[]>('models', 'list');
  expect(models.find(({ id }) => id === 'cygnet/cygnet-nano')?.price.inputPico).toBe('50000');
  await answer('price', 'set', 'cygnet-nano', '--input', '0.06', '--output', '0.25');
  await answer(
    'price',
    'set',
    'cygnet-nano',
    '--input',
    '1',
    '--output',
    '1',
    '--from',
    '2100-01-01T00:00:00Z',
  );
  expect(await refusal(1, 'price', 'set', 'cygnet-nano', '--input', '60', '--output', '0.25')).toContain(
    'hundred times',
  );
  expect(await refusal(2, 'price', 'set', 'cygnet-nano', '--input', 'cheap', '--output', '0.25')).toContain(
    '"cheap"',
  );
  expect(await refusal(2, 'price', 'set', 'cygnet-nano', '--request', '1', '--input', '1')).toContain(
    '--request (and --minute)',
  );
  const history = await answer<{ inputPico: string; inForce: boolean }[]>('price', 'history', 'cygnet-nano');
  expect(history.map(({ inputPico, inForce }) => [inputPico, inForce])).toEqual([
    ['1000000', false],
    ['60000', true],
    ['50000', false],
  ]);
});

describe('money', () => {
  test('credit is given once per id, and the balance shows it exactly', async () => {
    const consumer = await answer('consumers', 'create', 'Payer');
    const id = consumer['id'] as string;
    expect(await answer('balance', id)).toMatchObject({ total: '0', held: '0', available: '0' });
    for (const known of [false, true]) {
      expect(await answer('credit', id, '5.000000000001', '--id', 'gift-1')).toMatchObject({
        known,
        total: '5000000000001',
      });
    }
    const { out } = await cygnet(['credit', id, '5.000000000001', '--id', 'gift-1']);
    expect(out).toContain('had been given $5.000000000001 as gift-1 already: nothing was given now.');
    expect((await cygnet(['balance', 'Payer'])).out).toContain('available  $5.000000000001');
    expect(await refusal(1, 'credit', id, '6', '--id', 'gift-1')).toContain('other amounts');
    for (const amount of ['0', '1e3', 'five']) {
      expect(await refusal(2, 'credit', id, amount)).toContain('Not an amount');
    }
  });

  test('terms of a tier are set and shown, and places kept, listed and ended; a slip is refused in a sentence', async () => {
    expect(await answer('tiers', 'set', 'hobby', '--burst', '7', '--output-tokens', 'none')).toMatchObject({
      name: 'hobby',
      burst: 7,
      outputTokensMax: null,
      weight: 1,
    });
    const [hobby] = await answer<Record<string, unknown>[]>('tiers', 'list');
    expect(hobby).toMatchObject({ name: 'hobby', burst: 7 });
    expect(await refusal(2, 'tiers', 'set', 'gold', '--burst', '7')).toContain('"gold"');
    expect(await refusal(2, 'tiers', 'set', 'pro', '--price-factor', '9999')).toContain('from 10000');
    expect(await refusal(2, 'tiers', 'set', 'pro')).toContain('at least one');

    const id = (await answer('consumers', 'create', 'Big'))['id'] as string;
    const add = ['reserve', 'add', 'Big', 'glm-4.7-flash'];
    expect(await refusal(1, ...add, '--slots', '2')).toContain('plan business');
    await answer('consumers', 'plan', 'Big', 'business');
    const made = await answer(...add, '--share', '12.5', '--release-idle', '60');
    expect(made).toMatchObject({ consumerId: id, share: 1_250, slots: null, releaseIdleS: 60 });
    expect(await refusal(1, ...add, '--slots', '2')).toContain('end that reservation first');
    expect(await refusal(2, ...add, '--slots', '2', '--share', '5')).toContain('either');
    expect(await refusal(2, ...add, '--share', '91')).toContain('90');
    expect((await cygnet(['reserve', 'list'])).out).toContain('12.5 %');
    expect(await answer('reserve', 'end', made['id'] as string)).toEqual({ id: made['id'] });
    expect(await refusal(1, 'reserve', 'end', made['id'] as string)).toContain('no standing reservation');
  });

  test('usage lists what each request consumed and cost, corrections included', async () => {
    const id = (await answer('consumers', 'create', 'Reader'))['id'] as string;
    const { database } = fresh;
    const clock = systemClock;
    const book = new Book({ database, clock, log: silentLog, instance: 'test' });
    await answer('credit', id, '1');
    const lease = new Leases({ database, instance: 'test', makeId: idMaker(clock, systemRandomness) });
    await lease.grow(id, { atLeast: 1_000n, want: 1_000_000n });
    const served = usageRecord({
      id: 'req_1',
      consumerId: id,
      charge: 900n,
      inputTokens: 5,
      outputTokens: 7,
    });
    await book.post([
      { kind: 'usage', record: served },
      {
        kind: 'usage',
        record: { ...served, id: 'req_2', outcome: 'broken', errorCode: 'provider-cut-off', charge: 0n },
      },
      {
        kind: 'correction',
        record: {
          id: 'fix_req_1',
          at: served.at,
          requestId: 'req_1',
          consumerId: id,
          providerId: 'prov_1',
          policy: 'standard-1',
          inputTokens: 5,
          outputTokens: 6,
          refund: 100n,
          originalCharge: 900n,
        },
      },
    ]);
    const lines = await answer<Record<string, unknown>[]>('usage', 'Reader');
    expect(lines).toHaveLength(2);
    expect(lines.find((line) => line['id'] === 'req_1')).toMatchObject({
      inputTokens: 5,
      outputTokens: 6,
      charge: '800',
      refund: '100',
      ttftMs: 12.5,
    });
    const shown = await cygnet(['usage', '--limit', '5']);
    expect(shown.out).toContain('broken (provider-cut-off)');
    expect(shown.out).toContain('$0.0000000008');
    expect(await refusal(2, 'usage', '--limit', 'all')).toContain('"all"');
    expect(await answer('audit')).toMatchObject({ balanced: true, checkedUsage: 2 });
    const measured = await answer('plan', 'capacity', '--measured', served.modelId, '--days', '36500');
    expect(measured).toMatchObject({
      demand: { requestsPerS: 1 / 60, promptTokens: 5, outputTokens: 7 },
      supply: { tokensPerSPerGpu: 12 / 60 },
      total: 3,
    });
    expect(
      await refusal(1, 'plan', 'capacity', '--measured', served.modelId, '--days', '0.000001'),
    ).toContain('Nobody was served');
  });

  test('plan gives the worked examples, and says which figure is missing or out of range', async () => {
    const capacity = ['--requests-per-second', '2', '--prompt-tokens', '600', '--output-tokens', '250'];
    const shown = await cygnet(['plan', 'capacity', ...capacity, '--tokens-per-second', '1500']);
    expect(shown.out).toContain('= 1.51 GPUs busy');
    expect(shown.out).toContain('2 at the least, 2 with a headroom of 1.3, 3 so that 1 may be lost');
    const cost = ['--gpu-per-hour', '2.80', '--tokens-per-second', '1600', '--utilisation', '0.6'];
    expect((await cygnet(['plan', 'cost', ...cost, '--overhead', '0.25'])).out).toContain(
      '$0.81 + $0.25 = $1.06 per million tokens',
    );
    expect(await refusal(2, 'plan', 'capacity', ...capacity)).toContain('--tokens-per-second');
    expect(await refusal(2, 'plan', 'cost', ...cost, '--price', '-1')).toContain(
      '--price is out of its range',
    );
    expect(await refusal(2, 'plan', 'cost', ...cost, '--overhead', '1e3')).toContain('--overhead');
  });

  test('an audit of a book that somebody falsified says what is wrong and ends with 1', async () => {
    await fresh.database.sql`update accounts set balance = balance + 1 where id = 'platform:fee'`;
    const ended = await cygnet(['audit']);
    expect(ended.code).toBe(1);
    expect(ended.out).toContain('NOT balanced');
    expect(ended.out).toContain('platform:fee');
    await fresh.database.sql`update accounts set balance = balance - 1 where id = 'platform:fee'`;
    expect(await cygnet(['audit'])).toMatchObject({ code: 0 });
  });
});

function usageRecord(given: Partial<UsageRecord>): UsageRecord {
  return {
    id: 'req_0',
    at: Date.UTC(2026, 10, 20),
    consumerId: 'cons_0',
    keyId: 'key_0',
    modelId: 'cygnet/cygnet-nano',
    operation: 'chat/completions',
    providerId: 'prov_1',
    nodeId: 'node_1',
    attemptId: 'att_1',
    mode: 'websocket',
    streamed: true,
    outcome: 'completed',
    errorCode: null,
    inputTokens: 0,
    outputTokens: 0,
    units: 0,
    seconds: 0,
    claimedInputTokens: null,
    claimedOutputTokens: null,
    events: 1,
    bytes: 10,
    attempts: 1,
    ttftMs: 12.5,
    totalMs: 40,
    priceId: 'price_first_cygnet-nano',
    policy: 'standard-1',
    charge: 0n,
    ...given,
  };
}

describe('service levels', () => {
  const now = new Date();
  const past = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 0)).toISOString().slice(0, 7);

  test('a stretch that does not count is entered with its evidence, listed and withdrawn', async () => {
    const times = ['--from', `${past}-01T22:00Z`, '--until', `${past}-01T23:00Z`];
    const enter = ['sla', 'exclude', 'Notice 4711.', '--kind', 'force-majeure', ...times];
    const made = await answer<Record<string, unknown>>(...enter);
    expect(made).toMatchObject({
      consumerId: '',
      kind: 'force-majeure',
      evidence: 'Notice 4711.',
      actor: 'cli',
    });
    const list = ['sla', 'exclusions', '--month', past];
    expect(await answer<unknown[]>(...list)).toEqual([made]);
    await answer('sla', 'withdraw', made['id'] as string);
    expect(await answer<unknown[]>(...list)).toEqual([]);
    expect(await refusal(1, 'sla', 'withdraw', made['id'] as string)).toContain('withdrawn');
    expect(await refusal(2, 'sla', 'exclude', 'X', '--kind', 'weather', ...times)).toContain('force-majeure');
    const future = ['--from', '2099-01-01T00:00Z', '--until', '2099-01-02T00:00Z'];
    expect(await refusal(1, 'sla', 'exclude', 'X', '--kind', 'misuse', ...future)).toContain('not over');
  });

  test('an estimate of the month so far is shown, and written as PDF', async () => {
    const { id } = await answer<{ id: string }>('consumers', 'create', 'Promised');
    expect(await answer('sla', 'report', id)).toMatchObject({ consumer: id, state: 'estimate', charges: [] });
    const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-cli-'));
    const file = path.join(folder, 'sla.pdf');
    await answer('sla', 'report', id, '--pdf', file);
    expect(readFileSync(file, 'latin1').startsWith('%PDF-')).toBe(true);
    rmSync(folder, { recursive: true, force: true });
    expect(await refusal(1, 'sla', 'report', id, '--month', '2099-01')).toContain('Nothing was agreed');
    expect(await refusal(1, 'sla', 'verify', id, '--month', past)).toContain('No report');
  });

  test('terms of an account of its own are contracted in versions, and only for what is not over', async () => {
    const { id } = await answer<{ id: string }>('consumers', 'create', 'Contracted');
    const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-cli-'));
    const terms = path.join(folder, 'terms.json');
    writeFileSync(terms, JSON.stringify({ ...STANDARD_SLA, name: 'acme-1' }));
    const contract = ['sla', 'terms', 'set', id, '--from', '2098-01'];
    expect(await answer(...contract, '--file', terms)).toMatchObject({
      version: 1,
      terms: { name: 'acme-1' },
    });
    expect(await answer(...contract, '--of-tier')).toMatchObject({ version: 2, terms: null });
    expect(await answer('sla', 'terms', 'list', id)).toMatchObject([{ version: 1 }, { version: 2 }]);
    expect(await refusal(1, 'sla', 'terms', 'set', id, '--from', past, '--of-tier')).toContain('is over');
    rmSync(folder, { recursive: true, force: true });
  }, 90_000);

  test('a month that is not over is rehearsed, and not settled', async () => {
    const month = now.toISOString().slice(0, 7);
    expect(await refusal(1, 'sla', 'run', '--month', month)).toContain('not over');
    expect(await answer('sla', 'run', '--month', month, '--dry-run')).toMatchObject({ month, dryRun: true });
    expect(await answer('sla', 'run', '--month', past)).toMatchObject({ made: 0, failed: [] });
    expect(await refusal(2, 'sla', 'run', '--month', 'may')).toContain('2026-11');
    expect(await answer<unknown[]>('sla', 'list')).toEqual([]);
    expect(await answer<unknown[]>('sla', 'charges')).toEqual([]);
    expect(await refusal(1, 'sla', 'appeal', 'sla_none', '--grant', '--reason', 'X')).toContain('No report');
  });
});

describe('incidents', () => {
  let id = '';

  test('one is opened by hand, annotated and silenced', async () => {
    ({ id = '' } = await answer('incidents', 'open', 'Racks are hot.', '--model', 'cygnet-nano'));
    expect(await refusal(1, 'incidents', 'open', 'Again.', '--model', 'cygnet-nano')).toContain('note');
    await answer('incidents', 'note', id, 'Fans are on.');
    await answer('incidents', 'note', id, 'Call Kim.', '--internal');
    await answer('incidents', 'silence', id, '--minutes', '5');
    expect((await cygnet(['incidents', 'list'])).out).toContain('open, silenced');
  });

  test('one is ended, and its post-mortem drafted and published', async () => {
    expect(await refusal(1, 'incidents', 'post-mortem', id, '--publish', 'package.json')).toContain(
      'not over',
    );
    await answer('incidents', 'resolve', id, 'Cooled down.');
    expect(await refusal(1, 'incidents', 'resolve', id, 'Again.')).toContain('over already');
    expect((await cygnet(['incidents', 'list'])).out).toContain('post-mortem due');
    const shown = await cygnet(['incidents', 'show', id]);
    expect(shown.out).toContain('note (internal), operator: Call Kim.');
    const draft = await cygnet(['incidents', 'post-mortem', id]);
    expect(draft.out).toContain('# major incident: cygnet/cygnet-nano');
    expect(draft.out).toContain('**resolved** (operator) Cooled down.');
    await answer('incidents', 'post-mortem', id, '--publish', 'package.json');
    expect((await cygnet(['incidents', 'list'])).out).toContain('post-mortem published');
  });

  test('a slip is refused in a sentence', async () => {
    expect(await refusal(1, 'incidents', 'show', 'inc_none')).toContain('no incident');
    expect(await refusal(2, 'incidents', 'open', 'Hot.', '--severity', 'huge')).toContain('critical');
    expect(await refusal(2, 'incidents', 'open', '  ')).toContain('Words');
    expect(await refusal(1, 'incidents', 'open', 'Hot.', '--model', 'none')).toContain('no model');
    expect(await refusal(2, 'incidents', 'list', '--days', '-1')).toContain('--days');
  });

  test('objectives of a tier are set for the minutes that come, with a history; what is none is refused', async () => {
    const set = ['objectives', 'set', 'pro', '--availability', '99.95', '--ttft-p95-ms', '1200'];
    const version = await answer<{ figures: unknown; fromMs: number }>(...set);
    expect(version).toMatchObject({
      figures: { availabilityPpm: 999_500, ttftP95Ms: 1_200, tooManyPpm: 10_000 },
    });
    expect(version.fromMs % 60_000).toBe(0);
    expect((await cygnet(['objectives', 'history', 'pro'])).out).toContain('99.95 %');
    expect(await refusal(2, 'objectives', 'set', 'pro')).toContain('at least one');
    expect(await refusal(2, 'objectives', 'set', 'gold', '--too-many', '1')).toContain('"gold"');
    for (const given of ['100', '49', '99.99999', '-1', 'all'])
      expect(await refusal(2, 'objectives', 'set', 'pro', `--availability=${given}`)).toContain('from 50');
    const twisted = ['--ttlt-256-ms', '9000', '--ttlt-512-ms', '8000'];
    expect(await refusal(2, 'objectives', 'set', 'pro', ...twisted)).toContain('at least that of 256');
  });

  test('changes are frozen by hand and thaw again; the reason and the hours are asked for', async () => {
    const made = await answer<{ id: string; fromMs: number; untilMs: number }>(
      'freeze',
      'add',
      'The launch.',
      '--hours',
      '48',
    );
    expect(made.untilMs).toBe(made.fromMs + 48 * 3_600_000);
    expect((await cygnet(['freeze', 'list'])).out).toMatch(/in force.*The launch\./);
    await answer('freeze', 'lift', made.id);
    expect(await refusal(1, 'freeze', 'lift', made.id)).toContain('no freeze');
    expect(await refusal(2, 'freeze', 'add', ' ')).toContain('Say why');
    expect(await refusal(2, 'freeze', 'add', 'x', '--hours', '0')).toContain('from 1');
  });

  test('maintenance is announced, listed and called off', async () => {
    const from = '2099-01-01T22:00Z';
    const until = '2099-01-01T23:30Z';
    const words = ['maintenance', 'add', 'New switches.', '--from', from, '--until', until];
    const made = await answer<Record<string, unknown>>(...words);
    expect(made).toMatchObject({ modelId: '', excludes: true });
    expect((await cygnet(['maintenance', 'list'])).out).toContain('New switches.');
    await answer('maintenance', 'remove', made['id'] as string);
    expect(await answer<unknown[]>('maintenance', 'list')).toEqual([]);
    expect(await refusal(1, 'maintenance', 'remove', made['id'] as string)).toContain('called off');
    const add = (...times: string[]) => refusal(2, 'maintenance', 'add', 'X', ...times);
    expect(await add('--from', until, '--until', from)).toContain('after');
    expect(await add('--from', 'tomorrow', '--until', until)).toContain('zone');
  });

  test('a model is pinned by names that agents check, and by no others', async () => {
    const set = await answer('models', 'pin', 'glm-4.7-flash', 'engine=vllm', 'min_vram_gb=24');
    expect(set).toEqual({
      modelId: 'zai-org/GLM-4.7-Flash',
      requirements: { engine: 'vllm', min_vram_gb: 24 },
    });
    expect(await refusal(2, 'models', 'pin', 'glm-4.7-flash', 'colour=blue')).toContain('colour');
    expect(await refusal(2, 'models', 'pin', 'glm-4.7-flash', 'min_vram_gb=much')).toContain('min_vram_gb');
    expect(await refusal(2, 'models', 'pin', 'glm-4.7-flash')).toContain('--none');
    expect(await answer('models', 'pin', 'glm-4.7-flash', '--none')).toMatchObject({ requirements: null });
  });

  test('a smaller model is named as stand-in, never a model its own', async () => {
    const set = await answer('models', 'stand-in', 'zai-org/GLM-4.7-Flash', '--by', 'cygnet-nano');
    expect(set).toEqual({ modelId: 'zai-org/GLM-4.7-Flash', by: 'cygnet/cygnet-nano' });
    expect(await answer('models', 'stand-in', 'glm-4.7-flash', '--none')).toMatchObject({ by: null });
    expect(await refusal(1, 'models', 'stand-in', 'cygnet-nano', '--by', 'cygnet-nano')).toContain('same');
    expect(await refusal(2, 'models', 'stand-in', 'cygnet-nano')).toContain('--by');
  });
});

describe('the program', () => {
  test('ends with 2 for a command line that means nothing', async () => {
    expect(await refusal(2, 'nonsense')).toContain('nonsense');
    expect(await refusal(2, 'keys', 'revoke')).toContain('key');
  });

  test('tells everything wrong with its settings, and no secret', async () => {
    const ended = await shipped(['keys', 'list'], {
      CYGNET_HUB_PORT: 'x',
      DATABASE_URL: 'mysql://u:hunter2@h/d',
    });
    expect(ended.code).toBe(1);
    expect(ended.err).toContain('CYGNET_HUB_PORT is "x"');
    expect(ended.err).toContain('DATABASE_URL is not readable');
    expect(ended.err).not.toContain('hunter2');
  });

  test('says in one sentence that the database cannot be reached, without its password', async () => {
    const ended = await shipped(['keys', 'list'], { DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/d' });
    expect(ended.code).toBe(1);
    expect(ended.err).toContain('cannot be reached');
    expect(ended.err).not.toContain('hunter2');
  });

  test('knows its version and every command', async () => {
    expect((await shipped(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { out, code } = await shipped(['--help']);
    expect(code).toBe(0);
    for (const name of [
      'keys',
      'consumers',
      'providers',
      'models',
      'price',
      'balance',
      'credit',
      'usage',
      'audit',
    ])
      expect(out).toContain(name);
  });

  test('every command explains itself, and those that run a market name the settings to know first', async () => {
    // The agent's own is tried in a process: it prints by another road.
    const { code: agentCode, out: agentHelp } = await shipped(['agent', '--help']);
    expect([agentCode, agentHelp.includes('Serve models to a market')]).toEqual([0, true]);
    for (const name of Object.keys(COMMANDS).filter((each) => each !== 'agent')) {
      const { code, out } = await cygnet([name, '--help']);
      expect([name, code, out.includes('--json')]).toEqual([name, 0, true]);
    }
    for (const name of ['start', 'serve']) {
      const { out } = await cygnet([name, '--help']);
      for (const setting of ['CYGNET_DATA_DIR', 'CYGNET_GATEWAY_PORT', 'CYGNET_HUB_PORT', 'DATABASE_URL'])
        expect(out).toContain(setting);
    }
  });
});
