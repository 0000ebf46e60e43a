import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { ask } from '#support/chat-client.ts';
import { type Control, type ControlParts, openControl, refuseSecond, socketFile } from './control.ts';
import { askAgent } from './control-client.ts';
import type { FinishedJob } from './recent-jobs.ts';
import type { AgentState } from './run.ts';
import type { LimitChange } from './shelf.ts';
import type { StatusBody } from './status-body.ts';

const MODEL: AgentState['models'][number] = {
  id: 'org/model "a"',
  source: 'http://127.0.0.1:1',
  state: 'ready',
  reasons: [],
  engine: 'vllm',
  contextLength: 4_096,
  concurrency: 8,
  requestsPerMinute: undefined,
  active: 2,
  waiting: 1,
  total: 40,
  failed: 3,
  refused: 4,
  tokensIn: 100,
  tokensOut: 900,
  tookMs: 12_500,
};
const STATE: AgentState = {
  nodeId: '04ab',
  name: 'box',
  version: '1.2.3',
  startedAt: 0,
  draining: false,
  hubs: [{ url: 'ws://h', registered: true, accepted: [MODEL.id], refusal: undefined }],
  hardware: undefined,
  processor: { model: 'EPYC', cores: 16, memoryGb: 64 },
  gpu: { gpu_utilization: 50 },
  limits: { concurrency: 16, requestsPerMinute: undefined },
  models: [MODEL],
  active: 2,
  waiting: 1,
  total: 40,
  failed: 3,
  latencyMs: 10,
  tokensPerSecond: 5,
  requestsPerMinute: 6,
};

const JOB: FinishedJob = {
  requestId: 'req_1',
  modelId: 'org/model',
  operation: 'chat/completions',
  streaming: true,
  status: 200,
  tokensIn: 7,
  tokensOut: 5,
  endedAt: 0,
  tookMs: 12.4,
};

let folder: string;
let control: Control;
let said: string[];
let changes: [string | undefined, LimitChange][];

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-control-'));
  said = [];
  changes = [];
  control = await openControl(parts());
});
afterEach(async () => {
  await control.close();
  rmSync(folder, { recursive: true, force: true });
});

function parts(more: Partial<ControlParts> = {}): ControlParts {
  return {
    agent: {
      state: () => STATE,
      latest: () => [JOB],
      limit: (change) => changes.push([undefined, change]),
      limitModel: (id, change) => id === MODEL.id && changes.push([id, change]) > 0,
    },
    folder,
    api: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    randomness: seededRandomness(1),
    log: silentLog,
    pid: 7,
    reload: async () => {
      said.push('reload');
      return { added: [], changed: [], removed: [], failed: [] };
    },
    drain: () => said.push('drain'),
    ...more,
  };
}

const token = () => readFileSync(path.join(folder, 'api_token'), 'utf8').trim();
const over = async (
  method: 'GET' | 'POST' | 'PATCH',
  place: string,
  about: { key?: string; body?: unknown } = { key: token() },
) => await ask({ url: `http://127.0.0.1:${control.port}`, path: place, method, ...about });

describe('the local interface', () => {
  it('tells its owner everything through the socket file, without a token', async () => {
    expect(await askAgent<StatusBody>(folder, 'GET', '/status')).toMatchObject({
      pid: 7,
      connected: true,
      limits: { concurrency: 16, requests_per_minute: null },
      models: [{ id: MODEL.id, tokens_out: 900, state: 'ready' }],
    });
    expect(statSync(path.join(folder, 'agent.sock')).mode & 0o777).toBe(0o600);
    expect(statSync(path.join(folder, 'api_token')).mode & 0o777).toBe(0o600);
  });

  it('answers nothing but its health over TCP to who does not show the token', async () => {
    expect((await over('GET', '/health', {})).json).toEqual({ status: 'ok' });
    for (const key of [undefined, 'wrong', `${token()}x`]) {
      for (const place of ['/status', '/metrics', '/models', '/nowhere'])
        expect((await over('GET', place, key === undefined ? {} : { key })).status).toBe(401);
      expect(
        (await over('POST', '/drain', key === undefined ? { body: {} } : { key, body: {} })).status,
      ).toBe(401);
    }
    expect(said).toEqual([]);
    expect((await over('GET', '/status')).status).toBe(200);
  });

  it('answers at the Swan agent’s own addresses: whether it is connected, and its latest requests', async () => {
    const status = await askAgent(folder, 'GET', '/api/v1/computing/inference/status');
    expect(status).toMatchObject({ connected: true, node_id: '04ab', models: [MODEL.id] });
    expect((await over('GET', '/api/v1/computing/inference/status', {})).status).toBe(401);
    const { json } = await over('GET', '/api/v1/computing/inference/requests');
    expect(json.requests).toEqual([
      {
        request_id: 'req_1',
        model_id: 'org/model',
        operation: 'chat/completions',
        streaming: true,
        success: true,
        status: 200,
        tokens_in: 7,
        tokens_out: 5,
        total_tokens: 12,
        latency_ms: 12,
        timestamp: '1970-01-01T00:00:00.000Z',
      },
    ]);
  });

  it('keeps its token from one start to the next', async () => {
    const before = token();
    await control.close();
    control = await openControl(parts());
    expect(token()).toBe(before);
  });

  it('changes limits, and only to what can be', async () => {
    const place = `/models/${encodeURIComponent(MODEL.id)}`;
    expect((await over('PATCH', place, { key: token(), body: { concurrency: 3 } })).status).toBe(200);
    const body = { requests_per_minute: null };
    expect((await over('PATCH', '/limits', { key: token(), body })).status).toBe(200);
    expect(changes).toEqual([
      [MODEL.id, { concurrency: 3 }],
      [undefined, { requestsPerMinute: null }],
    ]);
    for (const bad of [
      {},
      { concurrency: 0 },
      { concurrency: 1.5 },
      { other: 1 },
      [],
      'x',
      { concurrency: null },
    ])
      expect((await over('PATCH', place, { key: token(), body: bad })).status).toBe(400);
    const nobody = await over('PATCH', '/models/nobody', { key: token(), body: { concurrency: 3 } });
    expect([nobody.status, nobody.json.error]).toEqual([404, 'No nobody is served here.']);
    expect((await over('PATCH', '/models/%zz', { key: token(), body: { concurrency: 3 } })).status).toBe(400);
    expect(
      (await over('PATCH', place, { key: token(), body: { concurrency: 'x'.repeat(70_000) } })).status,
    ).toBe(413);
    expect(changes).toHaveLength(2);
  });

  it('reloads and drains when it is told to', async () => {
    await askAgent(folder, 'POST', '/reload');
    await askAgent(folder, 'POST', '/drain');
    expect(said).toEqual(['reload', 'drain']);
  });

  it('has a page that Prometheus can read, whatever a model is called', async () => {
    const { text, headers } = await over('GET', '/metrics');
    expect(headers['content-type']).toContain('version=0.0.4');
    expect(text).toContain('cygnet_agent_completion_tokens_total{model="org/model \\"a\\""} 900\n');
    expect(text).toContain('cygnet_agent_hub_registered{hub="ws://h"} 1\n');
    expect(text).toContain('cygnet_agent_request_seconds_total{model="org/model \\"a\\""} 12.5\n');
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="(\\.|[^"\\])*",?)+\})? -?[\d.e+-]+)$/);
  });

  it('lets no second agent start from its folder, and forgets one that was killed', async () => {
    await expect(refuseSecond(folder)).rejects.toThrow('already');
    await expect(openControl(parts())).rejects.toThrow('already');
    await control.close();
    writeFileSync(path.join(folder, 'agent.sock'), '');
    control = await openControl(parts());
    expect(await askAgent(folder, 'GET', '/health')).toEqual({ status: 'ok' });
  });

  it('goes without a port that somebody has', async () => {
    await control.close();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    control = await openControl(parts({ api: { host: '127.0.0.1', port } }));
    expect(control.port).toBeUndefined();
    expect(await askAgent(folder, 'GET', '/health')).toEqual({ status: 'ok' });
    await new Promise((resolve) => taken.close(resolve));
  });

  it('is not there where no agent runs, nor where the folder has too long a name', async () => {
    expect(await askAgent(path.join(folder, 'other'), 'GET', '/status')).toBeUndefined();
    expect(socketFile(path.join(folder, 'x'.repeat(120)))).toBeUndefined();
    expect(await askAgent(path.join(folder, 'x'.repeat(120)), 'GET', '/status')).toBeUndefined();
  });

  it('leaves the folder as it was, but for the token', async () => {
    await control.close();
    chmodSync(folder, 0o700);
    expect(() => statSync(path.join(folder, 'agent.sock'))).toThrow('ENOENT');
  });
});
