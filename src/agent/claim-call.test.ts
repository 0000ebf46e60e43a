import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Hex } from '#domain/hex.ts';
import { claimCall, claimedCall, inForceCall, inForceNumber } from './claim-call.ts';

// Compared with viem, which the agent does without here.

const hex = (bytes: number) =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((each): Hex => `0x${Buffer.from(each).toString('hex')}`);

test('the calls are what a library makes of the contract, byte for byte', async () => {
  const { encodeFunctionData, parseAbi } = await import('viem');
  const abi = parseAbi([
    'function claim(address token, address account, uint256 cumulative, bytes32[] proof)',
    'function claimed(address token, address account) view returns (uint256)',
    'function batchInForce(address token) view returns ((bytes32 root, uint256 total, uint64 number, uint64 activeAt))',
  ]);
  fc.assert(
    fc.property(
      hex(20),
      hex(20),
      fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
      fc.array(hex(32), { maxLength: 20 }),
      (token, account, cumulative, proof) => {
        expect(claimCall({ token, account, cumulative, proof })).toBe(
          encodeFunctionData({ abi, functionName: 'claim', args: [token, account, cumulative, proof] }),
        );
        expect(claimedCall(token, account)).toBe(
          encodeFunctionData({ abi, functionName: 'claimed', args: [token, account] }),
        );
        expect(inForceCall(token)).toBe(
          encodeFunctionData({ abi, functionName: 'batchInForce', args: [token] }),
        );
      },
    ),
  );
});

test('the batch in force is read out of the answer, and an answer of another kind is told apart', async () => {
  const { encodeFunctionResult, parseAbi } = await import('viem');
  const abi = parseAbi([
    'function batchInForce(address token) view returns ((bytes32 root, uint256 total, uint64 number, uint64 activeAt))',
  ]);
  const result: { root: Hex; total: bigint; number: bigint; activeAt: bigint } = {
    root: `0x${'ab'.repeat(32)}`,
    total: 5n,
    number: 17n,
    activeAt: 9n,
  };
  expect(inForceNumber(encodeFunctionResult({ abi, functionName: 'batchInForce', result }))).toBe(17);
  expect(() => inForceNumber('0x')).toThrow('distributor');
});
