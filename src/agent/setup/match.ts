/**
 * Which model of the catalogue a server's own name means. Servers name one model in a dozen ways (`qwen3:8b-q4_K_M`,
 * `Qwen3-8B-Q4_K_M.gguf`, `unsloth/Qwen3-8B-GGUF`), and names that look alike mean different models (`qwen2.5:32b`,
 * `Qwen2.5-Coder-32B`). To sell the one as the other is what benchmarks punish, so a name is taken apart: how it was quantised
 * does not matter; family, version, size and every other word do, and one that differs rules a match out.
 *
 * In order: the same id (1), a name that everybody uses for it (0.99), the same slug (0.97), and else a score from the parts.
 * Below 0.5 nothing is suggested; from `SURE` on a match may be taken without asking.
 */
export interface Match {
  readonly id: string;
  /** 0 to 1. */
  readonly score: number;
  /** In a few words. */
  readonly because: string;
}

export interface Known {
  readonly id: string;
  readonly slug?: string | undefined;
}

const SURE = 0.75;
const SUGGESTED = 0.5;
/** Two candidates this close cannot be told apart. */
const TIE = 0.02;
const SIZE_TOLERANCE = 0.22;

/**
 * The models of `catalogue` that `name` could mean, the best first. `size` is what the server says of the number of
 * parameters (`7.6B`), for names that do not.
 */
export function matches(name: string, catalogue: readonly Known[], size?: string): Match[] {
  const exact = catalogue.find(({ id }) => id.toLowerCase() === name.toLowerCase());
  if (exact) return [{ id: exact.id, score: 1, because: 'the same id' }];
  const parts = partsOf(name, size);
  const usual = USUAL_NAMES[plainName(parts)];
  if (usual !== undefined) {
    const known = catalogue.find(({ id }) => id.toLowerCase() === usual);
    return known ? [{ id: known.id, score: 0.99, because: 'its usual name' }] : [];
  }
  const plain = plainName(parts);
  return catalogue
    .map((model) => best(plain, parts, model))
    .filter(({ score }) => score >= SUGGESTED)
    .toSorted((a, b) => b.score - a.score);
}

/** The one match that may be taken without asking: sure, and no other is as good. */
export function sureMatch(found: readonly Match[]): Match | undefined {
  const [first, second] = found;
  if (!first || first.score < SURE) return undefined;
  return second && first.score - second.score < TIE ? undefined : first;
}

interface Parts {
  /** Before the slash, where there is one alone. */
  readonly publisher: string | undefined;
  readonly words: readonly string[];
  readonly versions: readonly string[];
  readonly sizes: readonly string[];
  readonly dates: readonly string[];
  readonly isBase: boolean;
  readonly isInstruct: boolean;
}

function best(plain: string, parts: Parts, { id, slug }: Known): Match {
  const theirs = partsOf(id);
  const none = { id, score: 0, because: 'another model' };
  // Who publishes both the plain model and the one that can be talked to calls only the second one so.
  if (parts.publisher === theirs.publisher && theirs.isInstruct && !parts.isInstruct) return none;
  if (parts.isBase !== theirs.isBase) return none;
  const names = [theirs, ...(slug === undefined ? [] : [partsOf(slug)])];
  if (names.some((name) => plainName(name) === plain)) return { id, score: 0.97, because: 'the same name' };
  return { id, ...compare(parts, theirs) };
}

function compare(ours: Parts, theirs: Parts): Omit<Match, 'id'> {
  const none = { score: 0, because: 'another model' };
  const different = [
    ...ours.words.filter((word) => !theirs.words.includes(word)),
    ...theirs.words.filter((word) => !ours.words.includes(word)),
  ];
  if (different.length > 0 || ours.words.length === 0) return none;
  const notes: string[] = [];
  let score = 0.96;
  const part = (
    what: string,
    mine: readonly string[],
    other: readonly string[],
    lacking: number,
  ): boolean => {
    if (mine.length > 0 && other.length > 0)
      return what === 'size' ? sameSize(mine, other) : mine.join(' ') === other.join(' ');
    if (mine.length !== other.length) {
      score *= lacking;
      notes.push(`${what} is not said`);
    }
    return true;
  };
  if (!part('version', ours.versions, theirs.versions, 0.84)) return none;
  if (!part('size', ours.sizes, theirs.sizes, 0.85)) return none;
  if (!part('date', ours.dates, theirs.dates, 0.92)) return none;
  return { score: Math.round(score * 100) / 100, because: notes.join(', ') || 'the same parts' };
}

function sameSize(ours: readonly string[], theirs: readonly string[]): boolean {
  const [mine, other] = [ours[0] as string, theirs[0] as string];
  if (mine === other) return true;
  // A mixture of experts is named by its parts, and never approximately.
  if (mine.includes('x') || other.includes('x')) return false;
  // What a server counts (7.6B) is not what the name says (7B); what names say is.
  if (!mine.startsWith('~')) return false;
  const [a, b] = [parameters(mine), parameters(other)];
  return Math.abs(a - b) / Math.max(a, b) <= SIZE_TOLERANCE;
}

function parameters(size: string): number {
  const number = Number.parseFloat(size.replace('~', ''));
  return size.endsWith('m') ? number / 1_000 : number;
}

function plainName({ words, versions, sizes, dates }: Parts): string {
  return [...words, ...versions, ...sizes.map((size) => rounded(size)), ...dates].join('-');
}

/** A counted size as a name would say it. */
function rounded(size: string): string {
  return size.startsWith('~') ? `${Math.round(parameters(size))}b` : size;
}

/** What says how a model was packed, or that it can be talked to, and not which model it is. */
const NOISE = new Set(
  'latest gguf ggml awq gptq exl mlx bnb qat ud unsloth dynamic hf bit en faster imatrix meta default preview quantized marlin'.split(
    ' ',
  ),
);
const INSTRUCT = new Set(['instruct', 'it', 'chat']);
const QUANTISED =
  /(?<=[-._:])(?:i?q\d(?:[-_](?:k|[01]|xxs|xs|s|m|l|xl|nl))*|(?:b|nv|mx)?fp?\d{1,2}|nf4|int[48]|[2-8]bit|exl[23]|w\d{1,2}a\d{1,2}|g128)(?=$|[-._:])/g;
const SIZE = /^(?:\d+x)?\d+(?:\.\d+)?[bm]$/;

function partsOf(name: string, counted?: string): Parts {
  const segments = name
    .toLowerCase()
    .replace(/[\\/]+$/, '')
    .split(/[\\/]/);
  const bare = (segments.at(-1) ?? '')
    .replace(/\.(gguf|bin|safetensors)$/, '')
    .replace(/-\d{5}-of-\d{5}$/, '')
    .replaceAll(QUANTISED, '')
    // 3_3 is a version, q4_k_m is gone by now, and every other underline is a dash.
    .replaceAll(/(?<=\d)_(?=\d)/g, '.')
    .replaceAll(/[_:@\s+]/g, '-')
    // llama3.1 → llama 3.1, qwen2.5vl → qwen 2.5 vl; a letter with a number (r1, k2, v3) stays one word.
    .replaceAll(/(?<=[a-z]{3})(?=\d)/g, '-')
    .replaceAll(/(?<=^|-)([a-z]{2})-?(?=\d\.\d)/g, '$1-')
    .replaceAll(/(?<=\d)(?=[a-z]{2,})/g, '-');
  const words: string[] = [];
  const versions: string[] = [];
  const sizes: string[] = [];
  const dates: string[] = [];
  let isBase = false;
  let isInstruct = false;
  for (const word of bare.split('-')) {
    const trimmed = word.replace(/^\.+|\.+$/g, '');
    if (trimmed === '' || NOISE.has(trimmed)) continue;
    if (trimmed === 'base' || trimmed === 'pt') isBase = true;
    else if (INSTRUCT.has(trimmed)) isInstruct = true;
    else if (SIZE.test(trimmed)) sizes.push(trimmed);
    // The active part of a mixture: told beside the size or not.
    else if (/^a\d+(\.\d+)?b$/.test(trimmed)) continue;
    else if (/^\d{4,6}$/.test(trimmed)) dates.push(trimmed);
    else if (/^v?\d+(\.\d+)*$/.test(trimmed))
      versions.push(trimmed.replace(/^v/, '').replace(/(?<=\d)\.0$/, ''));
    else words.push(trimmed);
  }
  const size = counted?.trim().toLowerCase();
  if (sizes.length === 0 && size !== undefined && SIZE.test(size)) sizes.push(`~${size}`);
  const publisher = segments.length === 2 && segments[0] !== '' ? segments[0] : undefined;
  return { publisher, words: words.toSorted(), versions, sizes, dates, isBase, isInstruct };
}

/**
 * Names that tell less than they mean, by the rules above; mostly Ollama's. A name that stands here means that model and no
 * other, also where the catalogue does not have it.
 */
const USUAL_NAMES: Readonly<Record<string, string>> = Object.fromEntries(
  (
    [
      ['deepseek-r1:1.5b', 'deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B'],
      ['deepseek-r1:7b', 'deepseek-ai/DeepSeek-R1-Distill-Qwen-7B'],
      ['deepseek-r1:8b', 'deepseek-ai/DeepSeek-R1-0528-Qwen3-8B'],
      ['deepseek-r1:14b', 'deepseek-ai/DeepSeek-R1-Distill-Qwen-14B'],
      ['deepseek-r1:32b', 'deepseek-ai/DeepSeek-R1-Distill-Qwen-32B'],
      ['deepseek-r1:33b', 'deepseek-ai/DeepSeek-R1-Distill-Qwen-32B'],
      ['deepseek-r1:70b', 'deepseek-ai/DeepSeek-R1-Distill-Llama-70B'],
      ['deepseek-r1', 'deepseek-ai/DeepSeek-R1'],
      ['devstral', 'mistralai/Devstral-Small-2507'],
      ['devstral:24b', 'mistralai/Devstral-Small-2507'],
      ['mistral-small:24b', 'mistralai/Mistral-Small-24B-Instruct-2501'],
      ['mistral-small:22b', 'mistralai/Mistral-Small-Instruct-2409'],
      ['mistral-nemo:12b', 'mistralai/Mistral-Nemo-Instruct-2407'],
      ['phi4:14b', 'microsoft/phi-4'],
      ['phi4:15b', 'microsoft/phi-4'],
      ['phi4-mini:3.8b', 'microsoft/Phi-4-mini-instruct'],
      ['all-minilm', 'sentence-transformers/all-MiniLM-L6-v2'],
      ['all-minilm:22m', 'sentence-transformers/all-MiniLM-L6-v2'],
      ['all-minilm:l6-v2', 'sentence-transformers/all-MiniLM-L6-v2'],
      ['snowflake-arctic-embed2', 'Snowflake/snowflake-arctic-embed-l-v2.0'],
      ['snowflake-arctic-embed2:568m', 'Snowflake/snowflake-arctic-embed-l-v2.0'],
      ['bge-m3:567m', 'BAAI/bge-m3'],
      ['bge-large:335m', 'BAAI/bge-large-en-v1.5'],
      ['mxbai-embed-large:335m', 'mixedbread-ai/mxbai-embed-large-v1'],
      ['nomic-embed-text:137m-v1.5', 'nomic-ai/nomic-embed-text-v1.5'],
      ['sdxl', 'stabilityai/stable-diffusion-xl-base-1.0'],
    ] as const
  ).map(([name, id]) => [plainName(partsOf(name)), id.toLowerCase()]),
);
