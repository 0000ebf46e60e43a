import { expect, test } from 'vitest';
import { Sealed } from '#kit/sealed.ts';
import { macOf } from './handshake.ts';
import { newsSchema } from './news.ts';
import { readPeerJob } from './said.ts';

// What gateways of the version before this one say on a link, to the letter: a rolling upgrade has both on it. Whoever changes what is
// held here makes gateways that cannot serve by each other's agents, and says so in `docs/operate/upgrade.md`.

test('a proof is made as the version before makes it, so that old and new gateways link', () => {
  const meeting = {
    listener: 'inst_b',
    dialler: 'inst_a',
    listenerNonce: 'nonce_1',
    diallerNonce: 'nonce_2',
    address: 'ws://10.0.0.5:8082',
  };
  const secret = new Sealed('a secret between gateways of one market');
  expect(macOf('proof', secret, meeting)).toBe('JygfPnTlwt1CVcAt6mHflWe27bPZZYOw44iJf2Sa2UQ');
  expect(macOf('welcome', secret, meeting)).toBe('aUzuOimbOEJ5AeUbQGZfTC7fhWAmHPexuBzg7Lh_kJM');
});

test('a job, and the news of a node, of the version before are understood', () => {
  const job = {
    attempt: 'att_1',
    link: 'link_1',
    model: 'zai-org/GLM-4.7-Flash',
    completion: 'chatcmpl-1',
    created: 1_700_000_000,
    operation: 'chat/completions',
    items: 1,
    stream: true,
    set: { stream_options: { include_usage: true } },
    body_bytes: 120,
    credit: 262_144,
    deadline_ms: 60_000,
  };
  expect(readPeerJob(job)).toEqual(job);
  const model = {
    id: 'zai-org/GLM-4.7-Flash',
    name: 'local',
    capacity: 4,
    operations: 1,
    quantization: null,
    parameters: null,
    version: null,
    health: 'healthy',
    ready: true,
  };
  const node = {
    link: 'link_1',
    node: 'node_1',
    provider: 'prov_1',
    several: false,
    connected_ms_ago: 12,
    draining: false,
    vram_gb: null,
    capacity: 4,
    request_bytes_max: 1_048_576,
    models: [model],
  };
  const said = [
    { type: 'node', node },
    { type: 'load', loads: [['link_1', 1, { 'zai-org/GLM-4.7-Flash': 1 }]] },
    { type: 'gone', link: 'link_1' },
    { type: 'leaving' },
  ];
  for (const news of said) expect(newsSchema.parse(news)).toEqual(news);
});
