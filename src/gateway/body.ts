import { isAscii, isUtf8 } from 'node:buffer';
import type { Preferences } from '#domain/preferences.ts';
import { Fault } from '#kit/fault.ts';
import { withMembers } from '#kit/json-members.ts';
import type { Ask } from './endpoint.ts';
import { readPreferences } from './preferences.ts';

/**
 * The body of a chat completion, read once: what the market needs to know of it, checked, and nothing else. The bytes
 * themselves are what is passed on, so parameters we do not know go through untouched.
 *
 * The shape is OpenAI's (`POST /v1/chat/completions`). Checked by hand: a schema library that keeps unknown fields costs
 * a copy of the whole body.
 */
export interface ChatRequest extends Ask {
  readonly messageCount: number;
  /**
   * UTF-8 bytes of all text in the messages. Where more than text goes into a prompt (tools, calls, a schema for the
   * answer), the size of the body, which is never less than that.
   */
  readonly promptBytes: number;
  /** There are fields that tell who the consumer is or that make a provider keep something (`PRIVATE_FIELDS`). */
  readonly needsRewrite: boolean;
  /** Images, sounds and files. */
  readonly mediaParts: number;
}

export interface BodyLimits {
  readonly messagesMax: number;
  /** Of one message, in UTF-16 code units. */
  readonly messageCharsMax: number;
  readonly outputTokensMax: number;
  /** Of one input to an embedding model, where they can be counted. */
  readonly embeddingTokensMax: number;
}

export const DEFAULT_BODY_LIMITS: BodyLimits = {
  messagesMax: 100,
  messageCharsMax: 100_000,
  outputTokensMax: 16_384,
  embeddingTokensMax: 8_192,
};

/** What identifies a consumer or its users, or asks for storage. Never forwarded. */
export const PRIVATE_FIELDS: ReadonlySet<string> = new Set([
  'user',
  'safety_identifier',
  'metadata',
  'store',
  'prompt_cache_key',
  'session_id',
  'trace_id',
  'litellm_metadata',
  'litellm_session_id',
  'litellm_trace_id',
]);

/** For us alone: OpenRouter's fields of routing. Never forwarded. */
const ROUTING_FIELDS: readonly string[] = ['provider', 'models', 'route'];
const NEVER_FORWARDED: ReadonlySet<string> = new Set([...PRIVATE_FIELDS, ...ROUTING_FIELDS]);

/** More would let one request try the whole catalogue. */
const FALLBACK_MODELS_MAX = 8;
/** How much of a conversation's beginning tells it from others, in characters of each message. */
const OPENING_CHARS = 256;
const MODEL_CHARS_MAX = 256;
const CHOICES_MAX = 8;
const STOPS_MAX = 16;
/** Deeper than any honest tool or schema; parsers on the providers' side may recurse. */
export const DEPTH_MAX = 64;

/** A refusal on its way out of a check: thrown within this file only. */
function refuse(param: string, outer: string): never {
  throw new Fault('request-invalid', { outer, param });
}

/**
 * Reads and checks a body. Never throws: a body that cannot be served is a `Fault` (`body-not-json` or `request-invalid`
 * with the field's name) whose sentence quotes nothing of a prompt.
 */
export function readChatRequest(
  bytes: Buffer,
  limits: BodyLimits = DEFAULT_BODY_LIMITS,
): ChatRequest | Fault {
  // Bytes that are no UTF-8 would end the link of the agent that they are passed to.
  if (!isUtf8(bytes)) return new Fault('body-not-json', { outer: 'The body is not valid UTF-8.' });
  let body: unknown;
  try {
    // Plain ASCII needs no decoding: a fifth less for a prompt of 64 kB.
    body = JSON.parse(bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8'));
  } catch {
    // The parser's own message quotes the body.
    return new Fault('body-not-json');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return new Fault('request-invalid', { outer: 'The body must be a JSON object.' });
  }
  try {
    return read(body as Record<string, unknown>, bytes.length, limits);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** What is gathered while the fields are gone through. */
interface Reading {
  readonly limits: BodyLimits;
  model: string | undefined;
  stream: boolean;
  streamOptions: unknown;
  maxTokens: number | undefined;
  maxCompletionTokens: number | undefined;
  n: number;
  messageCount: number;
  textBytes: number;
  needsRewrite: boolean;
  mediaParts: number;
  /** More than the messages' text goes into the prompt. */
  moreThanText: boolean;
  preferences: Preferences | undefined;
  fallbackModels: readonly string[];
  /** The conversation as the caller names it. */
  named: string | undefined;
  /** The texts up to the first of the user's, which stay the same over all turns. */
  opening: string;
  opened: boolean;
}

type Check = (value: unknown, reading: Reading, name: string) => void;

/** Each field we look at. `null` means absent, as in OpenAI's own schema. */
const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['model', readModel],
  ['messages', readMessages],
  [
    'stream',
    (value, reading) => {
      if (value === null) return;
      if (typeof value !== 'boolean') refuse('stream', "'stream' must be true or false.");
      reading.stream = value;
    },
  ],
  [
    'stream_options',
    (value, reading) => {
      reading.streamOptions = value;
    },
  ],
  [
    'max_tokens',
    (value, reading, name) => {
      reading.maxTokens = whole(value, name, reading.limits.outputTokensMax);
    },
  ],
  [
    'max_completion_tokens',
    (value, reading, name) => {
      reading.maxCompletionTokens = whole(value, name, reading.limits.outputTokensMax);
    },
  ],
  [
    'n',
    (value, reading, name) => {
      reading.n = whole(value, name, CHOICES_MAX) ?? 1;
    },
  ],
  ['temperature', between(0, 2)],
  ['top_p', between(0, 1)],
  ['presence_penalty', between(-2, 2)],
  ['frequency_penalty', between(-2, 2)],
  ['stop', readStop],
  [
    'provider',
    (value, reading) => {
      if (value === null) return;
      reading.preferences = readPreferences(value);
      reading.needsRewrite = true;
    },
  ],
  [
    'models',
    (value, reading) => {
      if (value === null) return;
      reading.fallbackModels = readFallbacks(value);
      reading.needsRewrite = true;
    },
  ],
  [
    'route',
    (_, reading) => {
      reading.needsRewrite = true;
    },
  ],
  ...[...PRIVATE_FIELDS].map((name): [string, Check] => [
    name,
    (value, reading) => {
      reading.needsRewrite = true;
      if ((name === 'session_id' || name === 'prompt_cache_key') && typeof value === 'string')
        reading.named ??= value.slice(0, OPENING_CHARS);
    },
  ]),
]);

function read(body: Record<string, unknown>, bodyBytes: number, limits: BodyLimits): ChatRequest {
  const reading: Reading = {
    limits,
    model: undefined,
    stream: false,
    streamOptions: undefined,
    maxTokens: undefined,
    maxCompletionTokens: undefined,
    n: 1,
    messageCount: 0,
    textBytes: 0,
    needsRewrite: false,
    mediaParts: 0,
    moreThanText: false,
    preferences: undefined,
    fallbackModels: [],
    named: undefined,
    opening: '',
    opened: false,
  };
  for (const name in body) {
    const value = body[name];
    const check = CHECKS.get(name);
    if (check) check(value, reading, name);
    else if (typeof value === 'object' && value !== null) {
      // Tools, schemas, parameters of tomorrow: they may become part of the prompt.
      reading.moreThanText = true;
      checkDepth(value, name);
    }
  }
  const model = reading.model ?? reading.fallbackModels[0];
  if (model === undefined) refuse('model', "'model' is missing.");
  if (reading.messageCount === 0) refuse('messages', "'messages' is missing.");
  const { maxTokens, maxCompletionTokens } = reading;
  if (maxTokens !== undefined && maxCompletionTokens !== undefined && maxTokens !== maxCompletionTokens) {
    refuse('max_tokens', "'max_tokens' and 'max_completion_tokens' cannot both be set.");
  }
  return {
    model,
    stream: reading.stream,
    includeUsage: readStreamOptions(reading.streamOptions, reading.stream),
    maxTokens: maxTokens ?? maxCompletionTokens,
    named: { maxTokens, maxCompletionTokens },
    n: reading.n,
    messageCount: reading.messageCount,
    promptBytes: reading.moreThanText ? bodyBytes : reading.textBytes,
    needsRewrite: reading.needsRewrite,
    mediaParts: reading.mediaParts,
    routing: {
      preferences: reading.preferences,
      fallbackModels: reading.fallbackModels,
      parameters: reading.preferences?.requireParameters ? Object.keys(body) : [],
      conversation: reading.named ?? (reading.opening === '' ? undefined : reading.opening),
    },
  };
}

function readModel(value: unknown, reading: Reading): void {
  if (typeof value !== 'string') refuse('model', "'model' must be a string.");
  if (value.length === 0 || value.length > MODEL_CHARS_MAX) {
    refuse('model', `'model' must have 1 to ${MODEL_CHARS_MAX} characters.`);
  }
  reading.model = value;
}

function readMessages(value: unknown, reading: Reading): void {
  if (!Array.isArray(value)) refuse('messages', "'messages' must be an array.");
  const { messagesMax } = reading.limits;
  if (value.length === 0) refuse('messages', "'messages' must hold at least one message.");
  if (value.length > messagesMax) refuse('messages', `'messages' may hold at most ${messagesMax} messages.`);
  for (let i = 0; i < value.length; i++) readMessage(value[i], i, reading);
  reading.messageCount = value.length;
}

function readMessage(message: unknown, index: number, reading: Reading): void {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    refuse(`messages[${index}]`, `'messages[${index}]' must be an object.`);
  }
  let role: unknown;
  let content: unknown;
  for (const name in message) {
    const value = (message as Record<string, unknown>)[name];
    if (name === 'role') role = value;
    else if (name === 'content') content = value;
    else if (value !== null) {
      reading.moreThanText = true;
      if (typeof value === 'object') checkDepth(value, `messages[${index}].${name}`.slice(0, 80));
    }
  }
  if (typeof role !== 'string' || role === '') {
    refuse(`messages[${index}].role`, `'messages[${index}].role' is missing.`);
  }
  if (!reading.opened) {
    if (typeof content === 'string') reading.opening += `${content.slice(0, OPENING_CHARS)}\0`;
    reading.opened = role === 'user';
  }
  const chars = readContent(content, index, reading);
  const { messageCharsMax } = reading.limits;
  if (chars > messageCharsMax) {
    refuse(`messages[${index}].content`, `A message may have at most ${messageCharsMax} characters.`);
  }
}

/** The characters of a message's text. */
function readContent(content: unknown, index: number, reading: Reading): number {
  if (typeof content === 'string') {
    if (content.length <= reading.limits.messageCharsMax) reading.textBytes += Buffer.byteLength(content);
    return content.length;
  }
  if (content === null || content === undefined) return 0;
  if (!Array.isArray(content)) {
    refuse(
      `messages[${index}].content`,
      `'messages[${index}].content' must be a string, null or an array of parts.`,
    );
  }
  let chars = 0;
  for (const part of content) {
    if (typeof part !== 'object' || part === null || typeof part.type !== 'string') {
      refuse(
        `messages[${index}].content`,
        `Each part of 'messages[${index}].content' must be an object with a 'type'.`,
      );
    }
    if (part.type === 'text') {
      if (typeof part.text !== 'string') {
        refuse(`messages[${index}].content`, `A text part of 'messages[${index}].content' needs a 'text'.`);
      }
      chars += part.text.length;
      if (chars <= reading.limits.messageCharsMax) reading.textBytes += Buffer.byteLength(part.text);
    } else {
      reading.moreThanText = true;
      if (part.type !== 'refusal') reading.mediaParts += 1;
    }
    checkDepth(part, `messages[${index}].content`);
  }
  return chars;
}

function readStreamOptions(value: unknown, stream: boolean): boolean {
  if (value === undefined || value === null) return false;
  if (!stream) refuse('stream_options', "'stream_options' is only allowed when 'stream' is true.");
  if (typeof value !== 'object' || Array.isArray(value))
    refuse('stream_options', "'stream_options' must be an object.");
  checkDepth(value, 'stream_options');
  const includeUsage = (value as Record<string, unknown>)['include_usage'];
  if (includeUsage === undefined || includeUsage === null) return false;
  if (typeof includeUsage !== 'boolean') {
    refuse('stream_options.include_usage', "'stream_options.include_usage' must be true or false.");
  }
  return includeUsage;
}

/** OpenRouter's `models`: further names, the first choice may be among them. */
function readFallbacks(value: unknown): string[] {
  const fits =
    Array.isArray(value) &&
    value.length <= FALLBACK_MODELS_MAX &&
    value.every((name) => typeof name === 'string' && name !== '' && name.length <= MODEL_CHARS_MAX);
  if (!fits) refuse('models', `'models' must be an array of at most ${FALLBACK_MODELS_MAX} model names.`);
  return value;
}

function readStop(value: unknown): void {
  if (value === null || typeof value === 'string') return;
  const fits =
    Array.isArray(value) && value.length <= STOPS_MAX && value.every((one) => typeof one === 'string');
  if (!fits) refuse('stop', `'stop' must be a string or an array of at most ${STOPS_MAX} strings.`);
}

/** A whole number from 1 to `most`; undefined for null. */
function whole(value: unknown, name: string, most: number): number | undefined {
  if (value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most) {
    refuse(name, `'${name}' must be a whole number from 1 to ${most}.`);
  }
  return value;
}

function between(least: number, most: number): Check {
  return (value, _, name) => {
    if (value === null) return;
    if (typeof value !== 'number' || value < least || value > most) {
      refuse(name, `'${name}' must be a number from ${least} to ${most}.`);
    }
  };
}

function checkDepth(value: object, name: string): void {
  if (deeperThan(value, DEPTH_MAX)) refuse(name, `The request is nested more than ${DEPTH_MAX} levels deep.`);
}

/** Recurses `levels` deep at most, whatever it is given. */
export function deeperThan(value: object, levels: number): boolean {
  if (levels === 0) return true;
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null && deeperThan(inner, levels - 1)) return true;
  }
  return false;
}

/**
 * The body without `drop` (by default, what must not be forwarded) and with `set`. The rest stays byte for byte. For
 * bodies that `readChatRequest` accepted.
 */
export function rewriteBody(
  bytes: Buffer,
  change: { drop?: ReadonlySet<string>; set?: Readonly<Record<string, unknown>> } = {},
): Buffer {
  const rewritten = withMembers(bytes, { drop: NEVER_FORWARDED, ...change });
  if (!rewritten) throw new Fault('body-not-json');
  return rewritten;
}
