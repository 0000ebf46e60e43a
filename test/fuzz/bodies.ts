import assert from 'node:assert/strict';
import type { Model } from '#domain/model.ts';
import { DEFAULT_BODY_LIMITS, PRIVATE_FIELDS } from '#gateway/body.ts';
import { consoleRoutes } from '#gateway/console/console.ts';
import type { ConsoleRooms } from '#gateway/console/rooms.ts';
import type { Ask, Endpoint } from '#gateway/endpoint.ts';
import { chat } from '#gateway/endpoints/chat.ts';
import { completions } from '#gateway/endpoints/completions.ts';
import { embeddings } from '#gateway/endpoints/embeddings.ts';
import { images } from '#gateway/endpoints/images.ts';
import { readPreferences, readShortcut } from '#gateway/preferences.ts';
import { READERS, type ReaderName } from '#gateway/readers.ts';
import { messages } from '#gateway/translate/chat-to-messages.ts';
import { responses } from '#gateway/translate/chat-to-responses.ts';
import type { MessagesAsk } from '#gateway/translate/messages-to-chat.ts';
import type { ResponsesAsk } from '#gateway/translate/responses-to-chat.ts';
import { systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { ERRORS, type ErrorCode } from '#wire/errors.ts';
import { FIRST_ISSUE } from '#wire/first-issue.ts';
import { Chance } from '../sim/chance.ts';
import { bent, senseless, written } from './senseless.ts';
import { BODIES, CHATS, CONSOLE } from './templates.ts';

/** What was done, for the summary of a run. */
export interface Tally {
  readonly cases: number;
  readonly outcomes: ReadonlyMap<string, number>;
  /** The case that took longest, in milliseconds. */
  readonly slowestMs: number;
}

/**
 * Bodies of every endpoint, bent from valid ones, through what reads them. Oracle: each is read, or refused with a fault
 * of the table whose status is the caller's; what was read has sound figures, and what would be passed on is JSON without
 * a field that is never passed on. Throws at the first that breaks this, saying how to see it again.
 */
export function fuzzBodies(seed: number, cases: number): Tally {
  const chance = new Chance(seed).stream('bodies');
  const names = Object.keys(READERS) as ReaderName[];
  return run(seed, cases, () => {
    const name = chance.one(names);
    const valid = chance.one<unknown>(BODIES[name]);
    const bytes = written(
      chance,
      chance.yes(0.03) ? senseless(chance) : chance.yes(0.05) ? valid : bent(chance, valid),
    );
    return { label: name, input: bytes, act: () => readOne(name, bytes) };
  });
}

function readOne(name: ReaderName, bytes: Buffer): string {
  const copy = bytes.toString('latin1');
  const read = READERS[name](bytes, DEFAULT_BODY_LIMITS) as Ask | Fault;
  assert.equal(bytes.toString('latin1'), copy, 'the bytes were changed');
  if (read instanceof Fault) return refusal(read);
  assert(read.model.length > 0 && read.model.length <= 256);
  assert(Number.isInteger(read.n) && read.n >= 1 && read.n <= 8 * 128);
  assert(Number.isInteger(read.promptBytes) && read.promptBytes >= 0);
  assert(read.promptBytes <= Math.max(bytes.length, read.body?.length ?? 0));
  const { maxTokens: most } = read;
  assert(
    most === undefined ||
      (Number.isInteger(most) && most >= 0 && most <= DEFAULT_BODY_LIMITS.outputTokensMax),
  );
  const endpoint = ENDPOINTS[name] as unknown as Endpoint;
  for (const figure of Object.values(endpoint.ceiling(read, MODEL, LIMITS)))
    assert(Number.isInteger(figure) && figure >= 0, 'a ceiling that is no whole number');
  readShortcut(read.model);
  const sent: unknown = JSON.parse(endpoint.body(read, bytes).toString());
  assert(typeof sent === 'object' && sent !== null && !Array.isArray(sent));
  for (const field of Object.keys(sent)) assert(!PRIVATE_FIELDS.has(field), `${field} is passed on`);
  return 'read';
}

const ENDPOINTS = {
  chat,
  text: completions,
  embeddings,
  images,
  messages: chat,
  responses: chat,
} as const satisfies Record<ReaderName, unknown>;
const MODEL = { contextTokens: 8_192, maxOutputTokens: 4_096 } as Model;
const LIMITS = { inputTokensMax: 1_000_000, outputTokensMax: 16_384, outputTokensDefault: 1_024 };

/** The code of a refusal that is a caller's to read. */
function refusal(fault: Fault): string {
  const row = ERRORS[fault.code as ErrorCode];
  assert(row, `no row for ${fault.code}`);
  assert(row.status >= 400 && row.status < 500, `${fault.code} is not the caller's`);
  assert((fault.outer ?? '').length <= 600, 'an endless sentence');
  assert((fault.param ?? '').length <= 100, 'an endless name');
  return fault.code;
}

/** What a hostile provider answers, through the translations to other APIs: never an exception, always whole events. */
export function fuzzTranslations(seed: number, cases: number): Tally {
  const chance = new Chance(seed).stream('translations');
  const asks = {
    messages: READERS.messages(
      Buffer.from(JSON.stringify(BODIES.messages[0])),
      DEFAULT_BODY_LIMITS,
    ) as MessagesAsk,
    responses: READERS.responses(
      Buffer.from(JSON.stringify(BODIES.responses[0])),
      DEFAULT_BODY_LIMITS,
    ) as ResponsesAsk,
  };
  let streams = { messages: messages.stream(asks.messages), responses: responses.stream(asks.responses) };
  return run(seed, cases, (i) => {
    const chunk: unknown = JSON.parse(
      // The hub lets nothing through that is no object.
      JSON.stringify(
        chance.yes(0.1) ? { choices: senseless(chance, 4) } : bent(chance, chance.one<unknown>(CHATS)),
      ),
    );
    const label = chance.one(['messages', 'responses'] as const);
    return {
      label,
      input: Buffer.from(JSON.stringify(chunk)),
      act: () => {
        const translation =
          label === 'messages'
            ? messages.whole(chunk, asks.messages)
            : responses.whole(chunk, asks.responses);
        JSON.parse(JSON.stringify(translation));
        let text = streams[label].chunk(chunk);
        if (i % 20 === 0) {
          text += chance.yes(0.5)
            ? streams[label].end()
            : streams[label].broken({ message: 'm', type: 't', code: 'c' });
          streams = { messages: messages.stream(asks.messages), responses: responses.stream(asks.responses) };
        }
        assert.match(text, /^(?:event: [\w.]+\ndata: [^\n\r]+\n\n)*$/, 'an event that is none');
        return 'translated';
      },
    };
  });
}

/** The `provider` object of a chat, alone and deeper than a whole body gets it. */
export function fuzzPreferences(seed: number, cases: number): Tally {
  const chance = new Chance(seed).stream('preferences');
  return run(seed, cases, () => {
    const value = chance.yes(0.1) ? senseless(chance, 4) : bent(chance, BODIES.chat[0].provider);
    return {
      label: 'provider',
      input: Buffer.from(JSON.stringify(value) ?? ''),
      act: () => {
        try {
          const read = readPreferences(value);
          assert(read.maxLatencyMs === undefined || read.maxLatencyMs >= 0);
          return 'read';
        } catch (error) {
          if (error instanceof Fault) return refusal(error);
          throw error;
        }
      },
    };
  });
}

/** Bodies and queries of every call of the console, through the schema that stands before its work. */
export function fuzzConsole(seed: number, cases: number): Tally {
  const chance = new Chance(seed).stream('console');
  const routes = consoleRoutes({ clock: systemClock } as unknown as ConsoleRooms);
  const schemas = routes.flatMap(({ url, body, query }) =>
    [body, query].flatMap((schema) => (schema ? [{ url, schema }] : [])),
  );
  return run(seed, cases, () => {
    const { url, schema } = chance.one(schemas);
    const value = chance.yes(0.1) ? senseless(chance, 4) : bent(chance, chance.one<unknown>(CONSOLE));
    return {
      label: url,
      input: Buffer.from(JSON.stringify(value) ?? ''),
      act: () => (schema.safeParse(value, FIRST_ISSUE).success ? 'read' : 'refused'),
    };
  });
}

function run(
  seed: number,
  cases: number,
  next: (i: number) => { label: string; input: Buffer; act: () => string },
): Tally {
  const outcomes = new Map<string, number>();
  let slowestMs = 0;
  // A stack for each of a million refusals costs more than all the reading.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  for (let i = 1; i <= cases; i++) {
    const { label, input, act } = next(i);
    const startedMs = performance.now();
    try {
      const outcome = act();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      Error.stackTraceLimit = stackTraceLimit;
      throw new Error(`seed ${seed}, case ${i}, ${label}: ${input.toString('utf8').slice(0, 2_000)}`, {
        cause: error,
      });
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  }
  Error.stackTraceLimit = stackTraceLimit;
  assert.equal(
    ({} as Record<string, unknown>)['model'],
    undefined,
    'the prototype of all objects was changed',
  );
  return { cases, outcomes, slowestMs };
}
