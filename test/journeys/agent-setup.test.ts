import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SetupOptions, setUp } from '#agent/commands/setup.ts';
import { type Asker, nobody } from '#agent/setup/asker.ts';
import { readSwanFolder } from '#agent/swan-folder.ts';
import { setProviderState } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { packageRoot } from '#kit/package-root.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { TestMarket } from '#support/market.ts';
import { OpenAiBackend } from '#support/openai-backend.ts';
import { visit } from '#support/visitor.ts';

// Setting up by being asked, at a market whose operator looks at every provider.

let market: TestMarket;
let backend: OpenAiBackend;
let folder: string;
const QWEN = 'Qwen/Qwen3-8B';

beforeAll(async () => {
  market = await TestMarket.open({ config: { providers: { approval: 'operator' } } });
  backend = await OpenAiBackend.open();
});
afterAll(async () => {
  await market.close();
  await backend.close();
});
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-asked-'));
  backend.names = ['qwen3:8b', 'gemma3'];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A person who answers by the words of the question; every question is kept. */
function person(answers: Record<string, string>) {
  const asked: string[] = [];
  const said: string[] = [];
  const answer = ({ message }: { message: string }): string => {
    asked.push(message);
    const known = Object.entries(answers).find(([words]) => message.includes(words));
    if (!known) throw new Error(`Nobody expected to be asked: ${message}`);
    return known[1];
  };
  const asker: Asker = {
    ...nobody((line) => said.push(line)),
    text: async (question) => {
      const text = answer(question);
      expect(question.check?.(text)).toBeUndefined();
      return text;
    },
    secret: async (question) => answer(question),
    choose: async (question) => {
      const wanted = answer(question);
      const option = question.options.find(({ label }) => label.includes(wanted));
      if (!option) throw new Error(`No such choice: ${wanted}`);
      return option.value;
    },
    chooseSome: async (question) => {
      const wanted = answer(question);
      return question.options.filter(({ label }) => label.includes(wanted)).map(({ value }) => value);
    },
    confirm: async (question) => answer(question) === 'yes',
  };
  return { asker, asked, said };
}

const set = async (asker: Asker, options: SetupOptions = {}) =>
  await setUp(
    { folder, backend: [backend.url], ...options },
    { env: {}, asker, randomness: systemRandomness, hardware: undefined },
  );

test('a newcomer is asked what is missing, signs up, asks for approval, and is active once it is given', async () => {
  const { asker, asked } = person({
    'Which market': market.url,
    'A provider key says': 'I am new here',
    'e-mail': 'asked@example.org',
    password: 'correct horse battery',
    'call you': 'Asked GPU',
    wallet: `0x${'cd'.repeat(20)}`,
    'What do you want to serve': QWEN,
    'Ask for approval': 'yes',
  });
  const done = await set(asker);
  expect(done).toMatchObject({
    standing: { status: 'under_review', name: 'Asked GPU' },
    models: [{ id: QWEN }],
    unmatched: [{ name: 'gemma3', nearest: { id: expect.stringContaining('gemma-3') } }],
  });
  expect(asked).toHaveLength(8);
  // Nobody was asked for the hub: the market said where it is.
  expect(done.hub).toBe(market.hubUrl);
  const { key, nodeName } = readSwanFolder(folder);
  expect(nodeName).toMatch(/^[\w-]+$/);
  const id = done.standing.provider_id as string;
  const at = systemClock.wallMs();
  await setProviderState(market.fresh.database, { id, to: 'active', at, reason: 'looked at' });
  await expect
    .poll(
      async () => (await visit(`${market.url}/api/v1/provider/status`, { token: key as string })).json.status,
    )
    .toBe('active');
  const me = await visit(`${market.url}/api/v1/provider/me`, { token: key as string });
  expect(me.json.owner_address).toBe(`0x${'cd'.repeat(20)}`);

  // A second time nothing of it is asked again.
  const again = person({ 'What do you want to serve': QWEN });
  expect((await set(again.asker)).standing.status).toBe('active');
  expect(again.asked).toEqual(['What do you want to serve?']);
  expect(readSwanFolder(folder).key).toBe(key);
});

test('a key that no longer holds is asked for anew, and a wrong password leaves nothing behind', async () => {
  writeFileSync(
    path.join(folder, 'config.toml'),
    `[Inference]\nServiceURL = "${market.url}"\nWebSocketURL = "${market.hubUrl}"\nApiKey = "sk-prov-old"\n`,
  );
  const before = readFileSync(path.join(folder, 'config.toml'), 'utf8');
  const { asker, said } = person({
    'A provider key says': 'I have an account',
    'e-mail': 'asked@example.org',
    password: 'wrong password',
  });
  await expect(set(asker)).rejects.toThrow(/password/i);
  expect(said.join(' ')).toContain('does not hold');
  expect(readFileSync(path.join(folder, 'config.toml'), 'utf8')).toBe(before);
  expect(readdirSync(folder)).toEqual(['config.toml']);
});

test('a pasted key is checked before anything is written', async () => {
  const provider = await market.provider();
  const wrong = person({
    'Which market': market.url,
    'A provider key says': 'I have a provider key',
    'The provider key': 'sk-prov-x',
  });
  await expect(set(wrong.asker)).rejects.toThrow('not known');
  expect(readdirSync(folder)).toEqual([]);
  const { asker } = person({
    'Which market': market.url,
    'A provider key says': 'I have a provider key',
    'The provider key': `${provider.key} `,
    hub: market.hubUrl,
    'What do you want': QWEN,
  });
  expect((await set(asker)).standing).toMatchObject({ api_key_valid: true });
  expect(readSwanFolder(folder).key).toBe(provider.key);
});

test('without a server a model file is asked for, and named after what it is', async () => {
  const provider = await market.provider();
  const file = path.join(packageRoot(), 'models', 'cygnet-nano-q8_0.gguf');
  const { asker } = person({ 'GGUF file': file, 'Which model of the market': 'cygnet-nano' });
  const options = {
    market: market.url,
    hub: market.hubUrl,
    key: provider.key,
    backend: ['http://127.0.0.1:1'],
  };
  expect((await set(asker, options)).models).toMatchObject([{ id: 'cygnet/cygnet-nano' }]);
  expect(readSwanFolder(folder).models).toMatchObject([
    { id: 'cygnet/cygnet-nano', endpoint: expect.stringMatching(/^file:\/\/.*nano-q8_0\.gguf$/) },
  ]);
});

test('whoever serves from Ollama is told that it cuts prompts in silence', async () => {
  const pages: Record<string, object> = {
    '/v1/models': { object: 'list', data: [{ id: 'qwen3:8b', owned_by: 'library' }] },
    '/api/version': { version: '0.12.3' },
    '/api/tags': { models: [{ name: 'qwen3:8b' }] },
  };
  const ollama = createServer((request, response) => {
    const page = pages[request.url ?? ''];
    response.statusCode = page ? 200 : 404;
    response.end(JSON.stringify(page ?? {}));
  });
  await new Promise<void>((resolve) => ollama.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(ollama.address() as AddressInfo).port}`;
  const provider = await market.provider();
  const options = { market: market.url, hub: market.hubUrl, key: provider.key, backend: [url] };
  const warned = await set(
    nobody(() => {}),
    options,
  );
  expect(warned.models).toMatchObject([
    { id: QWEN, warning: expect.stringContaining('OLLAMA_CONTEXT_LENGTH') },
  ]);
  pages['/api/ps'] = { models: [{ name: 'qwen3:8b', context_length: 40_960 }] };
  const told = await set(
    nobody(() => {}),
    options,
  );
  expect(told.models).toMatchObject([{ warning: undefined, entry: { context_length: 40_960 } }]);
  ollama.closeAllConnections();
  await new Promise((resolve) => ollama.close(resolve));
});

test.each([
  ['a plain line to another machine', { market: 'http://market.example' }, 'unencrypted'],
  ['a model that is not sold', { model: ['nobody/knows=http://127.0.0.1:1'] }, 'sells no nobody/knows'],
  ['a name that is nearly one', { model: ['qwen3-8b-fp8=http://127.0.0.1:1'] }, `Do you mean ${QWEN}?`],
  ['a file that is not there', { model: [`${QWEN}=/nowhere/x.gguf`] }, 'no model file'],
  ['the zero address', { email: 'w@example.org', signUp: true, wallet: `0x${'0'.repeat(40)}` }, '--wallet'],
  ['a wallet that is none', { email: 'w@example.org', signUp: true, wallet: '0x1' }, '--wallet'],
])('%s is refused, and nothing is written', async (_what, wrong: SetupOptions, words) => {
  const provider = await market.provider();
  const asker = nobody(() => {});
  const key = wrong.email === undefined ? { key: provider.key } : {};
  const options = { market: market.url, hub: market.hubUrl, ...key, ...wrong };
  const env = { CYGNET_AGENT_PASSWORD: 'correct horse battery' };
  const parts = { env, asker, randomness: systemRandomness, hardware: undefined };
  await expect(setUp({ folder, backend: [], ...options }, parts)).rejects.toThrow(words);
  expect(readdirSync(folder)).toEqual([]);
});

test('a model that nothing matched is served as the owner says, with the key that its server wants', async () => {
  const provider = await market.provider();
  const parts = { env: {}, asker: nobody(() => {}), randomness: systemRandomness, hardware: undefined };
  const options = {
    folder,
    market: market.url,
    hub: market.hubUrl,
    key: provider.key,
    backendKey: 'sk-local',
  };
  const before = backend.names;
  backend.names = ['whatever.gguf'];
  await expect(setUp({ ...options, backend: [backend.url] }, parts)).rejects.toThrow(
    `such as <id>=${backend.url}#whatever.gguf`,
  );
  backend.names = before;
  await setUp({ ...options, model: [`${QWEN}=${backend.url}#whatever.gguf`] }, parts);
  expect(readSwanFolder(folder).models).toMatchObject([
    { id: QWEN, localName: 'whatever.gguf', apiKey: 'sk-local' },
  ]);
});

test('a key that was made before something failed is shown, since it is shown only once', async () => {
  const said: string[] = [];
  const parts = {
    env: { CYGNET_AGENT_PASSWORD: 'correct horse battery' },
    asker: nobody((line) => said.push(line)),
    randomness: systemRandomness,
    hardware: undefined,
  };
  const options = { folder, market: market.url, hub: market.hubUrl, email: 'lost@example.org', signUp: true };
  await expect(setUp({ ...options, backend: ['http://127.0.0.1:1'] }, parts)).rejects.toThrow('GGUF');
  const key = /sk-prov-[0-9a-f]+/.exec(said.join('\n'))?.[0] as string;
  expect(await market.knows(new Sealed(key).open())).toBe(true);
  expect(said).toContain("Nothing that speaks OpenAI's API answers at http://127.0.0.1:1.");

  // The same words go on from there, once a server answers; with another password they open nobody's account.
  const other = { ...parts, env: { CYGNET_AGENT_PASSWORD: 'battery horse correct' } };
  await expect(setUp({ ...options, backend: [backend.url] }, other)).rejects.toThrow('cannot be made');
  const done = await setUp({ ...options, backend: [backend.url] }, parts);
  expect(done.models.length).toBeGreaterThan(0);
});
