import type { Model } from '#domain/model.ts';
import type { Operation } from '#domain/operation.ts';
import { type Price, priceOf } from '#domain/price.ts';
import type { Try, TryResult } from '#domain/serving.ts';
import { tierOfPlan } from '#domain/tier.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { Randomness } from '#kit/random.ts';
import { DEMO_PROVIDERS, type DemoConsumer, type DemoProvider } from './demo-cast.ts';

/**
 * What is asked on one day of the demo month. Pure: the same chance gives the same day. Requests follow the hours (few at
 * night, most in the afternoon), the week (firms rest) and a market that grows; who serves follows what each provider
 * brings, and whoever is away that hour serves nothing.
 */
export interface DemoDay {
  /** Wall milliseconds of its beginning and its end; the last day of a month that runs ends before midnight. */
  readonly from: number;
  readonly until: number;
  /** 0 is the first day of the month. */
  readonly number: number;
  /** Requests of a whole average day. */
  readonly requests: number;
}

/** A trouble of one model at one provider: what became an incident. */
export interface DemoTrouble {
  readonly modelId: string;
  readonly provider: string;
  readonly from: number;
  readonly until: number;
}

export interface DemoMarket {
  readonly consumers: readonly (DemoConsumer & { consumerId: string; keyIds: readonly string[] })[];
  readonly providerIds: ReadonlyMap<string, string>;
  readonly nodeIds: ReadonlyMap<string, readonly string[]>;
  readonly modelOf: (id: string) => Model;
  readonly priceAt: (modelId: string, at: number) => Price;
  readonly troubles: readonly DemoTrouble[];
  readonly policy: string;
  readonly makeId: (prefix: string) => string;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Share of the day's requests by hour, UTC. */
const HOURS = [2, 2, 1, 1, 1, 2, 3, 5, 7, 8, 8, 8, 7, 8, 9, 9, 8, 6, 5, 4, 4, 3, 3, 2];
const HOURS_TOTAL = HOURS.reduce((sum, each) => sum + each, 0);

/** The requests of a day in the order of time. */
export function demoTraffic(day: DemoDay, market: DemoMarket, random: Randomness): UsageRecord[] {
  const weekend = [0, 6].includes(new Date(day.from).getUTCDay());
  const grown = 0.65 + (0.7 * day.number) / 30;
  const records: UsageRecord[] = [];
  const weights = market.consumers.reduce((sum, { weight }) => sum + weight, 0);
  for (let at = day.from; at < day.until; at += HOUR_MS) {
    const hour = new Date(at).getUTCHours();
    for (const consumer of market.consumers) {
      const rest = weekend && !consumer.alwaysOn ? 0.25 : 1;
      const expected =
        (day.requests * grown * rest * consumer.weight * (HOURS[hour] ?? 0)) / (weights * HOURS_TOTAL);
      const part = Math.min(1, (day.until - at) / HOUR_MS);
      const count = Math.floor(expected * part * (0.7 + 0.6 * random.float()) + random.float());
      for (let n = 0; n < count; n++) {
        const moment = Math.floor(at + random.float() * part * HOUR_MS);
        records.push(demoRequest(consumer, moment, market, random));
      }
    }
  }
  return records.toSorted((a, b) => a.at - b.at);
}

/** Whether a provider is there in an hour: the same answer for whoever asks, so that sessions and requests agree. */
export function isThere(provider: DemoProvider, at: number): boolean {
  const away = DEMO_PROVIDERS.find(({ name }) => name === provider.standsInFor);
  return isUp(provider, at) || (away !== undefined && !isUp(away, at));
}

function isUp(provider: DemoProvider, at: number): boolean {
  const hour = Math.floor(at / HOUR_MS);
  const index = DEMO_PROVIDERS.indexOf(provider) + 1;
  // Any fixed mixing of hour and provider.
  const mixed = Math.imul(hour ^ (index * 0x9e3779b1), 0x85ebca6b) >>> 0;
  return mixed / 0x1_0000_0000 < provider.uptime;
}

function demoRequest(
  consumer: DemoMarket['consumers'][number],
  at: number,
  market: DemoMarket,
  random: Randomness,
): UsageRecord {
  const modelId = oneOf(Object.entries(consumer.taste), random);
  const model = market.modelOf(modelId);
  const price = market.priceAt(modelId, at);
  const serving = DEMO_PROVIDERS.filter((each) => each.models.includes(modelId) && isThere(each, at));
  const provider =
    serving.length === 0
      ? undefined
      : oneOf(
          serving.map((each) => [each, each.weight]),
          random,
        );
  const operation = OPERATION_OF[model.category] ?? 'chat/completions';
  const sized = (usual: number): number =>
    Math.max(1, Math.round(usual * (0.35 + 1.1 * random.float() ** 1.6)));
  const inputTokens = model.category === 'image' ? 0 : Math.min(sized(consumer.inputTokens), 120_000);
  const answers = model.category === 'llm' || model.category === 'multimodal';
  const outputTokens = answers ? Math.min(sized(consumer.outputTokens), 16_000) : 0;
  const units = model.category === 'image' ? 1 + Math.floor(random.float() * 3) : 0;
  const id = market.makeId('req');
  const keyId = consumer.keyIds[random.float() < 0.7 ? 0 : consumer.keyIds.length - 1] as string;
  const common = {
    id,
    at,
    consumerId: consumer.consumerId,
    keyId,
    modelId,
    operation,
    seconds: 0,
    priceId: price.id,
    policy: market.policy,
  };
  const served = { tier: tierOfPlan(consumer.plan), fallback: null };
  if (!provider) {
    return {
      ...common,
      ...NOTHING,
      outcome: 'failed',
      serving: { ...served, queueMs: null, region: null, tries: [], whose: 'platform' },
      errorCode: 'model-without-provider',
      totalMs: 4 + random.float() * 20,
    };
  }
  const inTrouble = market.troubles.some(
    (each) =>
      each.modelId === modelId && each.provider === provider.name && at >= each.from && at < each.until,
  );
  const nodes = market.nodeIds.get(provider.name) ?? [];
  const peak = 1 + 0.5 * Math.sin((Math.PI * (new Date(at).getUTCHours() - 6)) / 16);
  const slow = (inTrouble ? 4.5 : 1) * Math.max(0.8, peak);
  const ttftMs = provider.ttftMs * slow * (0.6 + 0.9 * random.float() ** 2) + inputTokens / 160;
  const generationMs = answers
    ? (outputTokens / provider.tokensPerS) * 1_000 * (0.8 + 0.5 * random.float())
    : 0;
  const place = {
    providerId: market.providerIds.get(provider.name) as string,
    nodeId: nodes[Math.floor(random.float() * nodes.length)] ?? null,
    attemptId: market.makeId('att'),
    mode: 'websocket' as const,
    streamed: answers && random.float() < 0.8,
    // A retry on another provider saved what the first one failed.
    attempts: random.float() < provider.failureRate ? 2 : 1,
  };
  const queueMs = 1 + ttftMs / 200;
  const other = place.attempts === 2 ? serving.find((each) => each !== provider) : undefined;
  const lostMs = other ? 40 + 400 * random.float() : 0;
  /** The attempts, the last of which was the one that counted. */
  const tries = (result: TryResult, totalMs: number): Try[] => [
    ...(other
      ? [
          {
            attemptId: market.makeId('att'),
            modelId,
            providerId: market.providerIds.get(other.name) as string,
            nodeId: market.nodeIds.get(other.name)?.[0] ?? '',
            mode: place.mode,
            region: other.region,
            result: 'failed' as const,
            startedMs: queueMs,
            tookMs: lostMs,
          },
        ]
      : []),
    {
      attemptId: place.attemptId,
      modelId,
      providerId: place.providerId,
      nodeId: place.nodeId ?? '',
      mode: place.mode,
      region: provider.region,
      result,
      startedMs: queueMs + lostMs,
      tookMs: Math.max(1, totalMs - queueMs - lostMs),
    },
  ];
  const here = { ...served, queueMs, region: provider.region };
  const fate = random.float();
  if (fate < (inTrouble ? TROUBLE_FAILS : provider.failureRate * SEEN)) {
    const cut = Math.floor(outputTokens * random.float());
    const began = answers && cut > 0;
    const totalMs = began ? ttftMs + generationMs / 2 : 30_000;
    return {
      ...common,
      ...NOTHING,
      ...place,
      outcome: began ? 'broken' : 'failed',
      errorCode: began ? 'provider-cut-off' : 'provider-too-slow',
      inputTokens,
      outputTokens: cut,
      ttftMs: began ? ttftMs : null,
      totalMs,
      serving: { ...here, tries: tries(began ? 'lost' : 'slow', totalMs), whose: 'provider' },
    };
  }
  const cancelled = answers && fate > 0.985;
  const delivered = cancelled ? Math.ceil(outputTokens * random.float()) : outputTokens;
  const usage = { inputTokens, outputTokens: delivered, units };
  const totalMs = ttftMs + generationMs * (cancelled ? delivered / Math.max(1, outputTokens) : 1) + 20;
  return {
    ...common,
    ...place,
    ...usage,
    outcome: cancelled ? 'cancelled' : 'completed',
    errorCode: cancelled ? 'client-left' : null,
    claimedInputTokens: inputTokens,
    claimedOutputTokens: delivered,
    events: place.streamed ? delivered + 2 : 1,
    bytes: 400 + delivered * 5,
    ttftMs,
    totalMs,
    serving: {
      ...here,
      tries: tries(cancelled ? 'left' : 'served', totalMs),
      whose: cancelled ? 'caller' : null,
    },
    charge: priceOf(usage, price),
  };
}

/** Of the requests to a provider in trouble, how many fail. */
const TROUBLE_FAILS = 0.5;
/** Of the attempts that fail, how many nobody could make good: those that broke after the first token. */
const SEEN = 0.02;

const OPERATION_OF: Partial<Record<Model['category'], Operation>> = {
  image: 'images/generations',
  embedding: 'embeddings',
};

const NOTHING = {
  providerId: null,
  nodeId: null,
  attemptId: null,
  mode: null,
  streamed: false,
  inputTokens: 0,
  outputTokens: 0,
  units: 0,
  claimedInputTokens: null,
  claimedOutputTokens: null,
  events: 0,
  bytes: 0,
  attempts: 1,
  ttftMs: null,
  charge: 0n,
} as const;

function oneOf<T>(weighted: readonly (readonly [T, number])[], random: Randomness): T {
  let left = random.float() * weighted.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [each, weight] of weighted) {
    left -= weight;
    if (left < 0) return each;
  }
  return (weighted.at(-1) as readonly [T, number])[0];
}

/** The days of the month that ends now. */
export function demoDays(nowMs: number, days: number, requests: number): DemoDay[] {
  const first = Math.floor(nowMs / DAY_MS) - days + 1;
  return Array.from({ length: days }, (_, number) => {
    const from = (first + number) * DAY_MS;
    return { from, until: Math.min(from + DAY_MS, nowMs), number, requests };
  });
}
