/**
 * The independent verifier of a claims file. It shares nothing with what builds one: no type, no hash, no tree, not even a
 * helper of the house; only Node and one library that is used nowhere else here. A test holds it to that and to 300 lines.
 * Read this file, and you know what was checked.
 *
 * It reads the file once, line by line, in constant memory: the tree is folded as the leaves pass by (a stack of the roots
 * of complete subtrees, as in a binary counter), and the file of the batch before is walked beside it.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { keccak_256 } from '@noble/hashes/sha3.js';

export interface Verdict {
  readonly ok: boolean;
  /** What is wrong, in sentences; empty when nothing is. At most twenty. */
  readonly findings: readonly string[];
  readonly batch: number;
  readonly accounts: number;
  readonly total: bigint;
  readonly increase: bigint;
  /** Recomputed from the lines. */
  readonly root: string;
  /** SHA-256 of the file. */
  readonly claimsHash: string;
}

/** What the chain says of the batch. */
export interface OnChain {
  readonly root: string;
  readonly claimsHash: string;
  readonly total: bigint;
  readonly increase: bigint;
}

interface Header {
  readonly chainId: number;
  readonly contract: string;
  readonly token: string;
  readonly batch: number;
  readonly previous: string | null;
  readonly count: number;
  readonly increase: bigint;
  readonly total: bigint;
  readonly root: string;
}

interface Line {
  readonly account: string;
  readonly cumulative: bigint;
  readonly increase: bigint;
}

const FINDINGS_MAX = 20;
const LINE_MAX = 4096;
const MEMBERS =
  'format chainId contract token decimals picoPerToken batch day cut previous count increase total root';
const ADDRESS = /^0x[0-9a-f]{40}$/;
const HASH = /^0x[0-9a-f]{64}$/;
const AMOUNT = /^(0|[1-9][0-9]{0,77})$/;

/**
 * Checks a claims file: its form, order, sums and root; against the file of the batch before where `previous` names it
 * (every account of it is there, and each amount is the earlier one plus the increase); against the chain where `onChain`
 * says what stands there. Without `previous`, a file that follows another one is checked for itself alone.
 */
export async function verifyClaims(
  file: string,
  against: { previous?: string; onChain?: OnChain } = {},
): Promise<Verdict> {
  const findings: string[] = [];
  const report = (finding: string): void => {
    if (findings.length < FINDINGS_MAX) findings.push(finding);
  };
  const digest = createHash('sha256');
  const lines = readLines(file, digest);
  const header = parseHeader(await nextText(lines), report);
  const before = against.previous === undefined ? undefined : await openPrevious(against.previous, report);

  const fold = new Fold();
  let accounts = 0;
  let total = 0n;
  let increase = 0n;
  let last = '';
  for await (const text of lines) {
    accounts++;
    const line = parseLine(text);
    if (!line) {
      report(`Line ${accounts + 1} is not an account with its amounts.`);
      continue;
    }
    if (line.account <= last) report(`Line ${accounts + 1}: ${line.account} does not come after ${last}.`);
    last = line.account;
    if (line.increase > line.cumulative) report(`${line.account}: the increase exceeds the total.`);
    if (before) await compare(line, before, report);
    else if (header.previous === null && line.increase !== line.cumulative) {
      report(`${line.account}: in a first batch the total is the increase.`);
    }
    total += line.cumulative;
    increase += line.increase;
    fold.add(leafHash(header, line));
  }
  if (before) await finishPrevious(before, header, total - increase, report);

  const root = fold.root();
  const claimsHash = `0x${digest.digest('hex')}`;
  differ('accounts', BigInt(accounts), BigInt(header.count), report);
  differ('total', total, header.total, report);
  differ('increase', increase, header.increase, report);
  if (root !== header.root) report(`The root is ${root}, and the file says ${header.root}.`);
  if (against.onChain) compareChain(against.onChain, { root, claimsHash, total, increase }, report);
  const { batch } = header;
  return { ok: findings.length === 0, findings, batch, accounts, total, increase, root, claimsHash };
}

function differ(what: string, found: bigint, said: bigint, report: (finding: string) => void): void {
  if (found !== said) report(`The ${what} add up to ${found}, and the file says ${said}.`);
}

function compareChain(chain: OnChain, file: OnChain, report: (finding: string) => void): void {
  if (chain.root !== file.root) report(`The root on chain is ${chain.root}.`);
  if (chain.claimsHash !== file.claimsHash) {
    report(`The file's SHA-256 is ${file.claimsHash}, and on chain it is ${chain.claimsHash}.`);
  }
  if (chain.total !== file.total) report(`The total on chain is ${chain.total}.`);
  if (chain.increase !== file.increase) report(`The increase on chain is ${chain.increase}.`);
}

// --- the batch before --------------------------------------------------------------------------------------------------

interface Previous {
  readonly header: Header;
  readonly lines: AsyncGenerator<string>;
  readonly digest: ReturnType<typeof createHash>;
  current: Line | undefined;
  total: bigint;
}

async function openPrevious(file: string, report: (finding: string) => void): Promise<Previous> {
  const digest = createHash('sha256');
  const lines = readLines(file, digest);
  const header = parseHeader(await nextText(lines), (finding) => report(`The batch before: ${finding}`));
  const previous: Previous = { header, lines, digest, current: undefined, total: 0n };
  await step(previous);
  return previous;
}

async function step(previous: Previous): Promise<void> {
  const { done, value } = await previous.lines.next();
  previous.current = done ? undefined : (parseLine(value) ?? { account: '', cumulative: 0n, increase: 0n });
  previous.total += previous.current?.cumulative ?? 0n;
}

async function compare(line: Line, previous: Previous, report: (finding: string) => void): Promise<void> {
  while (previous.current && previous.current.account < line.account) {
    report(`${previous.current.account} was in the batch before and is missing.`);
    await step(previous);
  }
  let had = 0n;
  if (previous.current?.account === line.account) {
    had = previous.current.cumulative;
    await step(previous);
  }
  if (had + line.increase !== line.cumulative) {
    report(`${line.account}: ${had} before and ${line.increase} more are not ${line.cumulative}.`);
  }
}

async function finishPrevious(
  previous: Previous,
  header: Header,
  totalBefore: bigint,
  report: (finding: string) => void,
): Promise<void> {
  while (previous.current) {
    report(`${previous.current.account} was in the batch before and is missing.`);
    await step(previous);
  }
  const hash = `0x${previous.digest.digest('hex')}`;
  if (header.previous !== hash)
    report(`The batch before has SHA-256 ${hash}, and the file says ${header.previous}.`);
  const { chainId, contract, token, batch, total } = previous.header;
  if (chainId !== header.chainId || contract !== header.contract || token !== header.token) {
    report('The batch before is of another chain, contract or token.');
  }
  if (batch >= header.batch) report(`The batch before has the number ${batch}, this one ${header.batch}.`);
  if (total !== previous.total || total !== totalBefore) {
    report(`The batch before promised ${total}; this one builds on ${totalBefore}.`);
  }
}

// --- the form ----------------------------------------------------------------------------------------------------------

/** The lines of a file without their line feeds, while every byte goes into `digest`. Throws on lines that have no end. */
async function* readLines(file: string, digest: ReturnType<typeof createHash>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 18 })) {
    digest.update(chunk as Buffer);
    const lines = (rest + (chunk as Buffer).toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_MAX) throw new Error('A line is far too long for a claims file.');
    yield* lines;
  }
  if (rest !== '') throw new Error('The last line has no end: the file was cut off.');
}

async function nextText(lines: AsyncGenerator<string>): Promise<string> {
  const { value } = await lines.next();
  return typeof value === 'string' ? value : '';
}

/** Throws when the first line is no header at all; reports what is not as it should be. */
function parseHeader(text: string, report: (finding: string) => void): Header {
  const raw = JSON.parse(text === '' ? 'null' : text) as Record<string, unknown> | null;
  if (raw === null || typeof raw !== 'object') throw new Error('The first line is no header.');
  const is = (name: string, pattern: RegExp): string => {
    const value = raw[name];
    if (typeof value === 'string' && pattern.test(value)) return value;
    throw new Error(`The header's ${name} is not valid.`);
  };
  const whole = (name: string, least: number): number => {
    const value = raw[name];
    if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
    throw new Error(`The header's ${name} is not valid.`);
  };
  is('format', /^cygnet-claims-1$/);
  is('day', /^\d{4}-\d{2}-\d{2}$/);
  is('cut', AMOUNT);
  is('picoPerToken', AMOUNT);
  whole('decimals', 0);
  if (JSON.stringify(raw) !== text || Object.keys(raw).join(' ') !== MEMBERS) {
    report('The header is not written as the format says.');
  }
  return {
    chainId: whole('chainId', 1),
    contract: is('contract', ADDRESS),
    token: is('token', ADDRESS),
    batch: whole('batch', 1),
    previous: raw['previous'] === null ? null : is('previous', HASH),
    count: whole('count', 1),
    increase: BigInt(is('increase', AMOUNT)),
    total: BigInt(is('total', AMOUNT)),
    root: is('root', HASH),
  };
}

function parseLine(text: string): Line | undefined {
  const match = /^\["(0x[0-9a-f]{40})","(0|[1-9]\d{0,77})","(0|[1-9]\d{0,77})"\]$/.exec(text);
  if (!match) return undefined;
  const [, account = '', cumulative = '', increase = ''] = match;
  return { account, cumulative: BigInt(cumulative), increase: BigInt(increase) };
}

// --- the tree ----------------------------------------------------------------------------------------------------------

/** keccak256(keccak256(abi.encode(chainId, contract, token, account, cumulative))). */
function leafHash(header: Header, line: Line): Uint8Array {
  const word = (hex: string): string => hex.padStart(64, '0');
  const encoded =
    word(header.chainId.toString(16)) +
    word(header.contract.slice(2)) +
    word(header.token.slice(2)) +
    word(line.account.slice(2)) +
    word(line.cumulative.toString(16));
  return keccak_256(keccak_256(Buffer.from(encoded, 'hex')));
}

/** Folds leaves into their root: complete subtrees are joined as soon as two are of one size, the rest at the end. */
class Fold {
  readonly #roots: Uint8Array[] = [];
  #leaves = 0;

  add(leaf: Uint8Array): void {
    let node = leaf;
    for (let size = this.#leaves; size % 2 === 1; size = (size - 1) / 2) {
      node = join(this.#roots.pop() as Uint8Array, node);
    }
    this.#roots.push(node);
    this.#leaves++;
  }

  root(): string {
    const roots = this.#roots.toReversed();
    const root = roots
      .slice(1)
      .reduce((smaller, larger) => join(larger, smaller), roots[0] ?? new Uint8Array());
    return `0x${Buffer.from(root).toString('hex')}`;
  }
}

function join(one: Uint8Array, other: Uint8Array): Uint8Array {
  return keccak_256(
    Buffer.compare(one, other) <= 0 ? Buffer.concat([one, other]) : Buffer.concat([other, one]),
  );
}
