import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AgentOptions, readSettings, SettingsError } from './settings.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const good = { hub: ['wss://hub'], key: 'sk-prov-1', model: ['a=rehearsal:'] };
const read = (options: AgentOptions, env = {}) => readSettings({ folder, ...options }, env);

describe('the settings of an agent', () => {
  it('understand every kind of model', () => {
    const { models } = read({
      ...good,
      model: ['a=http://h:1/v1#local', 'org/b=x.gguf', 'c=rehearsal:paced=5,tokens=9'],
    });
    expect(models.map(({ id, source }) => [id, source.kind])).toEqual([
      ['a', 'openai-compatible'],
      ['org/b', 'embedded'],
      ['c', 'rehearsal'],
    ]);
    expect(models[0]?.source).toMatchObject({ url: 'http://h:1/v1', localName: 'local' });
    expect(models[2]?.source).toMatchObject({ plan: 'paced=5,tokens=9' });
  });

  it('take the command line before the environment before the folder', () => {
    writeFileSync(
      path.join(folder, 'config.toml'),
      '[API]\nNodeName = "from-file"\n[Inference]\nEnable = true\nWebSocketURL = "ws://127.0.0.1:8081"\nApiKey = "sk-prov-file"\nServiceURL = "http://127.0.0.1:8100"\n',
    );
    writeFileSync(
      path.join(folder, 'models.json'),
      JSON.stringify({
        'org/model-a': {
          endpoint: 'http://127.0.0.1:9',
          gpu_memory: 1,
          category: 'text-generation',
          local_model: 'local',
          api_key: 'b',
        },
        'org/image': { endpoint: 'http://127.0.0.1:9', category: 'text-to-image' },
      }),
    );
    const settings = read({}, { INFERENCE_API_KEY: 'sk-prov-env' });
    expect(settings).toMatchObject({
      hubUrls: ['ws://127.0.0.1:8081'],
      name: 'from-file',
      serviceUrl: 'http://127.0.0.1:8100',
    });
    expect(settings.key.open()).toBe('sk-prov-env');
    expect(settings.models.map(({ id, operations }) => [id, operations])).toEqual([
      ['org/model-a', ['chat/completions', 'completions']],
      ['org/image', ['images/generations']],
    ]);
    expect(settings.models[0]?.source).toMatchObject({ url: 'http://127.0.0.1:9', localName: 'local' });
    expect(JSON.stringify(settings)).not.toContain('sk-prov-env');
    expect(read({ name: 'mine', key: 'k' }, { CYGNET_AGENT_NAME: 'env' })).toMatchObject({ name: 'mine' });
  });

  it.each([
    ['no hub', { ...good, hub: undefined }, 'Which hub'],
    ['no key', { ...good, key: undefined }, 'Which key'],
    ['no model', { ...good, model: [] }, 'Which model'],
    ['a hub twice', { ...good, hub: ['wss://hub', 'wss://hub/ws'] }, 'given twice'],
    ['half a certificate', { ...good, tlsCert: 'a.pem' }, '--tls-cert and --tls-key'],
    ['authorities that are not there', { ...good, tlsCa: '/nowhere/ca.pem' }, '/nowhere/ca.pem'],
    ['a hub that is none', { ...good, hub: ['http://hub'] }, 'no ws://'],
    ['a plain line to another machine', { ...good, hub: ['wss://hub', 'ws://10.0.0.1:8081'] }, 'unencrypted'],
    ['a model without a source', { ...good, model: ['a'] }, '<id>='],
    ['a model twice', { ...good, model: ['a=rehearsal:', 'a=rehearsal:'] }, 'twice'],
    ['an unknown rehearsal', { ...good, model: ['a=rehearsal:sing'] }, 'sing'],
    ['a file that is no model', { ...good, model: ['a=x.bin'] }, 'neither'],
    ['threads beyond reason', { ...good, threads: '0' }, '--threads'],
    ['an address that is none', { ...good, api: 'here:there' }, '--api'],
    ['a rate that is none', { ...good, requestsPerMinute: '0' }, '--requests-per-minute'],
    ['a log level that is none', { ...good, logLevel: 'loud' }, '--log-level'],
  ])('refuse %s, and say why', (_what, options, words) => {
    expect(() => read(options)).toThrow(SettingsError);
    expect(() => read(options)).toThrow(words);
  });

  it('read a model file and a rehearsal where the folder names one, with their limits and pins', () => {
    writeFileSync(
      path.join(folder, 'models.json'),
      JSON.stringify({
        'org/file': { endpoint: 'file:///models/a%20b.gguf', concurrency: 2, requests_per_minute: 30 },
        'org/play': { endpoint: 'rehearsal:tokens=3', requirements: { min_vram_gb: 24 } },
      }),
    );
    const { models } = read({ ...good, model: [], threads: '3' });
    expect(models).toMatchObject([
      {
        source: { kind: 'embedded', path: '/models/a b.gguf', threads: 3 },
        concurrency: 2,
        requestsPerMinute: 30,
      },
      { source: { kind: 'rehearsal', plan: 'tokens=3' }, requirements: { min_vram_gb: 24 } },
    ]);
  });

  it.each([
    ['9100', { host: '127.0.0.1', port: 9_100 }],
    ['0.0.0.0:9100', { host: '0.0.0.0', port: 9_100 }],
    ['[::1]:9100', { host: '::1', port: 9_100 }],
    ['off', undefined],
  ])('know where %s listens', (text, api) => {
    writeFileSync(path.join(folder, 'config.toml'), '[API]\nPort = 9085\n');
    expect(read({ ...good, api: text }).api).toEqual(api);
    expect(read(good).api).toEqual({ host: '127.0.0.1', port: 9_085 });
  });

  it('never quote a file that could hold a key', () => {
    writeFileSync(path.join(folder, 'config.toml'), 'ApiKey = "sk-prov-secret\n');
    expect(() => read(good)).toThrow('config.toml');
    expect(() => read(good)).not.toThrow('secret');
  });

  it('allow a plain line to those who ask for it', () => {
    expect(read({ ...good, hub: ['ws://10.0.0.1:8081'], allowPlain: true }).hubUrls).toEqual([
      'ws://10.0.0.1:8081',
    ]);
  });
});
