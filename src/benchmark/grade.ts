import type { CodeKey, Kind, Question } from './tasks/question.ts';

/** Marks from answers. Pure; what running code came to is handed in. Only what this side saw counts. */

/** What came back for a question. */
export interface Reply {
  readonly text: string;
  /** `late`: not whole in time. `too-long`: more than was asked for. `failed`: the agent said that it could not. */
  readonly end: 'whole' | 'late' | 'too-long' | 'failed';
  /** From the question to the first text; null when none came. */
  readonly ttftMs: number | null;
  readonly durationMs: number;
}

export interface Mark {
  readonly kind: Kind;
  readonly right: boolean;
  readonly why: 'right' | 'wrong' | 'empty' | Exclude<Reply['end'], 'whole'>;
  readonly ttftMs: number | null;
  /** By our own count of what arrived, over the whole time: sending all at once at the end makes it no faster. */
  readonly tokensPerSecond: number;
}

/** What a paper comes to. */
export interface Score {
  /** Right answers and questions. */
  readonly math: readonly [number, number];
  readonly code: readonly [number, number];
  /** Medians over the questions for the pace; one without an answer counts as endless. Null: endless. */
  readonly ttftMs: number | null;
  readonly tokensPerSecond: number;
}

/** A token of English or code is about so many bytes. */
const BYTES_PER_TOKEN = 4;

/** `ran` and `expected` are what the answer's code and our own came to, for a question about code. */
export function markOf(
  { key }: Question,
  reply: Reply,
  ran: {
    readonly got: readonly (string | null)[] | undefined;
    readonly expected: readonly (string | null)[];
  },
): Mark {
  const seconds = Math.max(reply.durationMs, 1) / 1_000;
  const pace = {
    ttftMs: reply.ttftMs,
    tokensPerSecond: Buffer.byteLength(reply.text) / BYTES_PER_TOKEN / seconds,
  };
  if (reply.end !== 'whole') return { kind: key.kind, right: false, why: reply.end, ...pace };
  if (reply.text.trim() === '') return { kind: key.kind, right: false, why: 'empty', ...pace };
  let right: boolean;
  if (key.kind === 'math') right = lastNumber(reply.text) === key.value;
  else if (key.kind === 'code') right = sameOutcomes(ran.got, ran.expected);
  else right = itemsInOrder(reply.text, key.items) >= key.itemsMin;
  return { kind: key.kind, right, why: right ? 'right' : 'wrong', ...pace };
}

export function scoreOf(marks: readonly Mark[]): Score {
  const of = (kind: Kind): Mark[] => marks.filter((mark) => mark.kind === kind);
  const rights = (kind: Kind): readonly [number, number] => {
    const all = of(kind);
    return [all.filter(({ right }) => right).length, all.length];
  };
  const paced = of('latency');
  const ttft = median(
    paced.map(({ right, ttftMs }) => (right && ttftMs !== null ? ttftMs : Number.POSITIVE_INFINITY)),
  );
  return {
    math: rights('math'),
    code: rights('code'),
    ttftMs: Number.isFinite(ttft) ? ttft : null,
    tokensPerSecond: median(paced.map(({ right, tokensPerSecond }) => (right ? tokensPerSecond : 0))),
  };
}

/** The middle one; of two middle ones the worse for a time, which is the higher. No values: endless. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.POSITIVE_INFINITY;
}

/** The number an answer ends with, or the last one in a box (`\boxed{…}`); undefined when it has none. */
export function lastNumber(text: string): number | undefined {
  const plain = text.replaceAll('−', '-');
  const boxed = [...plain.matchAll(/\\boxed\{([^{}]{1,100})\}/g)].at(-1)?.[1];
  const found = (boxed ?? plain).match(/(?<![\w)])-?\d[\d,]*(?:\.\d+)?|\d[\d,]*(?:\.\d+)?/g)?.at(-1);
  if (found === undefined) return undefined;
  const value = Number(found.replaceAll(',', ''));
  return Number.isFinite(value) ? value : undefined;
}

/** The code of an answer: the last fenced block that names the function, else the whole text. */
export function codeOf(text: string, { name }: CodeKey): string {
  const code = fencedBlocks(text).findLast((block) => block.includes(name)) ?? text;
  return code.replace(/^\s*export\s+(default\s+)?/gm, '');
}

/** What stands between lines that begin with three backticks. Line by line: a pattern over the whole is slow on purpose-made text. */
function fencedBlocks(text: string): string[] {
  const blocks: string[] = [];
  let block: string[] | undefined;
  for (const line of text.split('\n')) {
    if (!line.trimStart().startsWith('```')) block?.push(line);
    else if (block) {
      blocks.push(`${block.join('\n')}\n`);
      block = undefined;
    } else block = [];
  }
  if (block) blocks.push(block.join('\n'));
  return blocks;
}

function sameOutcomes(
  got: readonly (string | null)[] | undefined,
  expected: readonly (string | null)[],
): boolean {
  return got?.length === expected.length && expected.every((each, i) => each !== null && each === got[i]);
}

/** How many of the items stand in the text one after the other, with anything in between. */
function itemsInOrder(text: string, items: readonly number[]): number {
  let next = 0;
  for (const [number] of text.matchAll(/\d+/g)) if (Number(number) === items[next]) next += 1;
  return next;
}
