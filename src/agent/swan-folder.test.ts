import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'smol-toml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { readSwanFolder } from './swan-folder.ts';
import { type FolderWish, writeSwanFolder } from './swan-folder-writer.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-folder-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string) => path.join(folder, name);
const write = (wish: FolderWish) => writeSwanFolder(folder, wish, seededRandomness(1));
const WISH: FolderWish = {
  hubUrl: 'wss://hub.example',
  serviceUrl: 'https://market.example',
  key: 'sk-prov-1',
  nodeName: 'box',
  models: {
    'Qwen/Qwen3-8B': {
      endpoint: 'http://127.0.0.1:11434',
      category: 'text-generation',
      local_model: 'qwen3:8b',
      context_length: 4_096,
    },
  },
};
/** A folder as the Swan agent leaves it, with things that we do not know. */
const SWAN_CONFIG = `[API]
Port = 9085            # any free port
NodeName = "local-1"
[API.Pricing]
Multiplier = 1.5

[Inference]
Enable = true
ServiceURL = "https://inference.example/api"
WebSocketURL = "wss://ws.example"
ApiKey = "sk-prov-swan"
Models = ["org/old"]

[SelfCheck]
Enable = false # quiet
`;
const SWAN_MODELS = {
  'org/old': {
    endpoint: 'http://127.0.0.1:8000',
    gpu_memory: 1000,
    category: 'text-generation',
    secret_field: [1],
  },
  'org/image': { endpoint: 'http://127.0.0.1:8001', category: 'text-to-image' },
};

describe('a folder that the set-up wrote', () => {
  it('reads back as what was decided, and has all that the Swan agent wants of one', () => {
    write(WISH);
    expect(readSwanFolder(folder)).toMatchObject({
      hubUrl: WISH.hubUrl,
      serviceUrl: WISH.serviceUrl,
      key: WISH.key,
      nodeName: 'box',
      port: 9_085,
      models: [
        {
          id: 'Qwen/Qwen3-8B',
          endpoint: 'http://127.0.0.1:11434',
          localName: 'qwen3:8b',
          contextLength: 4_096,
        },
      ],
    });
    expect(parse(readFileSync(file('config.toml'), 'utf8'))).toEqual({
      API: { Port: 9_085, NodeName: 'box' },
      Inference: {
        Enable: true,
        ServiceURL: 'https://market.example',
        WebSocketURL: 'wss://hub.example',
        ApiKey: 'sk-prov-1',
        Models: ['Qwen/Qwen3-8B'],
      },
    });
    expect(JSON.parse(readFileSync(file('models.json'), 'utf8'))).toEqual({
      'Qwen/Qwen3-8B': {
        endpoint: 'http://127.0.0.1:11434',
        gpu_memory: 0,
        category: 'text-generation',
        local_model: 'qwen3:8b',
        context_length: 4_096,
      },
    });
  });

  it('can be read by nobody else, whatever it was before', () => {
    writeFileSync(file('config.toml'), '');
    chmodSync(file('config.toml'), 0o644);
    write(WISH);
    for (const name of readdirSync(folder)) expect(statSync(file(name)).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).toSorted()).toEqual(['config.toml', 'models.json']);
  });

  it('does not change when the same is written again', () => {
    write(WISH);
    const before = ['config.toml', 'models.json'].map((name) => readFileSync(file(name), 'utf8'));
    write(WISH);
    expect(['config.toml', 'models.json'].map((name) => readFileSync(file(name), 'utf8'))).toEqual(before);
  });
});

describe('a folder of the Swan agent', () => {
  beforeEach(() => {
    writeFileSync(file('config.toml'), SWAN_CONFIG);
    writeFileSync(file('models.json'), JSON.stringify(SWAN_MODELS));
  });

  it('keeps all that we do not know, to the comments, when the set-up goes through it', () => {
    write({ key: 'sk-prov-new', models: WISH.models });
    const expected = SWAN_CONFIG.replace('sk-prov-swan', 'sk-prov-new').replace(
      '["org/old"]',
      '["org/old", "org/image", "Qwen/Qwen3-8B"]',
    );
    expect(readFileSync(file('config.toml'), 'utf8')).toBe(expected);
    expect(JSON.parse(readFileSync(file('models.json'), 'utf8'))).toMatchObject(SWAN_MODELS);
  });

  it('keeps the fields of a model that is chosen again', () => {
    write({ models: { 'org/old': { endpoint: 'http://127.0.0.1:9', category: 'text-generation' } } });
    expect(JSON.parse(readFileSync(file('models.json'), 'utf8'))['org/old']).toEqual({
      ...SWAN_MODELS['org/old'],
      endpoint: 'http://127.0.0.1:9',
    });
  });

  it('stays untouched when one of its files is broken', () => {
    writeFileSync(file('config.toml'), '[broken');
    expect(() => write(WISH)).toThrow('TOML');
    expect(JSON.parse(readFileSync(file('models.json'), 'utf8'))).toEqual(SWAN_MODELS);
    writeFileSync(file('config.toml'), SWAN_CONFIG);
    writeFileSync(file('models.json'), '[]');
    expect(() => write(WISH)).toThrow('holds no object');
    expect(readFileSync(file('config.toml'), 'utf8')).toBe(SWAN_CONFIG);
  });

  it('may hold its files as links, and they stay links', () => {
    const elsewhere = mkdtempSync(path.join(tmpdir(), 'cygnet-elsewhere-'));
    try {
      writeFileSync(path.join(elsewhere, 'm.json'), '{}');
      rmSync(file('models.json'));
      symlinkSync(path.join(elsewhere, 'm.json'), file('models.json'));
      write(WISH);
      expect(readFileSync(path.join(elsewhere, 'm.json'), 'utf8')).toContain('Qwen3-8B');
    } finally {
      rmSync(elsewhere, { recursive: true, force: true });
    }
  });

  it('says what each model can be asked for, by its category, and which are passed over', () => {
    writeFileSync(
      file('models.json'),
      JSON.stringify({
        a: { endpoint: 'x', category: 'text-generation' },
        b: { endpoint: 'x', category: 'Embedding' },
        c: { endpoint: 'x', category: 'video' },
        d: { endpoint: 'x', enabled: false },
      }),
    );
    const { models, passedOver } = readSwanFolder(folder);
    expect(models.map(({ id, operations }) => [id, operations])).toEqual([
      ['a', ['chat/completions', 'completions']],
      ['b', ['embeddings']],
    ]);
    expect(passedOver.map(({ id }) => id)).toEqual(['c', 'd']);
  });

  it('names the place of a value that cannot be, and never the value', () => {
    writeFileSync(file('models.json'), '{"a":{"endpoint":"x","api_key":["sk-secret"]}}');
    expect(() => readSwanFolder(folder)).toThrow('a.api_key');
    expect(() => readSwanFolder(folder)).not.toThrow('secret');
  });
});
