import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { Sealed } from '#kit/sealed.ts';
import { startAgent } from '#support/agent.ts';
import { TestAuthority } from '#support/certificates.ts';
import { HELLO } from '#support/chat-client.ts';
import { freePorts } from '#support/free-ports.ts';
import { TestMarket } from '#support/market.ts';

// Two markets behind a real nginx with the configuration that we ship, ports and certificate exchanged.

const config = {
  limits: { requestsPerMinute: { llm: 1_000_000 } },
  access: { trustedProxies: ['127.0.0.1'] },
};
let first: TestMarket;
let second: TestMarket;
let authority: TestAuthority;
let nginx: ChildProcess;
let folder: string;
let port: number;
let client: Agent;

beforeAll(async () => {
  authority = await TestAuthority.make('house');
  const files = await authority.sign('proxy');
  first = await TestMarket.open({ config });
  second = await TestMarket.open({ config, on: first });
  [port] = (await freePorts(1)) as [number];
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-nginx-'));
  chmodSync(folder, 0o755);
  const shipped = readFileSync(path.join(packageRoot(), 'deploy/nginx/cygnet.conf'), 'utf8')
    .replaceAll('/etc/cygnet/tls/fullchain.pem', files.cert)
    .replaceAll('/etc/cygnet/tls/privkey.pem', files.key)
    .replaceAll('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replaceAll('api.example.org', 'localhost')
    .replaceAll('hub.example.org', '127.0.0.1')
    .replace(':8100', `:${first.ports.gateway}`)
    .replace(':8110', `:${second.ports.gateway}`)
    .replace(':8081', `:${first.ports.hub}`)
    .replace(':8091', `:${second.ports.hub}`);
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  writeFileSync(
    path.join(folder, 'nginx.conf'),
    `daemon off; pid ${folder}/pid; error_log stderr warn; events {} http { access_log off; ${temp} ${shipped} }`,
  );
  nginx = spawn('nginx', ['-p', folder, '-c', path.join(folder, 'nginx.conf')], { stdio: 'inherit' });
  client = new Agent({ connect: { ca: authority.pem } });
  await vi.waitFor(
    async () => {
      const { statusCode, body } = await request(`https://localhost:${port}/health`, { dispatcher: client });
      await body.dump();
      if (statusCode !== 200) throw new Error(`Not yet: ${statusCode}.`);
    },
    { timeout: 10_000, interval: 50 },
  );
});
afterAll(async () => {
  await client.close();
  await second.close();
  await first.close();
  nginx.kill('SIGTERM');
  await once(nginx, 'exit');
  authority.forget();
  rmSync(folder, { recursive: true, force: true });
});

const chat = (key: string, model: string, more: object = {}) =>
  request(`https://localhost:${port}/v1/chat/completions`, {
    method: 'POST',
    dispatcher: client,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: HELLO, ...more }),
  });

test('an agent comes in by wss through nginx, and a stream is passed on as it is made', async () => {
  const model = first.aModel();
  const [one, other] = [await first.provider(), await first.provider()];
  // Two lines by the one address: nginx puts them where fewer are.
  const agents = await Promise.all(
    [one, other].map((provider) =>
      startAgent(`wss://127.0.0.1:${port}`, [`${model.id}=rehearsal:endless,paced=5`], {
        key: new Sealed(provider.key),
        tls: { ca: authority.file, cert: undefined, key: undefined },
      }),
    ),
  );
  for (const agent of agents) expect(await agent.registered).toMatchObject({ extension: true });
  const { key } = await first.consumer();
  const response = await chat(key, model.id, { stream: true });
  expect(response.statusCode).toBe(200);
  // The answer never ends: whatever arrives was not gathered.
  let seen = '';
  for await (const part of response.body) {
    seen += String(part);
    if (seen.split('data: ').length > 5) break;
  }
  expect(seen).toContain('data: ');
  await Promise.all(agents.map((agent) => agent.close()));
});

test('two markets restart behind nginx, without any notice, and no request fails', async () => {
  const model = first.aModel();
  const provider = await first.provider();
  const agent = await first.agent(provider, [`${model.id}=rehearsal:tokens=8,paced=5`], {
    hubUrls: [first.hubUrl, second.hubUrl],
  });
  await expect.poll(() => agent.connected, { timeout: 10_000 }).toBe(true);
  const { key } = await first.consumer();
  const failures: string[] = [];
  let asked = 0;
  const roll = { over: false };
  const worker = async (): Promise<void> => {
    while (!roll.over) {
      asked += 1;
      const { statusCode, body } = await chat(key, model.id, { stream: asked % 2 === 0 });
      const text = await body.text();
      if (statusCode !== 200) failures.push(`${statusCode} ${text}`);
    }
  };
  const load = Promise.all([1, 2, 3, 4].map(worker));
  for (const market of [first, second]) {
    await market.restart();
    await expect.poll(() => agent.connected, { timeout: 20_000, interval: 20 }).toBe(true);
  }
  roll.over = true;
  await load;
  expect(failures).toEqual([]);
  expect(asked).toBeGreaterThan(20);
}, 60_000);
