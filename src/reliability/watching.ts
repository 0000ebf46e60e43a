import type { Database } from '#db/database.ts';
import type { Once } from '#db/round-terms.ts';
import type { Category, Model } from '#domain/model.ts';
import type { Pico } from '#domain/money.ts';
import type { TierName } from '#domain/tier.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { NetworkRules } from '#hub/external/endpoint-url.ts';
import type { Hub } from '#hub/hub.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Rounds } from '#kit/rounds.ts';
import type { Book } from '#ledger/book.ts';
import type { Candidate } from '#routing/candidate.ts';
import { errorRow } from '#wire/errors.ts';
import { BURN_RULES } from './burn-alerts.ts';
import { BurnBook } from './burn-book.ts';
import { BurnWatch } from './burn-watch.ts';
import { freezesSince, isInForce } from './change-freeze.ts';
import { IncidentBook } from './incident-book.ts';
import { IncidentWatch } from './incident-watch.ts';
import { LiveSignals, type PoolMember } from './live-signals.ts';
import type { GaugeReading } from './metrics.ts';
import { type NoticeSettings, Notices } from './notices.ts';
import type { ObjectivesOf } from './objectives.ts';
import { fillAllowance, ProbeBook } from './probe-book.ts';
import { ProbeDoor } from './probe-door.ts';
import { ProbeLead } from './probe-lead.ts';
import { type LastProbe, Probes } from './probes.ts';

/** How often components are judged, and how often it is seen to that probes can pay. */
const LOOK_EVERY_MS = 10_000;
const ALLOWANCE_EVERY_MS = 3_600_000;
/** How often it is asked who has a contract, and how often it is said that there is no room to watch somebody. */
const CONTRACTS_EVERY_MS = 60_000;
const DROPPED_TOLD_MS = 3_600_000;

export interface WatchSettings extends NoticeSettings {
  readonly probes: boolean;
  /** Somebody else in the house asks through the door of probes: it is opened, and paid for, whether there are any or not. */
  readonly doorForOthers: boolean;
  readonly probePauseMs: { readonly least: number; readonly most: number };
  /** What probes may cost the platform a day. */
  readonly probesDaily: Pico;
}

/** Everything that watches an open market: live signals, probes, incidents and their notices. */
export interface Watching {
  readonly incidents: IncidentWatch;
  readonly book: IncidentBook;
  /** The region of each provider that could serve a model now; `''` where it is not known. */
  readonly readyRegions: (modelId: string) => string[];
  readonly door: ProbeDoor;
  /** What the last probe of a candidate found; undefined when none said anything of it. */
  lastProbeOf(candidate: Candidate): LastProbe | undefined;
  readonly gauges: readonly GaugeReading[];
  /** How many probes of a model ended so since the start. */
  probed(modelId: string, kind: 'door' | 'straight', verdict: 'ok' | 'failed' | 'neutral'): number;
  served(record: UsageRecord, about: { tier: TierName; region: string | null }): void;
  refused(about: { consumerId: string; modelId: string; tier: TierName; code: string }): void;
  /** The public door is open: probing begins. */
  opened(door: { host: string; port: number; tls: boolean }): void;
  /** This process leaves: that its agents do, too, is no outage, and nobody looks any more. */
  leave(): void;
  close(): Promise<void>;
}

export function openWatching(parts: {
  settings: WatchSettings;
  database: Database;
  clock: Clock;
  /** Measures how long a probe's answer takes. */
  stopwatch: Clock;
  random: Randomness;
  ids: IdMaker;
  log: Logger;
  hub: Hub;
  models: { resolve(name: string): Model | undefined };
  book: Pick<Book, 'balance' | 'grant'>;
  rules: NetworkRules;
  shutOut: (candidate: Candidate, modelId: string) => void;
  objectives: ObjectivesOf;
  passed: (candidate: Candidate) => void;
  once: Once;
  /** Names this process. */
  instance: string;
  /** There may be other gateways. */
  shared: boolean;
  /** Who has a contract now, and the share of its requests that must succeed. */
  contracts: () => Promise<ReadonlyMap<string, number>>;
}): Watching {
  const { settings, database, clock, random, log, hub, models } = parts;
  const about = { nowMs: () => clock.nowMs(), blameOf: errorRow, objectives: parts.objectives };
  const signals = new LiveSignals(about);
  const burn = new BurnWatch(about);
  const book = new IncidentBook(database);
  const pool = (modelId: string): PoolMember[] =>
    hub
      .candidates(modelId)
      .filter(({ eligible }) => eligible)
      .map(poolMember);
  const incidents = new IncidentWatch({
    clock,
    log,
    makeId: parts.ids,
    book,
    signals,
    burn,
    declaredFreezes: async (atMs) =>
      (await freezesSince(database.sql, atMs))
        .filter((each) => isInForce(each, atMs))
        .map(({ words }) => words),
    models: () => hub.registry.models(),
    pool,
    standInOf: (modelId) => models.resolve(modelId)?.standIn,
  });
  const burns = new BurnBook({ database, makeId: parts.ids });
  const notices = new Notices({ book, burns, clock, log, settings, rules: parts.rules });
  let contractsReadMs = Number.NEGATIVE_INFINITY;
  let droppedToldMs = Number.NEGATIVE_INFINITY;
  const hearContracts = async (): Promise<void> => {
    const nowMs = clock.nowMs();
    if (nowMs - contractsReadMs >= CONTRACTS_EVERY_MS) {
      burn.contracted(await parts.contracts());
      contractsReadMs = nowMs;
    }
    if (nowMs - droppedToldMs < DROPPED_TOLD_MS) return;
    const dropped = burn.takeDropped();
    if (dropped.length === 0) return;
    droppedToldMs = nowMs;
    log.warn({ such: dropped }, 'More groups than are watched by themselves: their tier alone counts them.');
  };
  const looking = new Rounds(clock, {
    periodMs: LOOK_EVERY_MS,
    work: async () => {
      await hearContracts();
      await incidents.look();
      await burns.note(incidents.alerts, clock.wallMs());
      await notices.tell();
    },
    failed: (error) => log.warn({ err: error }, 'Incidents could not be looked at; the last posture holds.'),
  });
  const door = new ProbeDoor({ clock: parts.stopwatch, random });
  const probeBook = new ProbeBook(database);
  let probes: Probes | undefined;
  const lead = new ProbeLead({
    database,
    clock,
    log,
    once: settings.probes ? parts.once : async () => false,
    instance: parts.instance,
    shared: parts.shared && settings.probes,
    heard: (finding) => probes?.hear(finding),
  });
  const rounds: Rounds[] = [looking];
  const unpaid = (error: unknown): void =>
    log.warn({ err: error }, 'The allowance for probes could not be given.');
  const pay = async (): Promise<void> =>
    await fillAllowance(parts.book, { daily: settings.probesDaily, atMs: clock.wallMs() });
  const leave = (): void => {
    probes?.close();
    lead.leave();
    void looking.close();
  };
  return {
    incidents,
    book,
    readyRegions: (modelId) => [
      ...new Map(
        pool(modelId)
          .filter(({ ready }) => ready)
          .map(({ providerId, region }) => [providerId, region]),
      ).values(),
    ],
    door,
    lastProbeOf: (candidate) => probes?.lastOf(candidate),
    gauges: watchGauges(incidents, burn, () => probes),
    probed: (...which) => probes?.countOf(...which) ?? 0,
    served: (record, { tier, region }) => {
      signals.served(record, { tier, region });
      const { errorCode: code, modelId, consumerId } = record;
      burn.note({ tier, code, modelId, region, consumerId });
    },
    refused: ({ modelId, tier, code, consumerId }) => {
      signals.refused({ modelId, code });
      burn.note({ tier, code, modelId, consumerId });
    },
    opened: (at) => {
      if (!settings.probes && !settings.doorForOthers) return;
      door.opened(at);
      void pay().catch(unpaid);
      rounds.push(new Rounds(clock, { periodMs: ALLOWANCE_EVERY_MS, work: pay, failed: unpaid }));
      if (!settings.probes) return;
      void lead.look().catch((error: unknown) => log.warn({ err: error }, 'Probing begins a moment later.'));
      probes = new Probes({
        clock,
        random,
        log,
        models: () => [...hub.registry.models()].filter((id) => PROBED.has(models.resolve(id)?.category)),
        candidates: (modelId) => hub.candidates(modelId),
        ask: (modelId, ...question) =>
          models.resolve(modelId)?.category === 'embedding'
            ? door.askVectors(modelId, ...question)
            : door.ask(modelId, ...question),
        signals,
        keep: (found) => probeBook.note(clock.wallMs(), found),
        shutOut: parts.shutOut,
        passed: parts.passed,
        leads: () => lead.leads,
        tell: (finding) => lead.tell(finding),
        pauseMs: settings.probePauseMs,
      });
      rounds.push(
        new Rounds(clock, {
          periodMs: LOOK_EVERY_MS,
          work: () => probeBook.keepAll(),
          failed: (error) => log.warn({ err: error }, 'What probes found could not be kept; it waits.'),
        }),
      );
    },
    leave,
    close: async () => {
      leave();
      await Promise.all([...rounds.map((each) => each.close()), lead.close()]);
      await door.close();
      await notices.close();
    },
  };
}

/** What can be asked in a few tokens. A picture or a recording costs too much to ask for each minute. */
const PROBED: ReadonlySet<Category | undefined> = new Set<Category>(['llm', 'multimodal', 'embedding']);

function poolMember(candidate: Candidate): PoolMember {
  const { region, providerId, draining, health, breaker } = candidate;
  const ready = !draining && health !== 'unhealthy' && breaker.state !== 'open';
  return { region: region ?? '', providerId, ready };
}

/** What is shown of the watch at `/metrics`. Labels are bounded by the catalogue and by how many groups are watched. */
export function watchGauges(
  incidents: IncidentWatch,
  burn: BurnWatch,
  probes: () => Probes | undefined,
): GaugeReading[] {
  return [
    {
      name: 'cygnet_incidents_open',
      help: 'Incidents that are not over, by how bad they are.',
      labels: ['severity'],
      *read() {
        for (const severity of ['minor', 'major', 'critical'])
          yield [{ severity }, incidents.open.filter((each) => each.severity === severity).length];
      },
    },
    {
      name: 'cygnet_burn_alerts',
      help: '1 for each error budget that burns, of a tier (empty labels), a model or a region of it, by the rule that says so.',
      labels: ['tier', 'model', 'region', 'rule'],
      *read() {
        for (const { tier, modelId: model, region, consumerId, rule } of incidents.alerts)
          if (consumerId === '') yield [{ tier, model, region, rule: rule.name }, 1];
      },
    },
    {
      name: 'cygnet_burn_alerts_of_consumers',
      help: 'Consumers with a contract whose error budget burns, by the rule that says so.',
      labels: ['rule'],
      *read() {
        const counts = new Map(BURN_RULES.map(({ name }) => [name, 0]));
        for (const { consumerId, rule } of incidents.alerts)
          if (consumerId !== '') counts.set(rule.name, (counts.get(rule.name) ?? 0) + 1);
        for (const [rule, count] of counts) yield [{ rule }, count];
      },
    },
    {
      name: 'cygnet_burn_groups',
      help: 'Models with their regions, and consumers with a contract, whose error budget is watched by itself.',
      labels: ['kind'],
      *read() {
        for (const { kind, watched } of burn.sizes()) yield [{ kind }, watched];
      },
    },
    {
      name: 'cygnet_burn_requests_dropped',
      help: 'Requests since the start of groups that there was no room to watch by themselves.',
      labels: ['kind'],
      *read() {
        for (const { kind, dropped } of burn.sizes()) yield [{ kind }, dropped];
      },
    },
    {
      name: 'cygnet_freeze',
      help: '1 while changes to the market should wait.',
      labels: [],
      read: () => [[{}, incidents.posture.freeze ? 1 : 0]],
    },
    {
      name: 'cygnet_probes',
      help: 'Probes that this process made since the start, through the public door and straight to a candidate.',
      labels: ['model', 'kind', 'verdict'],
      read: () => probes()?.counts() ?? [],
    },
  ];
}
