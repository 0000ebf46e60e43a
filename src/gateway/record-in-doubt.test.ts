import { describe, expect, test } from 'vitest';
import type { Model } from '#domain/model.ts';
import type { KeyRecord } from '#domain/party.ts';
import type { DispatchSink } from '#hub/dispatch.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { Holds } from '#ledger/holds.ts';
import { Journal } from '#ledger/journal.ts';
import { Poster } from '#ledger/poster.ts';
import { candidate } from '#support/candidate.ts';
import { MemoryDisk } from '#support/memory-disk.ts';
import { MemoryLedger } from '#support/memory-ledger.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import { readChatRequest } from './body.ts';
import { chat } from './endpoints/chat.ts';
import { admit, type InferenceRooms, serve } from './inference.ts';
import { MemoryLimits } from './limits.ts';
import type { Reply } from './reply.ts';

const MODEL: Model = {
  id: 'a/model',
  slug: 'model',
  aliases: [],
  name: 'model',
  category: 'llm',
  contextTokens: 8_192,
  maxOutputTokens: 512,
  minVramGb: 0,
  active: true,
  canary: null,
  price: { id: 'price_1', unit: 'token', inputPico: 1n, outputPico: 2n },
};

const KEY: KeyRecord = {
  id: 'key_1',
  kind: 'consumer',
  ownerId: 'con_1',
  name: 'k',
  prefix: 'k',
  revoked: false,
};

/** Serves one request whose usage record meets a disk that fails, and lets the idle purses be given back. */
async function serveOnFailingDisk() {
  const clock = new VirtualClock();
  const random = seededRandomness(1);
  const disk = new MemoryDisk();
  const ledger = new MemoryLedger(clock);
  await ledger.grant('con_1', 1_000_000n, 'grant_1');
  const journal = await Journal.open({ disk, clock, log: silentLog });
  const holds = new Holds({ store: ledger.leasesOf('one'), clock, log: silentLog });
  const statuses: number[] = [];
  const rooms: InferenceRooms = {
    clock,
    ids: idMaker(clock, random),
    log: silentLog,
    settings: {
      policy: 'standard-1',
      outputTokensMax: 512,
      inputTokensMax: 8_192,
      outputTokensDefault: 64,
      recountBytesMax: 1_024,
    },
    keys: {
      find: () => KEY,
    },
    models: { resolve: () => MODEL },
    limits: new MemoryLimits({
      requestsPerMinute: { llm: 60, image: 60, embedding: 60, other: 60 },
      concurrentPerKey: 5,
    }),
    holds,
    journal,
    dispatcher: {
      run: (_order: unknown, first: ReturnType<typeof candidate>, sink: DispatchSink) => {
        clock.after(1, () => {
          sink.began(first, 'att_1');
          sink.data(Buffer.from('data: {"choices":[{"delta":{"content":"a word or two"}}]}\n\n'), 1, 3, 13);
          sink.ended({
            tries: [],
            outcome: 'completed',
            errorCode: undefined,
            usage: { inputTokens: 3, outputTokens: 3 },
            candidate: first,
            attemptId: 'att_1',
            attempts: 1,
          });
        });
        return { cancel() {}, consumed() {} };
      },
    } as unknown as InferenceRooms['dispatcher'],
    pick: () => ({ candidate: candidate('a') }),
    isQuarantined: () => false,
    recounter: { has: () => false, submit() {} },
    refused: () => {},
    served: () => {},
  };
  const reply: Reply = {
    send: (status) => void statuses.push(status),
    open: (status) => void statuses.push(status),
    write() {},
    finish() {},
    congested: false,
    gone: false,
    onGone: undefined,
    onDrained: undefined,
  };
  const body = Buffer.from(
    JSON.stringify({ model: 'model', messages: [{ role: 'user', content: 'Say it.' }], stream: true }),
  );
  disk.failing = { on: 'sync', code: 'EIO' };
  const over = serve(
    rooms,
    chat,
    await admit(rooms, { key: KEY }, { requestId: 'req_1', acceptedMs: clock.nowMs() }),
    readChatRequest(body),
    body,
    reply,
  );
  await clock.advance(20_000);
  await over;
  return { clock, random, disk, ledger, journal };
}

describe('a usage record that the disk refused and kept', () => {
  test('finds its money when the next life posts it, because its hold stayed', async () => {
    const { clock, random, disk, ledger, journal } = await serveOnFailingDisk();
    expect(journal.healthy).toBe(false);
    disk.crash(1);

    const next = await Journal.open({ disk, clock, log: silentLog });
    const posting = ledger.postingOf('one');
    const poster = new Poster({ journal: next, disk, posting, clock, random, log: silentLog });
    const drained = poster.drain(1_000);
    await settlePromises();
    expect(await drained).toBe(true);
    expect([...ledger.rejected.keys()]).toEqual([]);
    expect([...ledger.usage.keys()]).toEqual(['req_1']);

    await ledger.leasesOf('one').releaseAll();
    const charge = ledger.usage.get('req_1')?.charge ?? 0n;
    expect(charge).toBeGreaterThan(0n);
    expect(await ledger.balance('con_1')).toMatchObject({ held: 0n, total: 1_000_000n - charge });
  });

  test('leaves nothing held when the next life does not find it', async () => {
    const { disk, ledger } = await serveOnFailingDisk();
    disk.crash(0);
    await ledger.leasesOf('one').releaseAll();
    expect(await ledger.balance('con_1')).toEqual({
      total: 1_000_000n,
      held: 0n,
      available: 1_000_000n,
    });
  });
});
