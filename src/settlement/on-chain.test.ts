import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { encodeFunctionData } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testTokenAbi } from '#chain/artifacts.ts';
import { Sender } from '#chain/client.ts';
import { claimIntent, distributorEvents, publishIntent } from '#chain/distributor.ts';
import { type Intent, MemoryTransactionStore } from '#chain/transactions.ts';
import { cursorBefore } from '#chain/watch.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { PICO_PER_USD, parseUsd } from '#domain/money.ts';
import { systemClock } from '#kit/clock.ts';
import { seededRandomness } from '#kit/random.ts';
import { openTestChain, type TestChain } from '#support/chain.ts';
import { CLAIMS_FORMAT } from '#wire/claims.ts';
import { planBatch } from './batch.ts';
import { publishClaims } from './publish.ts';
import { MerkleTree } from './tree.ts';
import { verifyClaims } from './verify.ts';

let node: TestChain;
let folder: string;
let sender: Sender;
beforeAll(async () => {
  node = await openTestChain();
  folder = await mkdtemp(path.join(os.tmpdir(), 'cygnet-claims-'));
  sender = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key: node.keys.operator,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 12n, replaceAfterMs: 60_000 },
  });
});
afterAll(async () => {
  await node.close();
  await rm(folder, { recursive: true, force: true });
});

const act = async (intent: Intent): Promise<string> => {
  await sender.send(intent);
  return (await sender.settled(intent.id, 5)).status;
};
const usdOf = (account: Address): Promise<unknown> =>
  node.chain.read({ address: node.contracts.usdc, abi: testTokenAbi, name: 'balanceOf', args: [account] });

test('three days of balances end in the wallets to the smallest unit, and the verifier and the chain agree', {
  timeout: 120_000,
}, async () => {
  const place = { distributor: node.contracts.distributor, token: node.contracts.usdc };
  const scope = { chainId: node.chain.id, contract: place.distributor, token: place.token };
  const terms = { minimum: parseUsd('50'), picoPerToken: PICO_PER_USD, decimals: 6 };
  const random = seededRandomness(7);
  const providers: { providerId: string; wallet: Address; owed: bigint }[] = Array.from(
    { length: 23 },
    (_, i) => ({
      providerId: `prov_${i}`,
      wallet: `0x${random.bytes(20).toString('hex')}`,
      owed: 0n,
    }),
  );
  const paid = new Map<string, bigint>();
  let earned = 0n;
  let before = new Map<Address, bigint>();
  let last: { file: string; hash: Hex } | undefined;
  const from = await cursorBefore(node.chain, (await node.chain.head()) + 1n);
  await act({
    id: 'fund',
    to: place.token,
    data: encodeFunctionData({
      abi: testTokenAbi,
      functionName: 'transfer',
      args: [place.distributor, 20_000n * 10n ** 6n],
    }),
  });

  for (let day = 1; day <= 3; day++) {
    for (const one of providers) {
      const more = BigInt(Math.floor(random.float() * 150e12));
      one.owed += more;
      earned += more;
    }
    const batch = planBatch(providers, before, terms);
    const tree = new MerkleTree(scope, batch.rows);
    const header = {
      format: CLAIMS_FORMAT,
      ...scope,
      decimals: terms.decimals,
      picoPerToken: terms.picoPerToken.toString(),
      batch: day,
      day: `2026-11-0${day}`,
      cut: String(day * 1000),
      previous: last?.hash ?? null,
      count: batch.rows.length,
      increase: batch.increase.toString(),
      total: batch.total.toString(),
      root: tree.root,
    } as const;
    const published = await publishClaims(folder, header, batch.rows);
    const { increase, total } = batch;
    const onChain = { number: day, root: tree.root, increase, total, claimsHash: published.hash };
    expect(await act(publishIntent(place, onChain))).toBe('done');
    await node.pass(61);

    const { events } = await distributorEvents(node.chain, {
      distributor: place.distributor,
      cursor: from,
      confirmations: 1,
    });
    const seen = events.flatMap((event) => (event.eventName === 'BatchPublished' ? [event.args] : [])).at(-1);
    const verdict = await verifyClaims(published.file, {
      ...(last && { previous: last.file }),
      onChain: seen as { root: string; claimsHash: string; total: bigint; increase: bigint },
    });
    expect(verdict.findings).toEqual([]);

    // Some wallets claim every day, others wait for the last.
    for (const [i, row] of batch.rows.entries()) {
      const waits = day < 3 && Number.parseInt(row.account.slice(-1), 16) % 2 === 1;
      if (waits || row.cumulative === (await usdOf(row.account))) continue;
      const claim = { account: row.account, cumulative: row.cumulative, proof: tree.proofOf(i) };
      expect(await act(claimIntent(place, claim))).toBe('done');
    }
    for (const payout of batch.payouts) {
      paid.set(payout.providerId, (paid.get(payout.providerId) ?? 0n) + payout.units);
      const one = providers.find(({ providerId }) => providerId === payout.providerId);
      if (one) one.owed -= payout.paid;
    }
    before = new Map(batch.rows.map((row) => [row.account, row.cumulative]));
    last = published;
  }

  let inWallets = 0n;
  for (const one of providers) {
    const held = (await usdOf(one.wallet)) as bigint;
    expect(held).toBe(paid.get(one.providerId) ?? 0n);
    inWallets += held;
  }
  // A unit of the test dollar is a million pico-dollars: what was earned is in the wallets, or still owed.
  expect(inWallets * 1_000_000n + providers.reduce((sum, one) => sum + one.owed, 0n)).toBe(earned);
  expect(await usdOf(place.distributor)).toBe(20_000n * 10n ** 6n - inWallets);
});
