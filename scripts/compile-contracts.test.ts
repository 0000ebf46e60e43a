import { expect, test } from 'vitest';
import { committedArtifacts, compileArtifacts, sourceHash } from './compile-contracts.mjs';

test('src/chain/artifacts.ts is what contracts/src compiles to (otherwise: npm run contracts)', {
  timeout: 120_000,
}, () => {
  expect(committedArtifacts()).toContain(`// source hash: ${sourceHash()}\n`);
  expect(compileArtifacts() === committedArtifacts()).toBe(true);
});
