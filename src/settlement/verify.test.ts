import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Address, Hex } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { readSource } from '#support/source.ts';
import { CLAIMS_FORMAT, type ClaimsHeader } from '#wire/claims.ts';
import { type ClaimRow, planBatch } from './batch.ts';
import { claimsFileName, publishClaims, readClaims } from './publish.ts';
import { MerkleTree } from './tree.ts';
import { verifyClaims } from './verify.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'cygnet-claims-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const account = (i: number): Address => `0x${i.toString(16).padStart(40, '0')}`;
const scope = { chainId: 254, contract: account(0xc0), token: account(0x70) };
const rowsOf = (amounts: readonly (readonly [cumulative: bigint, increase: bigint])[]): ClaimRow[] =>
  amounts.map(([cumulative, increase], i) => ({ account: account(i + 1), cumulative, increase }));

function headerOf(
  rows: readonly ClaimRow[],
  about: { batch?: number; previous?: Hex | null } = {},
): ClaimsHeader {
  const sum = (of: 'cumulative' | 'increase'): string =>
    rows.reduce((all, row) => all + row[of], 0n).toString();
  return {
    format: CLAIMS_FORMAT,
    ...scope,
    decimals: 6,
    picoPerToken: '1000000000000',
    batch: about.batch ?? 1,
    day: '2026-11-26',
    cut: '4711',
    previous: about.previous ?? null,
    count: rows.length,
    increase: sum('increase'),
    total: sum('cumulative'),
    root: new MerkleTree(scope, rows).root,
  };
}

let made = 0;
const place = (): string => path.join(folder, String(made++));

describe('publishing', () => {
  const rows = rowsOf([
    [50_000_000n, 50_000_000n],
    [(1n << 200n) + 1n, (1n << 200n) + 1n],
  ]);

  test('a batch has one file, byte for byte', async () => {
    const { file, hash, bytes } = await publishClaims(place(), headerOf(rows), rows);
    const text = await readFile(file, 'utf8');
    expect(path.basename(file)).toBe(claimsFileName(scope.token, 1));
    expect(text).toBe(
      `{"format":"cygnet-claims-1","chainId":254,"contract":"${account(0xc0)}","token":"${account(0x70)}",` +
        `"decimals":6,"picoPerToken":"1000000000000","batch":1,"day":"2026-11-26","cut":"4711","previous":null,` +
        `"count":2,"increase":"${headerOf(rows).increase}","total":"${headerOf(rows).total}",` +
        `"root":"${headerOf(rows).root}"}\n` +
        `["${account(1)}","50000000","50000000"]\n["${account(2)}","${(1n << 200n) + 1n}","${(1n << 200n) + 1n}"]\n`,
    );
    expect(hash).toBe(`0x${createHash('sha256').update(text).digest('hex')}`);
    expect(bytes).toBe(text.length);
    expect(await readClaims(file)).toEqual({ header: headerOf(rows), rows });
  });

  test('publishing again changes nothing, and another content is refused', async () => {
    const where = place();
    const first = await publishClaims(where, headerOf(rows), rows);
    expect(await publishClaims(where, { ...headerOf(rows) }, rows)).toEqual(first);
    const other = rows.slice(0, 1);
    await expect(publishClaims(where, headerOf(other), other)).rejects.toThrow('a batch never changes');
    expect(await readdir(where)).toEqual([path.basename(first.file)]);
    expect((await readClaims(first.file)).rows).toEqual(rows);
  });

  test('whoever asks for it while another does gets the whole file, and nothing is left beside it', async () => {
    const many = rowsOf(Array.from({ length: 2_000 }, (_, i) => [BigInt(i) + 50n, 1n] as const));
    const where = place();
    const asked = await Promise.all(
      Array.from({ length: 8 }, () => publishClaims(where, headerOf(many), many)),
    );
    expect(new Set(asked.map(({ hash }) => hash)).size).toBe(1);
    expect(await readdir(where)).toEqual([path.basename(asked[0]?.file ?? '')]);
    expect((await readClaims(asked[0]?.file ?? '')).rows).toHaveLength(2_000);
  });
});

describe('the verifier', () => {
  test('shares no code with what builds a file, and is short enough to read', async () => {
    const source = await readFile(fileURLToPath(new URL('./verify.ts', import.meta.url)), 'utf8');
    const { imports } = readSource(source);
    expect(imports.map((one) => one.path).filter((name) => !name.startsWith('node:'))).toEqual([
      '@noble/hashes/sha3.js',
    ]);
    expect(source.trimEnd().split('\n').length).toBeLessThanOrEqual(300);
    // `day.ts` calls both, one after the other; what builds a file knows nothing of what checks it.
    for (const builder of ['batch.ts', 'tree.ts', 'keccak.ts', 'publish.ts']) {
      expect(await readFile(new URL(builder, import.meta.url), 'utf8')).not.toMatch(/noble|from '.\/verify/);
    }
  });

  test('agrees with the builder on days of any balances, one after another', async () => {
    const day = fc.array(
      fc.record({
        owed: fc.bigInt({ min: 0n, max: 10n ** 15n }),
        wallet: fc.integer({ min: 1, max: 30 }).map(account),
      }),
      { minLength: 1, maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(day, { minLength: 1, maxLength: 4 }), async (days) => {
        const where = place();
        let before = new Map<Address, bigint>();
        let last: { file: string; hash: Hex } | undefined;
        let number = 0;
        for (const providers of days) {
          const owed = providers.map((one, i) => ({ providerId: `prov_${i}`, ...one }));
          const batch = planBatch(owed, before, {
            minimum: parseUsd('50'),
            picoPerToken: parseUsd('1'),
            decimals: 6,
          });
          if (batch.increase === 0n) continue;
          const header = headerOf(batch.rows, { batch: ++number, previous: last?.hash ?? null });
          const published = await publishClaims(where, header, batch.rows);
          const verdict = await verifyClaims(published.file, {
            ...(last && { previous: last.file }),
            onChain: {
              root: header.root,
              claimsHash: published.hash,
              total: batch.total,
              increase: batch.increase,
            },
          });
          expect(verdict.findings).toEqual([]);
          expect(verdict).toMatchObject({
            ok: true,
            batch: number,
            accounts: batch.rows.length,
            root: header.root,
          });
          before = new Map(batch.rows.map((row) => [row.account, row.cumulative]));
          last = published;
        }
      }),
      { numRuns: 30 },
    );
  });

  test('a flipped bit in any byte is found', async () => {
    const rows = rowsOf([
      [50_000_000n, 50_000_000n],
      [60_000_000n, 60_000_000n],
      [70_000_001n, 70_000_001n],
    ]);
    const header = headerOf(rows);
    const published = await publishClaims(place(), header, rows);
    const bytes = await readFile(published.file);
    const onChain = {
      root: header.root,
      claimsHash: published.hash,
      total: BigInt(header.total),
      increase: BigInt(header.increase),
    };
    const file = place();
    for (let at = 0; at < bytes.length; at++) {
      const bit = at * 8 + ((at * 5) % 8);
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      await writeFile(file, changed);
      const found = await verifyClaims(file, { onChain }).then(
        (verdict) => !verdict.ok,
        () => true,
      );
      expect(found, `bit ${bit}`).toBe(true);
    }
  });

  const good = rowsOf([
    [100n, 100n],
    [200n, 200n],
  ]);
  const rewrite = (text: string, from: string, to: string): string => {
    expect(text).toContain(from);
    return text.replace(from, to);
  };
  const lies: [string, (text: string) => string, string][] = [
    [
      'two accounts in the wrong order',
      (text) => text.replace(/(\["0x.*\n)(\["0x.*\n)/, '$2$1'),
      'does not come after',
    ],
    ['an account twice', (text) => text.replace(/(\["0x.*\n)/, '$1$1'), 'does not come after'],
    ['an account left out', (text) => text.replace(/\["0x.*\n/, ''), 'accounts add up to 1'],
    [
      'a larger increase than total',
      (text) => rewrite(text, '"100","100"', '"100","101"'),
      'exceeds the total',
    ],
    ['an amount more', (text) => rewrite(text, '"200","200"', '"201","201"'), 'total add up to 301'],
    [
      'a number with a leading zero',
      (text) => rewrite(text, '"100","100"', '"0100","100"'),
      'is not an account',
    ],
    ['a negative number', (text) => rewrite(text, '"100","100"', '"-100","100"'), 'is not an account'],
    [
      'a blank in the header',
      (text) => rewrite(text, '"batch":1', '"batch": 1'),
      'not written as the format says',
    ],
    [
      'a member more',
      (text) => rewrite(text, '"batch":1', '"batch":1,"x":1'),
      'not written as the format says',
    ],
    ['another chain', (text) => rewrite(text, '"chainId":254', '"chainId":255'), 'The root is'],
    ['another contract', (text) => rewrite(text, account(0xc0), account(0xc1)), 'The root is'],
    ['an empty line', (text) => `${text}\n`, 'is not an account'],
    ['an increase that is not all', (text) => rewrite(text, '"100","100"', '"100","99"'), 'in a first batch'],
  ];
  test.each(lies)('finds %s', async (_, lie, finding) => {
    const { file } = await publishClaims(place(), headerOf(good), good);
    const changed = place();
    await writeFile(changed, lie(await readFile(file, 'utf8')));
    const verdict = await verifyClaims(changed);
    expect(verdict.ok).toBe(false);
    expect(verdict.findings.join('\n')).toContain(finding);
  });

  const broken: [string, (text: string) => string, string][] = [
    ['nothing', () => '', 'no header'],
    ['a file that was cut off', (text) => text.slice(0, -1), 'cut off'],
    ['a line without an end', (text) => text + 'x'.repeat(10_000), 'far too long'],
    ['a header without a root', (text) => text.replace(/,"root":"[^"]*"/, ''), "header's root is not valid"],
    ['a batch number that is none', (text) => text.replace('"batch":1', '"batch":-1'), 'batch is not valid'],
  ];
  test.each(broken)('says what is wrong with %s', async (_, lie, sentence) => {
    const { file } = await publishClaims(place(), headerOf(good), good);
    const changed = place();
    await writeFile(changed, lie(await readFile(file, 'utf8')));
    await expect(verifyClaims(changed)).rejects.toThrow(sentence);
  });

  describe('beside the batch before', () => {
    const check = async (rows: ClaimRow[], about: { previous?: Hex } = {}): Promise<string> => {
      const first = await publishClaims(place(), headerOf(good), good);
      const header = headerOf(rows, { batch: 2, previous: about.previous ?? first.hash });
      const second = await publishClaims(place(), header, rows);
      return (await verifyClaims(second.file, { previous: first.file })).findings.join('\n');
    };
    test('a right next day has no findings', async () => {
      const rows = rowsOf([
        [150n, 50n],
        [200n, 0n],
        [70n, 70n],
      ]);
      expect(await check(rows)).toBe('');
    });
    test('an account that vanished is found', async () => {
      expect(await check(rowsOf([[300n, 200n]]))).toContain(
        `${account(2)} was in the batch before and is missing`,
      );
      expect(await check([{ account: account(2), cumulative: 300n, increase: 100n }])).toContain(
        `${account(1)} was in the batch before and is missing`,
      );
    });
    test('an amount that does not follow from the one before is found', async () => {
      expect(
        await check(
          rowsOf([
            [100n, 50n],
            [250n, 50n],
          ]),
        ),
      ).toContain('100 before and 50 more are not 100');
    });
    test('another file before is found', async () => {
      const rows = rowsOf([
        [150n, 50n],
        [200n, 0n],
      ]);
      expect(await check(rows, { previous: `0x${'11'.repeat(32)}` })).toContain(
        'The batch before has SHA-256',
      );
    });
  });

  test('what the chain says otherwise is found', async () => {
    const header = headerOf(good);
    const { file, hash } = await publishClaims(place(), header, good);
    const right = { root: header.root, claimsHash: hash, total: 300n, increase: 300n };
    const other = `0x${'11'.repeat(32)}`;
    for (const wrong of [{ root: other }, { claimsHash: other }, { total: 299n }, { increase: 299n }]) {
      const verdict = await verifyClaims(file, { onChain: { ...right, ...wrong } });
      expect(verdict.findings.length).toBe(1);
      expect(verdict.findings[0]).toContain('on chain');
    }
  });
});
