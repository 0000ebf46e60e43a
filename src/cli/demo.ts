import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { request } from 'undici';
import { readConfig } from '#config/config.ts';
import { formatUsd, parseUsd } from '#domain/money.ts';
import { createConsumer } from '#identity/consumers.ts';
import { keepKey, makeKey } from '#identity/keys.ts';
import { createProvider } from '#identity/providers.ts';
import { pause, systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { openLogFile } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import type { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { Book } from '#ledger/book.ts';
import { latestUsage } from '#ledger/usage-list.ts';
import { leave, registered, startAgent } from './agent-child.ts';
import { demoDayCommand } from './demo-day-command.ts';
import { demoMonth, type MonthOptions } from './demo-month-command.ts';
import { gameDayCommand } from './game-day-command.ts';
import { Refusal } from './refusal.ts';
import { table } from './report.ts';
import { askedToStop, openRunningMarket, type RunningMarket } from './running.ts';

/**
 * `cygnet demo`: a tour that runs by itself and leaves nothing behind. A market opens on free ports in a folder that is
 * thrown away, three providers' agents join it as processes of their own, a consumer sends requests of several kinds over
 * HTTP, one agent is killed in the middle of an answer, and at the end the books are opened. Ends with 0 when everything
 * went as it should, with 1 when it did not.
 */
export function demo(command: Command): void {
  demoDayCommand(command);
  gameDayCommand(command);
  command
    .option('--seed <number>', 'instead of the tour, fill this market with a month that never was')
    .option(
      '--password <text>',
      'with --seed: what everybody in it signs in with (default: a new one, shown)',
    )
    .option('--live', 'with --seed: some of its providers serve at every start, with rehearsed answers')
    .option('--anyway', 'with --seed: also where somebody trades already');
  command.action(async (options: MonthOptions, self: Command) => {
    if (options.seed !== undefined) return await demoMonth(options, self);
    const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-demo-'));
    // Started by root, PostgreSQL runs as another user, who must get through to its own folder.
    chmodSync(folder, 0o711);
    const stop = askedToStop();
    const destination = openLogFile(systemClock, path.join(folder, 'cygnet.log'));
    const agents: ChildProcess[] = [];
    let running: RunningMarket | undefined;
    try {
      // The environment's settings are for the operator's own market, not for this one.
      const config = readConfig(
        {},
        // The books that are shown are those of its own requests.
        { dataFolder: folder, gatewayPort: 0, hubPort: 0, logLevel: 'info', watch: { probes: false } },
      );
      running = await openRunningMarket({ config, destination, progress: say, localChain: false });
      const touring = tour(running, folder, agents);
      const stopped = stop.then(() => {
        throw new Refusal('Stopped before the end.');
      });
      await Promise.race([touring, stopped]);
    } finally {
      await Promise.all(agents.map(leave));
      await running?.close();
      destination.close();
      const database = running?.store.embedded?.folder;
      for (const each of [folder, database])
        if (each !== undefined) rmSync(each, { recursive: true, force: true });
    }
    say('Closed, and the folder removed. For a market that stays: npx cygnet start');
  });
}

const NANO = 'cygnet/cygnet-nano';
const LARGE = 'meta-llama/Llama-3.3-70B-Instruct';
const VECTORS = 'BAAI/bge-large-en-v1.5';
const CREDIT = parseUsd('1');
const LOOK_MS = 20;
const LOOKS_MAX = 500;

async function tour(running: RunningMarket, folder: string, agents: ChildProcess[]): Promise<void> {
  const { config, market, store } = running;
  const makeId = idMaker(systemClock, systemRandomness);
  const { database } = store;
  const at = systemClock.wallMs();
  const book = new Book({ database, instance: 'operator', clock: systemClock, log: running.log });

  step(1, 'A consumer with $1.00, and three providers with an agent each.');
  const consumerId = makeId('cons');
  await createConsumer(database, { id: consumerId, name: 'traveller', at });
  await book.grant(consumerId, CREDIT, `grant_${consumerId}`);
  const key = await newKey(running, makeId, 'consumer', consumerId);
  const byProvider = new Map<string, ChildProcess>();
  const nano = `${NANO}=${config.embeddedAgent.modelPath}`;
  const rehearsed = `${LARGE}=rehearsal:tokens=60,paced=40`;
  for (const [name, models] of [
    ['home', [nano]],
    ['north', [rehearsed, `${VECTORS}=rehearsal:`]],
    ['south', [rehearsed]],
  ] as const) {
    const providerId = makeId('prov');
    await createProvider(database, { id: providerId, name, state: 'active', at });
    const providerKey = await newKey(running, makeId, 'provider', providerId);
    const hub = `ws://127.0.0.1:${market.hubPort}`;
    const agent = startAgent({ hub, folder: path.join(folder, name), name, models }, providerKey);
    agents.push(agent);
    byProvider.set(providerId, agent);
    await registered(agent, name);
    say(`  ${name} serves ${models.map((model) => model.split('=')[0]).join(' and ')}.`);
  }

  const client = new Client(`http://127.0.0.1:${market.gatewayPort}`, key);
  step(2, 'A question to the shipped model, which really computes.');
  const sum = await client.post('/v1/chat/completions', {
    model: 'cygnet-nano',
    messages: [{ role: 'user', content: 'What is 17 + 25?' }],
  });
  say(`  ${sum.status}: ${sum.text}`);

  step(3, 'A stream, from a model that two providers serve (a rehearsal: they only act a model).');
  const stream = await client.post('/v1/chat/completions', {
    model: LARGE,
    stream: true,
    messages: [{ role: 'user', content: 'Tell me something.' }],
  });
  say(`  ${stream.status}: ${stream.events} events, then ${stream.done ? '[DONE]' : 'no end'}.`);

  step(4, 'Two embeddings in one request.');
  const vectors = await client.post('/v1/embeddings', { model: VECTORS, input: ['a swan', 'a cygnet'] });
  say(`  ${vectors.status}: ${vectors.vectors} vectors.`);

  step(5, 'A stream whose provider is killed in the middle.');
  const broken = client.post('/v1/chat/completions', {
    model: LARGE,
    stream: true,
    messages: [{ role: 'user', content: 'Tell me more.' }],
  });
  const serving = await busyProvider(running);
  byProvider.get(serving)?.kill('SIGKILL');
  const cut = await broken;
  say(`  ${cut.events} events had come; then: ${cut.error ?? 'nothing'}`);
  say('  There was no [DONE], so no client takes it for a whole answer, and it is free.');

  step(6, 'The same again: the other provider serves it.');
  const again = await client.post('/v1/chat/completions', {
    model: LARGE,
    messages: [{ role: 'user', content: 'And now?' }],
  });
  say(`  ${again.status}: ${again.text.slice(0, 60)}…`);

  step(7, 'A key that nobody has, and a model that nobody knows.');
  const stranger = new Client(client.url, key, 'sk-swan-0');
  const refused = await stranger.post('/v1/chat/completions', { model: LARGE, messages: [] });
  const unknown = await client.post('/v1/chat/completions', {
    model: 'no/such-model',
    messages: [{ role: 'user', content: 'Hello?' }],
  });
  say(`  ${refused.status}: ${refused.error}`);
  say(`  ${unknown.status}: ${unknown.error}`);

  step(8, 'The books.');
  await settled(running);
  const usage = await latestUsage(database, { consumerId, limit: 20 });
  const rows = usage
    .toReversed()
    .map((line) => [
      line.modelId,
      `${line.inputTokens}`,
      `${line.outputTokens}`,
      formatUsd(line.charge),
      line.outcome,
    ]);
  for (const line of table(['model', '>in', '>out', '>charge', 'outcome'], rows)) say(`  ${line}`);
  const balance = await book.balance(consumerId);
  const spent = usage.reduce((total, line) => total + line.charge, 0n);
  say(
    `  The consumer had ${formatUsd(CREDIT)}, spent ${formatUsd(spent)} and has ${formatUsd(balance.total)}.`,
  );
  const report = await audit(database);
  say(
    `  Audit: ${report.checkedEntries} entries, ${report.balanced ? 'balanced to the last pico-dollar' : 'NOT BALANCED'}.`,
  );

  const wrong = [
    sum.status === 200 && /42/.test(sum.text) ? undefined : 'the sum',
    stream.done ? undefined : 'the stream',
    vectors.vectors === 2 ? undefined : 'the embeddings',
    !cut.done && cut.error !== undefined ? undefined : 'the stream that was cut',
    again.status === 200 ? undefined : 'the request after it',
    refused.status === 401 && unknown.status === 404 ? undefined : 'the refusals',
    usage.filter((line) => line.charge > 0n).length === 4 ? undefined : 'the charges',
    balance.total + spent === CREDIT ? undefined : 'the balance',
    report.balanced ? undefined : 'the audit',
  ].filter((part) => part !== undefined);
  if (wrong.length > 0) throw new Refusal(`This was not as it should be: ${wrong.join(', ')}.`);
}

function say(sentence: string): void {
  process.stdout.write(`${sentence}\n`);
}

function step(number: number, sentence: string): void {
  say(`\n${number}. ${sentence}`);
}

async function newKey(
  { store }: RunningMarket,
  makeId: (prefix: string) => string,
  kind: 'consumer' | 'provider',
  ownerId: string,
): Promise<Sealed<string>> {
  const { secret, prefix, hash } = makeKey(kind, systemRandomness);
  const id = makeId('key');
  await keepKey(store.database, {
    id,
    kind,
    ownerId,
    name: 'demo',
    prefix,
    hash,
    at: systemClock.wallMs(),
  });
  return secret;
}

/** The provider that is at work on the large model, once its answer has begun. */
async function busyProvider({ market }: RunningMarket): Promise<string> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const busy = market.hub.candidates(LARGE).find((candidate) => candidate.inFlight > 0);
    if (busy) {
      // A third of a second into the answer, at a token every 40 ms.
      await pause(systemClock, 300);
      return busy.providerId;
    }
    await pause(systemClock, LOOK_MS);
  }
  throw new Refusal('No provider took the request that was to be cut off.');
}

/** Waits until what was served is in the ledger. */
async function settled({ market }: RunningMarket): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const { requests, promised, unpostedBytes } = market.underWay();
    if (requests === 0 && unpostedBytes === 0 && promised >= 0n) return;
    await pause(systemClock, LOOK_MS);
  }
}

/** A consumer is a program like others: HTTP, a key, and server-sent events. */
class Client {
  readonly url: string;
  readonly #key: Sealed<string>;
  readonly #other: string | undefined;

  constructor(url: string, key: Sealed<string>, other?: string) {
    this.url = url;
    this.#key = key;
    this.#other = other;
  }

  async post(address: string, body: object): Promise<Said> {
    const { statusCode, body: answer } = await request(`${this.url}${address}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.#other ?? this.#key.open()}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    });
    return read(statusCode, await answer.text());
  }
}

interface Said {
  readonly status: number;
  /** The answer's text, or what a stream's events add up to. */
  readonly text: string;
  readonly events: number;
  readonly done: boolean;
  readonly vectors: number;
  readonly error: string | undefined;
}

function read(status: number, body: string): Said {
  const events = body.startsWith('{')
    ? [body]
    : [...body.matchAll(/^data: (.*)$/gm)].map((match) => match[1] ?? '');
  let text = '';
  let error: string | undefined;
  let vectors = 0;
  for (const event of events) {
    if (event === '[DONE]') continue;
    const { choices = [], data = [], error: told } = JSON.parse(event) as Answer;
    text += choices[0]?.message?.content ?? choices[0]?.delta?.content ?? '';
    vectors += data.length;
    error = told?.message ?? error;
  }
  return { status, text, events: events.length, done: events.at(-1) === '[DONE]', vectors, error };
}

interface Answer {
  choices?: { message?: { content?: string }; delta?: { content?: string } }[];
  data?: unknown[];
  error?: { message: string };
}
