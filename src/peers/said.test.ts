import { describe, expect, it } from 'vitest';
import { type PeerEnd, type PeerJob, readPeerEnd, readPeerJob } from './said.ts';

const JOB: PeerJob = {
  attempt: 'att_1',
  link: 'link_1',
  model: 'a-model',
  completion: 'chatcmpl-1',
  created: 1_700_000_000,
  operation: 'chat/completions',
  items: 1,
  stream: true,
  set: { model: 'a-model' },
  body_bytes: 0,
  credit: 65_536,
  deadline_ms: 1_000.5,
};
const END: PeerEnd = { outcome: 'completed', usage: { inputTokens: 3, outputTokens: 4, units: 1 } };

const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('a job of another gateway', () => {
  it.each([
    ['as it is sent', JOB],
    [
      'with everything that is optional',
      { ...JOB, dimensions: 512, via: 'one, two', traceparent: '00-a-b-01' },
    ],
    ['with a field from tomorrow', { ...JOB, urgency: 'high' }],
  ])('is read %s', (_how, job) => {
    expect(readPeerJob(overTheWire(job))).toEqual(job);
  });

  it.each<[string, unknown]>([
    ['is no object', null],
    ['is a list', [JOB]],
    ['has no link', { ...JOB, link: undefined }],
    ['has a name longer than any', { ...JOB, attempt: 'a'.repeat(257) }],
    ['was made at no whole second', { ...JOB, created: 1.5 }],
    ['asks for what nobody does', { ...JOB, operation: 'chat/songs' }],
    ['wants fewer than no items', { ...JOB, items: -1 }],
    ['wants vectors of no length', { ...JOB, dimensions: 0 }],
    ['says half of whether it streams', { ...JOB, stream: 'yes' }],
    ['sets a list', { ...JOB, set: [] }],
    ['has a body of half a byte', { ...JOB, body_bytes: 0.5 }],
    ['gives no credit', { ...JOB, credit: 0 }],
    ['is over before it begins', { ...JOB, deadline_ms: 0 }],
    ['has no end', { ...JOB, deadline_ms: null }],
    ['comes through a number', { ...JOB, via: 7 }],
  ])('is none when it %s', (_why, job) => {
    expect(readPeerJob(overTheWire(job))).toBeUndefined();
  });
});

describe('an end that another gateway says', () => {
  it.each<[string, PeerEnd]>([
    ['with its usage', END],
    ['without', { outcome: 'lost', inner: 'the link was lost', error_code: 'provider-cut-off' }],
  ])('is read %s', (_how, end) => {
    expect(readPeerEnd(overTheWire(end))).toEqual(end);
  });

  it.each<[string, unknown]>([
    ['is no object', 'completed'],
    ['names no outcome', { usage: END.usage }],
    ['names an outcome that is none', { outcome: 'glorious' }],
    ['has a usage that lacks a count', { outcome: 'completed', usage: { inputTokens: 3 } }],
    ['has a usage of words', { outcome: 'completed', usage: { inputTokens: 3, outputTokens: 'many' } }],
    ['has a usage with something beside numbers', { outcome: 'completed', usage: { ...END.usage, x: {} } }],
    ['has an error that is a number', { outcome: 'failed', error_code: 502 }],
  ])('is none when it %s', (_why, end) => {
    expect(readPeerEnd(overTheWire(end))).toBeUndefined();
  });
});
