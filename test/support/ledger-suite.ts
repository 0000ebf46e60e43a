import { beforeEach, describe, expect, test } from 'vitest';
import type { Pico } from '#domain/money.ts';
import type { LeaseStore, UsagePosting } from '#ledger/ports.ts';
import { correctionOf, usageOf } from './records.ts';

/** What the suite needs of a ledger. */
export interface LedgerUnderTest {
  leasesOf(instance: string): LeaseStore & { releaseAll(): Promise<void> };
  postingOf(instance: string): UsagePosting;
  grant(consumerId: string, amount: Pico, id: string): Promise<unknown>;
  balance(consumerId: string): Promise<{ total: Pico; held: Pico; available: Pico }>;
  /** Balance of any account. */
  on(account: string): Promise<Pico>;
  rejectedIds(): Promise<string[]>;
  /** Differences between the books and what they are rebuilt to; empty when all is well. */
  differences(): Promise<string[]>;
}

/** The promises of a ledger, whatever it is made of. Each test takes consumers of its own. */
export function ledgerSuite(name: string, open: () => Promise<LedgerUnderTest>): void {
  let ledger: LedgerUnderTest;
  let serial = 0;
  let consumer: string;
  let provider: string;
  beforeEach(async () => {
    ledger = await open();
    serial += 1;
    consumer = `con_${name}_${serial}`;
    provider = `prov_${name}_${serial}`;
  });
  const served = (id: string, charge: Pico) =>
    usageOf({ id: `${id}_${consumer}`, consumerId: consumer, providerId: provider, charge });

  describe(`leases of a ledger in ${name}`, () => {
    test('set money aside, at least what is needed and at most what is wanted', async () => {
      await ledger.grant(consumer, 1_000n, `g_${consumer}`);
      const answer = await ledger.leasesOf('a').grow(consumer, { atLeast: 10n, want: 200n });
      expect(answer).toEqual({ granted: 200n });
      expect(await ledger.balance(consumer)).toEqual({ total: 1_000n, held: 200n, available: 800n });
    });

    test('leave half of what is available to others, unless the need is greater', async () => {
      await ledger.grant(consumer, 1_000n, `g_${consumer}`);
      expect(await ledger.leasesOf('a').grow(consumer, { atLeast: 10n, want: 5_000n })).toEqual({
        granted: 500n,
      });
      expect(await ledger.leasesOf('b').grow(consumer, { atLeast: 400n, want: 5_000n })).toEqual({
        granted: 400n,
      });
    });

    test('are refused when less than needed is available, and tell what others lease', async () => {
      await ledger.grant(consumer, 100n, `g_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 60n, want: 60n });
      expect(await ledger.leasesOf('b').grow(consumer, { atLeast: 41n, want: 41n })).toEqual({
        short: true,
        leasedElsewhere: 60n,
      });
      expect(await ledger.leasesOf('a').grow(consumer, { atLeast: 41n, want: 41n })).toEqual({
        short: true,
        leasedElsewhere: 0n,
      });
    });

    test('are refused to a consumer nobody knows', async () => {
      const answer = await ledger.leasesOf('a').grow(`${consumer}_x`, { atLeast: 1n, want: 1n });
      expect(answer).toEqual({ short: true, leasedElsewhere: 0n });
    });

    test('cannot set the same money aside twice, however many ask at once', async () => {
      await ledger.grant(consumer, 100n, `g_${consumer}`);
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          ledger.leasesOf(`p${i}`).grow(consumer, { atLeast: 9n, want: 9n }),
        ),
      );
      expect(answers.filter((answer) => 'granted' in answer)).toHaveLength(11);
      expect(await ledger.balance(consumer)).toEqual({ total: 100n, held: 99n, available: 1n });
      expect(await ledger.differences()).toEqual([]);
    });

    test('are given back in parts, and never more than there is', async () => {
      await ledger.grant(consumer, 100n, `g_${consumer}`);
      const leases = ledger.leasesOf('a');
      await leases.grow(consumer, { atLeast: 50n, want: 50n });
      await leases.giveBack(consumer, 20n);
      expect((await ledger.balance(consumer)).held).toBe(30n);
      await expect(leases.giveBack(consumer, 31n)).rejects.toThrow(/than is leased/);
      expect((await ledger.balance(consumer)).held).toBe(30n);
    });

    test('of a process that died are released together, and only its own', async () => {
      await ledger.grant(consumer, 100n, `g_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 30n, want: 30n });
      await ledger.leasesOf('b').grow(consumer, { atLeast: 20n, want: 20n });
      await ledger.leasesOf('a').releaseAll();
      expect((await ledger.balance(consumer)).held).toBe(20n);
      await ledger.leasesOf('b').releaseAll();
      expect(await ledger.differences()).toEqual([]);
    });
  });

  describe(`posting to a ledger in ${name}`, () => {
    test('takes a charge from lease and balance, and pays everybody', async () => {
      await ledger.grant(consumer, 5_000n, `g_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 2_000n, want: 2_000n });
      const fee = await ledger.on('platform:fee');
      await ledger.postingOf('a').post([served('r1', 1_000n)]);
      expect(await ledger.balance(consumer)).toEqual({ total: 4_000n, held: 1_000n, available: 3_000n });
      expect(await ledger.on(`provider:${provider}`)).toBe(665n);
      expect((await ledger.on('platform:fee')) - fee).toBe(50n);
      expect(await ledger.differences()).toEqual([]);
    });

    test('the same records again, also at once and within a batch, changes nothing', async () => {
      await ledger.grant(consumer, 5_000n, `g_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 2_000n, want: 2_000n });
      const batch = [served('r1', 100n), served('r2', 0n), served('r1', 100n), served('r3', 200n)];
      await Promise.all([1, 2, 3, 4].map(() => ledger.postingOf('a').post(batch)));
      await ledger.postingOf('a').post(batch.toReversed());
      expect(await ledger.balance(consumer)).toEqual({ total: 4_700n, held: 1_700n, available: 3_000n });
      expect(await ledger.differences()).toEqual([]);
    });

    test('a charge above the lease is put aside for a person and the others go on', async () => {
      await ledger.grant(consumer, 5_000n, `g_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 150n, want: 150n });
      const batch = [served('r1', 100n), served('r2', 51n), served('r3', 50n)];
      await ledger.postingOf('a').post(batch);
      expect(await ledger.balance(consumer)).toEqual({ total: 4_850n, held: 0n, available: 4_850n });
      expect(await ledger.rejectedIds()).toContain(`r2_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 150n, want: 150n });
      await ledger.postingOf('a').post(batch);
      expect((await ledger.balance(consumer)).total).toBe(4_850n);
      expect(await ledger.differences()).toEqual([]);
    });

    test('a record that cannot be true or cannot be stored is put aside and the others go on', async () => {
      await ledger.grant(consumer, 5_000n, `g_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 1_000n, want: 1_000n });
      const own = { consumerId: consumer, providerId: provider, charge: 5n };
      const flawed = [
        usageOf({ ...own, id: `f1_${consumer}`, charge: -5n }),
        usageOf({ ...own, id: `f2_${consumer}`, outcome: 'failed' }),
        usageOf({ ...own, id: `f3_${consumer}`, providerId: null }),
        usageOf({ ...own, id: `f4_${consumer}`, policy: 'constructor' }),
        usageOf({ ...own, id: `f5_${consumer}`, modelId: 'nul\0' }),
        usageOf({ ...own, id: `f6_${consumer}`, nodeId: '\ud800' }),
        usageOf({ ...own, id: `f7_${consumer}`, outputTokens: Number.NaN }),
        usageOf({ ...own, id: `f8_${consumer}`, at: 1e300 }),
        usageOf({ ...own, id: `f9_${consumer}`, charge: 10n ** 60n }),
      ];
      await ledger.postingOf('a').post([served('r1', 10n), ...flawed, served('r2', 10n)]);
      expect((await ledger.balance(consumer)).total).toBe(4_980n);
      const rejected = await ledger.rejectedIds();
      for (const { record } of flawed) expect(rejected).toContain(record.id);
    });

    test('a correction gives back its part, once', async () => {
      await ledger.grant(consumer, 5_000n, `g_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 2_000n, want: 2_000n });
      const requestId = `r1_${consumer}`;
      const about = {
        requestId,
        consumerId: consumer,
        providerId: provider,
        originalCharge: 1_000n,
        refund: 400n,
      };
      await ledger.postingOf('a').post([served('r1', 1_000n), correctionOf(about)]);
      await Promise.all([1, 2].map(() => ledger.postingOf('a').post([correctionOf(about)])));
      expect(await ledger.balance(consumer)).toEqual({ total: 4_400n, held: 1_000n, available: 3_400n });
      expect(await ledger.on(`provider:${provider}`)).toBe(399n);
      expect(await ledger.differences()).toEqual([]);
    });

    test('a correction of nothing, of another charge or of another consumer is put aside', async () => {
      await ledger.grant(consumer, 5_000n, `g_${consumer}`);
      await ledger.leasesOf('a').grow(consumer, { atLeast: 2_000n, want: 2_000n });
      await ledger.postingOf('a').post([served('r1', 1_000n), served('r2', 1_000n)]);
      const own = { consumerId: consumer, providerId: provider, originalCharge: 1_000n };
      const wrong = [
        correctionOf({ ...own, requestId: `nobody_${consumer}` }),
        correctionOf({ ...own, requestId: `r1_${consumer}`, originalCharge: 2_000n }),
        correctionOf({ ...own, requestId: `r2_${consumer}`, consumerId: 'another' }),
      ];
      await ledger.postingOf('a').post(wrong);
      expect((await ledger.balance(consumer)).total).toBe(3_000n);
      const rejected = await ledger.rejectedIds();
      for (const { record } of wrong) expect(rejected).toContain(record.id);
    });
  });

  describe(`receiving money in a ledger in ${name}`, () => {
    test('is idempotent by id, and refuses the id for something else', async () => {
      await Promise.all([1, 2, 3].map(() => ledger.grant(consumer, 70n, `g_${consumer}`)));
      expect((await ledger.balance(consumer)).total).toBe(70n);
      await expect(ledger.grant(consumer, 71n, `g_${consumer}`)).rejects.toThrow(/other amounts/);
      expect(await ledger.differences()).toEqual([]);
    });
  });
}
