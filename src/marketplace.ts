import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { LikenessBook } from '#benchmark/likeness/book.ts';
import { openBenchmarks } from '#benchmark/open.ts';
import { type BenchmarkSettings, DEFAULT_BENCHMARK_SETTINGS } from '#benchmark/settings.ts';
import { isAsked } from '#benchmark/tasks/paper.ts';
import { TurnBook } from '#benchmark/turn-book.ts';
import { CatalogueView } from '#catalogue/models.ts';
import { PriceProposals } from '#catalogue/price-proposals.ts';
import { priceHistory } from '#catalogue/prices.ts';
import { ReservationView } from '#catalogue/reservations.ts';
import { TierView } from '#catalogue/tiers.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import { type Config, lifeTerms, type StrategyName } from '#config/config.ts';
import { type Database, openDatabase } from '#db/database.ts';
import { type Once, RoundTerms } from '#db/round-terms.ts';
import type { Pico } from '#domain/money.ts';
import { SPLIT_POLICIES, type SplitPolicy } from '#domain/policy.ts';
import { PROBER } from '#domain/prober.ts';
import { monthName, monthOf } from '#domain/window.ts';
import { auditFunds } from '#funds/audit.ts';
import { type Funds, openFunds, openFundsRounds } from '#funds/open.ts';
import { PlanPurses } from '#funds/plan-purses.ts';
import { slashLadder } from '#funds/slash.ts';
import { openStrangers, payoutsHeldBy, resolveStranger, type Stranger } from '#funds/strangers.ts';
import { trialOf } from '#funds/trial.ts';
import { BodyPool } from '#gateway/body-pool.ts';
import { ClientAddresses } from '#gateway/client-address.ts';
import { liveSources } from '#gateway/console/events.ts';
import { SharedTries } from '#gateway/console/shared-tries.ts';
import { MemoryTries } from '#gateway/console/tries.ts';
import { openDashboard } from '#gateway/dashboard.ts';
import { DebugLog } from '#gateway/debug-log.ts';
import { MemoryLimits } from '#gateway/limits.ts';
import { LiveEvents } from '#gateway/live-events.ts';
import { LoopGuard } from '#gateway/loop-guard.ts';
import { MemoryQuotas, type Quotas } from '#gateway/plan-quotas.ts';
import { PLAYGROUND } from '#gateway/playground.ts';
import { openRecounter, type Recounter } from '#gateway/recount.ts';
import { ReservedPlaces } from '#gateway/reserved-places.ts';
import { type Gateway, type Health, openGateway } from '#gateway/server.ts';
import { settleRecount } from '#gateway/settle-recount.ts';
import { SharedCaps } from '#gateway/shared-caps.ts';
import { SharedLimits } from '#gateway/shared-limits.ts';
import { SharedQuotas } from '#gateway/shared-quotas.ts';
import { CappedHolds, MemoryCaps, type SpendCaps } from '#gateway/spend-caps.ts';
import { WaitingRoom } from '#gateway/waiting-room.ts';
import { DEFAULT_ADMISSION } from '#hub/admission.ts';
import { Dispatcher, type PickNext } from '#hub/dispatch.ts';
import { ExternalFleet, networkRules } from '#hub/external/fleet.ts';
import { Gatherer } from '#hub/gather.ts';
import { Hub } from '#hub/hub.ts';
import type { Standings as HubStandings } from '#hub/ports.ts';
import { HubServer } from '#hub/server.ts';
import { ServiceBook } from '#hub/service-book.ts';
import { WarmUps } from '#hub/warm-up.ts';
import { Accounts } from '#identity/accounts.ts';
import { ConsumerDesk } from '#identity/consumer-desk.ts';
import { createConsumer } from '#identity/consumers.ts';
import { DebugBook } from '#identity/debug-book.ts';
import { EndpointBook } from '#identity/endpoint-book.ts';
import { EndpointDesk } from '#identity/endpoint-desk.ts';
import { KeyDesk } from '#identity/key-desk.ts';
import { KeyRing } from '#identity/key-ring.ts';
import { NodeBook } from '#identity/node-book.ts';
import { OperatorLog } from '#identity/operator-log.ts';
import { Passwords } from '#identity/passwords.ts';
import { ProviderBook } from '#identity/provider-book.ts';
import { ProviderDesk } from '#identity/provider-desk.ts';
import { activeProviders } from '#identity/providers.ts';
import { SecondFactors } from '#identity/second-factors.ts';
import { secretBox } from '#identity/secret-file.ts';
import { SessionBook } from '#identity/session-book.ts';
import { atMost, type Clock, pause } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import { packageRoot, packageVersion } from '#kit/package-root.ts';
import type { Randomness } from '#kit/random.ts';
import { RetryBudget } from '#kit/retry.ts';
import { Rounds } from '#kit/rounds.ts';
import { TlsFiles } from '#kit/tls-files.ts';
import { Book } from '#ledger/book.ts';
import { ConsumerReading } from '#ledger/consumer-reading.ts';
import { lockFolder } from '#ledger/folder-lock.ts';
import { Holds } from '#ledger/holds.ts';
import { Journal } from '#ledger/journal.ts';
import { openJournalDisk } from '#ledger/journal-disk.ts';
import { hearRecalls, Leases } from '#ledger/leases.ts';
import { MarketReading } from '#ledger/market-reading.ts';
import { OutcomeTable } from '#ledger/outcome-table.ts';
import { Poster } from '#ledger/poster.ts';
import { RecentUsage } from '#ledger/recent-usage.ts';
import { RefusalLog } from '#ledger/refusal-log.ts';
import { RefusalTable } from '#ledger/refusal-table.ts';
import { aboutLink, Peers } from '#peers/peers.ts';
import { AttemptTable } from '#reliability/attempts.ts';
import { IncidentDesk } from '#reliability/incident-desk.ts';
import { marketGauges } from '#reliability/market-gauges.ts';
import { beginLife } from '#reliability/market-life.ts';
import type { GaugeReading } from '#reliability/metrics.ts';
import { objectivesOf } from '#reliability/objective-report.ts';
import { ObjectiveView } from '#reliability/objective-terms.ts';
import { openReliability } from '#reliability/open.ts';
import { refusalGauges } from '#reliability/refusal-gauges.ts';
import { type LastBatch, settlementGauges } from '#reliability/settlement-gauges.ts';
import { Standings } from '#reliability/standings.ts';
import { StatusReader } from '#reliability/status-reader.ts';
import { Traces } from '#reliability/traces.ts';
import { openWatching, type Watching } from '#reliability/watching.ts';
import { openRewards } from '#rewards/open.ts';
import { healthAware } from '#routing/strategies/health-aware.ts';
import { leastConnections } from '#routing/strategies/least-connections.ts';
import { byLatency, byPrice, byThroughput } from '#routing/strategies/measured.ts';
import { roundRobin } from '#routing/strategies/round-robin.ts';
import type { Strategy } from '#routing/strategies/strategy.ts';
import { auditMarket } from '#settlement/audit.ts';
import { type AuditRun, auditHolds, lastNightly, listAudits, noteAudit } from '#settlement/audit-runs.ts';
import type { SettlingByHand } from '#settlement/by-hand.ts';
import type { ClaimsDesk } from '#settlement/claims-desk.ts';
import { type AuditStanding, openNights, settlementFailed } from '#settlement/nights.ts';
import { openRewardSettlement, openSettlement, type SettlementRoom } from '#settlement/open.ts';
import { Line } from '#shared/line.ts';
import { Pots } from '#shared/pots.ts';
import { auditAgreements } from '#sla/audit.ts';
import { contractedShares } from '#sla/contracts.ts';
import { SlaDesk } from '#sla/desk.ts';
import { openSlaRounds, SLA_DEADLINE_MS } from '#sla/open.ts';
import { checkStatements } from '#statements/check.ts';
import {
  openStatements,
  openStatementsRounds,
  STATEMENTS_DEADLINE_MS,
  type Statements,
} from '#statements/open.ts';

/**
 * The whole market in one process: opens every room once, from one Config, and hands each what it needs. Rooms close in
 * the reverse order, in phases: no new work, then the answers under way, then the money, then the doors.
 *
 * What a life before left behind is settled before the first request: its journal is posted, and only then are its leases
 * released, so that money which was spent is never promised again.
 */
export async function openMarketplace(parts: MarketplaceParts): Promise<Marketplace> {
  const { config, database, clock, random, log, watchClock = clock } = parts;
  const ids = idMaker(clock, random);
  const closing: (() => Promise<void> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    // Of a database that does not answer, not every room shall hope for an answer by itself.
    database.hurry(ROOMS_LAST_WORDS_MS);
    for (const close of closing.toReversed()) {
      try {
        await close();
      } catch (error) {
        // A database that is away, most likely. What was served is in the journal; the other rooms close all the same.
        log.warn({ err: error }, 'A room could not be closed in order.');
      }
    }
  };
  try {
    const keys = await KeyRing.open({ database, clock, log });
    closing.push(() => keys.close());
    const providers = await ProviderBook.open({ database, clock, log });
    closing.push(() => providers.close());
    const catalogue = await CatalogueView.open({ database, clock, log });
    closing.push(() => catalogue.close());
    const tiers = await TierView.open({ database, clock, log });
    closing.push(() => tiers.close());
    const objectives = await ObjectiveView.open({ database, clock: watchClock, log });
    closing.push(() => objectives.close());
    const reservations = await ReservationView.open({ database, clock, log });
    closing.push(() => reservations.close());
    const box = secretBox(config, random);
    const factors = new SecondFactors({ database, box, clock, random });
    const debugBook = new DebugBook({ database, box });
    const debug = openDebugLog(parts, { book: debugBook, catalogue });
    closing.push(() => debug.close());
    const endpoints = await EndpointBook.open({ database, box, clock, log });
    closing.push(() => endpoints.close());

    const money = await openMoney(parts, ids);
    closing.push(() => money.close());
    const instance = instanceOf(config.dataFolder, ids);
    const terms = config.shared && new RoundTerms({ database, holder: instance, clock });
    closing.push(() => terms?.close());
    const once: Once = terms ? (name, work) => terms.take(name, work) : (_name, work) => work();
    const payouts = openPayouts(parts, once);
    closing.push(() => payouts.close());
    const fundsLog = log.child({ room: 'funds' });
    const funds = await openFunds({
      database,
      chain: parts.chain,
      settings: { ...config.funds, chainId: config.chain.chainId },
      policy: SPLIT_POLICIES[config.money.splitPolicy] as SplitPolicy,
      ladder: slashLadder(config.benchmarks.slashPercents),
      clock,
      random,
      makeId: ids,
      log: fundsLog,
    });
    const fundsRounds = openFundsRounds(funds, { clock, log: fundsLog, once });
    closing.push(() => fundsRounds.close());
    const statements = openPapers(parts, once);
    closing.push(() => statements.close());
    const agreements = openAgreements(parts, { collateral: funds.collateral, ids, once });
    closing.push(() => agreements.close());
    const reading = new MarketReading(database);
    const shared = await openShared(parts, instance);
    closing.push(() => shared?.close());
    const caps = await openCaps(keys, { reading, config, instance, shared, clock, log });
    const purses = await PlanPurses.open({ database, clock, log: fundsLog });
    closing.push(() => purses.close());
    const quotas: Quotas = shared
      ? new SharedQuotas({
          clock,
          purses,
          pots: shared.pots,
          requestMsMax: config.limits.requestTimeoutMs + REQUEST_SPARE_MS,
          read: (consumerId, window) => reading.coveredByInstance(consumerId, { ...window, own: instance }),
        })
      : await MemoryQuotas.open({ clock, purses, read: (window) => reading.covered(window) });

    const sessions = await SessionBook.open({
      database,
      clock,
      log: log.child({ room: 'identity' }),
      instance,
      heard: () => hub.registry.present(),
    });
    closing.push(() => sessions.close());
    const { slashPercents, ...held } = config.benchmarks;
    const benchmarkSettings = {
      ...DEFAULT_BENCHMARK_SETTINGS,
      ...held,
      ladder: slashLadder(slashPercents),
    };
    const benchmarkLog = log.child({ room: 'benchmark' });
    const { validMs } = benchmarkSettings;
    const turns = await TurnBook.open({
      database,
      clock,
      log: benchmarkLog,
      validMs,
      asks: (modelId) => {
        const model = catalogue.resolve(modelId);
        return model !== undefined && isAsked(model);
      },
    });
    closing.push(() => turns.close());
    const unlike = await LikenessBook.open({ database, clock, log: benchmarkLog });
    closing.push(() => unlike.close());
    const hub: Hub = new Hub(
      {
        clock,
        random,
        ids,
        log: log.child({ room: 'hub' }),
        keys,
        providers,
        nodes: new NodeBook({ database, clock, log: log.child({ room: 'identity' }) }),
        models: catalogue,
        sessions,
        standings: standingsOf(benchmarkSettings, { turns, unlike }),
        isRevoked: (keyId) => keys.isRevoked(keyId),
      },
      {
        registerDeadlineMs: config.hub.registerDeadlineMs,
        heartbeatTimeoutMs: config.hub.heartbeatTimeoutMs,
        generationCFrom: config.hub.generationCFrom,
        requestBytesMaxOld: config.hub.agentFrameBytesByGeneration.A,
        requestBytesMaxNew: config.hub.agentFrameBytesByGeneration.C,
        modelCapacityDefault: config.hub.perModelInFlight,
        linkCapacityDefault: config.hub.perLinkInFlight,
        messageBytesMax: config.hub.frameBytesMax,
        resultBytesMax: config.hub.frameBytesMax,
        streamBufferBytesMax: config.hub.streamBufferBytesMax,
        vramFloorGb: config.providers.minVramGb,
        unknownHardwareAllowed: config.providers.allowUnknownHardware,
      },
    );
    const life = lifeTerms(config);
    const benchmarks = openBenchmarks({
      database,
      clock,
      random,
      ids,
      log: benchmarkLog,
      hub,
      models: catalogue,
      collateral: funds.collateral,
      book: turns,
      unlike,
      askLike: (...question) => watching.door.ask(...question),
      settings: benchmarkSettings,
      terms: life,
      look: (providerId) => providers.look(providerId),
    });
    closing.push(() => benchmarks.close());
    const rewards = openRewardRounds(parts, payouts.rewards, hub, once);
    closing.push(() => rewards.close());
    const rules = networkRules(config.external.allowNetworks);
    const fleet = new ExternalFleet({
      clock,
      random,
      ids,
      log: log.child({ room: 'hub' }),
      hub,
      endpoints,
      models: catalogue,
      sessions,
      rules,
      marketName: box.marketName,
    });
    closing.push(() => fleet.close());
    const watching = openWatching({
      settings: {
        ...config.watch,
        doorForOthers: held.likeness !== 'off',
        mail:
          config.watch.mailTo === undefined
            ? undefined
            : { folder: path.join(config.dataFolder, 'mail'), to: config.watch.mailTo },
      },
      database,
      clock: watchClock,
      stopwatch: clock,
      random,
      ids,
      log: log.child({ room: 'reliability' }),
      hub,
      models: catalogue,
      book: money.book,
      rules,
      shutOut: (candidate, modelId) => service.shutOut(candidate, modelId),
      passed: (candidate) => service.passed(candidate),
      once,
      instance,
      shared: config.shared !== undefined,
      objectives: objectives.of,
      contracts: () => contractedShares(database.sql, monthName(monthOf(watchClock.wallMs()))),
    });
    closing.push(() => watching.close());
    const attempts = new AttemptTable({ database, clock, life: ids('life') });
    const standings = new Standings({
      clock,
      log: log.child({ room: 'reliability' }),
      attempts,
      providers: () => activeProviders(database),
      uptimes: (at) => rewards.book.uptimes(at),
      putBehind: (reasons) => hub.registry.putBehind(reasons),
    });
    closing.push(() => standings.close());
    const service = new ServiceBook({
      clock: watchClock,
      random,
      strategy: STRATEGIES[config.routing.strategy](),
      region: config.routing.region,
      candidates: (modelId) => hub.candidates(modelId),
      avoid: (modelId) => watching.incidents.postureOf(modelId)?.avoidRegions ?? NOWHERE,
      asked: (modelId) => warmUps?.asked(modelId),
      judged: (...attempt) => attempts.note(...attempt),
    });
    const warmUps = config.routing.warmUp
      ? new WarmUps({
          clock,
          log: log.child({ room: 'hub' }),
          // Each gateway keeps its own agents warm.
          candidates: (modelId) =>
            hub.candidates(modelId).filter((candidate) => hub.registry.isHere(candidate)),
          warmUp: (candidate, modelId) => hub.registry.warmUp(candidate, modelId),
          failed: (candidate, modelId) => service.warmUpFailed(candidate, modelId),
        })
      : undefined;
    closing.push(() => warmUps?.close());
    const reserved = new ReservedPlaces({
      clock,
      of: reservations.of,
      candidates: (modelId) => hub.candidates(modelId),
    });
    const pick: PickNext = (order, tried, last) =>
      order.to === undefined && reserved.keepsOut(order.modelId, order.consumerId)
        ? { none: 'providers-busy' }
        : service.pick(order, tried, last);
    const windowMs = config.routing.embeddingsWindowMs;
    const gatherer =
      windowMs > 0
        ? new Gatherer({
            clock,
            ids,
            settings: { windowMs },
            hold: (candidate, modelId) => hub.registry.holdPlace(candidate, modelId),
          })
        : undefined;
    const dispatcher = new Dispatcher(
      {
        clock,
        ids,
        random,
        log: log.child({ room: 'dispatch' }),
        retryBudget: new RetryBudget(config.routing.retryBudget),
        pick,
        linkOf: (candidate) => {
          const link = hub.linkOf(candidate);
          return link && gatherer ? gatherer.over(candidate, link) : link;
        },
        outcomes: service,
      },
      {
        retriesMax: config.routing.retriesMax,
        backoff: config.routing.backoff,
        firstTokenDeadlineMs: config.hub.firstTokenDeadlineMs,
        gapDeadlineMs: config.hub.gapDeadlineMs,
        requestDeadlineMs: config.limits.requestTimeoutMs,
        wheelMs: 100,
      },
    );

    if (config.playground.enabled) {
      const { ownerId: id, name } = PLAYGROUND;
      await createConsumer(database, { id, name, at: clock.wallMs() });
    }
    if (config.watch.probes) {
      const { ownerId: id, name } = PROBER;
      await createConsumer(database, { id, name, at: clock.wallMs() });
    }
    const refusals = new RefusalLog({
      table: new RefusalTable(database, config.money.outcomeDays),
      clock,
      log: log.child({ room: 'gateway' }),
    });
    closing.push(() => refusals.close());
    const usage = new RecentUsage(database, refusals);
    const waiting = new WaitingRoom({
      clock,
      tiers: tiers.of,
      withRoom: (modelId) => reserved.withRoom(modelId),
    });
    const lifeId = ids('life');
    const signs = await beginLife({
      database,
      clock,
      log: log.child({ room: 'reliability' }),
      life: lifeId,
    });
    closing.push(() => signs.close());
    const reliability = openReliability({
      database,
      clock: watchClock,
      log: log.child({ room: 'reliability' }),
      life: lifeId,
      gauges: [
        ...marketGauges({ clock, hub, dispatcher, money, gathered: gatherer?.counts }),
        ...refusalGauges(refusals),
        ...watching.gauges,
        auditGauge(() => payouts.standing()),
        ...(shared ? sharedGauges(shared.line) : []),
        ...settlementGauges({ wallMs: () => clock.wallMs(), last: () => payouts.lastBatch() }),
      ],
    });
    closing.push(() => reliability.close());
    const traces =
      config.watch.traces &&
      new Traces({ settings: config.watch.traces, clock, log: log.child({ room: 'reliability' }) });
    closing.push(() => traces?.close());
    const bodies = new BodyPool({ clock, limits: config.limits });
    closing.push(() => bodies.close());
    const recounter: Recounter = openRecounter({
      clock,
      onResult: (found) =>
        settleRecount(found, {
          recordOf: (...which) => hub.registry.recordOf(...which),
          journal: money.journal,
          caps,
          clock,
          log,
        }),
    });
    closing.push(() => recounter.close());

    const limits = shared
      ? new SharedLimits({ ...shared, settings: config.limits, tiers: tiers.of, clock })
      : new MemoryLimits(config.limits, tiers.of);
    if (limits instanceof SharedLimits) closing.push(() => limits.close());
    const tls = openTls(config, { clock, log });
    closing.push(() => tls.forEach((files) => files.close()));
    const [gatewayTls, hubTls] = tls;
    const addresses = new ClientAddresses(config.access.trustedProxies);
    let phase: 'starting' | 'open' | 'leaving' = 'starting';
    const hubServer = await HubServer.open(hub, {
      clock,
      tls: hubTls,
      addressOf: (request) => addresses.of(request) || 'unknown',
      settings: {
        host: config.host,
        port: config.hubPort,
        linksMax: config.hubLinksMax,
        admission: {
          ...DEFAULT_ADMISSION,
          // Behind a crowd of addresses none is forgotten that has a link.
          addressesMax: Math.max(DEFAULT_ADMISSION.addressesMax, 2 * config.hubLinksMax),
          burst: config.hub.upgradeBurst,
          everyMs: config.hub.upgradePerSeconds * 1_000,
        },
      },
    });
    const peers = shared && (await openPeers(parts, { hub, shared, instance, ids }));
    const own = new ConsumerReading(database, refusals);
    const providerDesk = new ProviderDesk(database);
    const incidents = new IncidentDesk(database);
    const accounts = new Accounts({
      database,
      clock,
      makeId: ids,
      randomness: random,
      passwords: new Passwords(random),
      factors,
      life,
      sessionMs: config.access.sessionMs,
    });
    const live = new LiveEvents({
      clock,
      log: log.child({ room: 'console' }),
      sources: liveSources({
        clock,
        accounts,
        own,
        registry: hub.registry,
        incidents,
        claims: payouts.desk,
        providerDesk,
        funds,
        audits: payouts.audits,
      }),
    });
    closing.push(() => live.close());
    const gateway = await openGateway(
      {
        inference: {
          clock,
          ids,
          log: log.child({ room: 'gateway' }),
          settings: {
            policy: config.money.splitPolicy,
            outputTokensMax: config.limits.outputTokensMax,
            inputTokensMax: config.limits.inputTokensMax,
            outputTokensDefault: Math.min(4_096, config.limits.outputTokensMax),
            recountBytesMax: 262_144,
            gathers: gatherer !== undefined,
            region: config.routing.region,
          },
          keys: { find: (secret) => watching.door.knows(secret) ?? keys.find(secret) },
          models: catalogue,
          limits,
          traced: traces !== undefined,
          tiers: tiers.of,
          reserved,
          holds: new CappedHolds(money.holds, caps),
          quotas,
          journal: money.journal,
          dispatcher,
          pick,
          isQuarantined: (order) => service.isQuarantined(order),
          waiting,
          recounter,
          served: (record, about) => {
            usage.note(record);
            const { candidate, tier, queueMs, trace } = about;
            if (trace) traces?.note(record, trace);
            // What the market asks itself says nothing of what others get.
            if (record.consumerId === PROBER.ownerId) return;
            const region = candidate?.region ?? null;
            reliability.served(record, { tier, region, queueMs });
            watching.served(record, { tier, region });
          },
          refused: (about) => {
            if (about.consumerId === PROBER.ownerId) return;
            reliability.refused(about);
            watching.refused(about);
          },
          refusals,
          posture: watching.incidents.postureOf,
        },
        bodies,
        debug: debug.log,
        loops: new LoopGuard(box.marketNames),
        bodyBytesMax: config.limits.bodyBytesMax,
        dashboard: openDashboard(path.join(packageRoot(), 'dist', 'dashboard')),
        version: packageVersion(),
        usage,
        playground: config.playground,
        recordingBytesMax: config.limits.recordingBytesMax,
        bodiesBytesMax: config.limits.bodiesBytesMax,
        models: catalogue,
        providersOf: (modelId) => hub.candidates(modelId).filter((candidate) => candidate.eligible).length,
        console: {
          clock,
          ids,
          log: log.child({ room: 'console' }),
          tries: shared
            ? new SharedTries({ line: shared.line, clock, log: log.child({ room: 'console' }) })
            : new MemoryTries(clock),
          accounts,
          factors,
          debugBook,
          operatorLog: new OperatorLog({ database, clock, makeId: ids }),
          keyDesk: new KeyDesk({ database, clock, makeId: ids, randomness: random }),
          providerDesk,
          external: {
            desk: new EndpointDesk({ database, box }),
            fleet,
            rules,
            look: (id) => endpoints.look(id),
          },
          reading,
          own,
          refusals,
          live,
          tiers,
          reservations,
          book: money.book,
          consumers: new ConsumerDesk(database),
          proposals: new PriceProposals({ database, clock, makeId: ids, random }),
          settings: { limits: config.limits, playground: config.playground },
          caps,
          quotas,
          keys,
          providers,
          funds,
          benchmarks,
          life,
          claims: payouts.desk,
          audits: payouts.audits,
          rewardClaims: payouts.rewards?.desk,
          settling: payouts.byHand,
          rewards: rewards.book,
          statements,
          agreements: agreements.desk,
          models: catalogue,
          prices: (modelId) => priceHistory(database, { modelId, limit: PRICES_LISTED }),
          registry: hub.registry,
          routing: service,
          watching,
          incidents,
          objectives: (window) => objectivesOf(database, window),
          objectiveTerms: objectives,
          watch: watching.incidents,
          measured: { table: reliability.table, attempts, standings },
          sessions,
          addresses,
          policy: SPLIT_POLICIES[config.money.splitPolicy] as SplitPolicy,
          signUp: config.access.signUp,
          trial: trialOf(
            {
              host: config.host,
              publicUrl: config.advertised.publicUrl,
              trustedProxies: config.access.trustedProxies,
            },
            parts.chain,
          ),
          facts: {
            version: packageVersion(),
            ...config.advertised,
            hubPort: hubServer.port,
            hubTls: hubTls !== undefined,
          },
        },
        status: new StatusReader({
          database,
          clock: watchClock,
          log: log.child({ room: 'reliability' }),
          table: reliability.table,
          incidents: watching.book,
          models: () => catalogue.list(),
          ready: watching.readyRegions,
          frozen: () => watching.incidents.posture.freeze,
        }),
        metrics: { page: reliability.metrics, token: config.access.metricsToken },
        health: () => {
          // Once ready it stays so: what happens to agents later is no reason to send consumers elsewhere.
          if (phase === 'starting' && hub.counters.registered >= config.life.readyAgents) phase = 'open';
          return health(phase, { hub, dispatcher, money, audit: payouts.standing() });
        },
      },
      {
        host: config.host,
        port: config.gatewayPort,
        tls: gatewayTls,
        headTimeoutMs: config.limits.headTimeoutMs,
        bodyTimeoutMs: config.limits.bodyTimeoutMs,
      },
    ).catch(async (error: unknown) => {
      await peers?.close();
      await hubServer.close();
      throw error;
    });

    watching.opened({ host: config.host, port: gateway.port, tls: gatewayTls !== undefined });
    let closed: Promise<void> | undefined;
    const close = async (graceMs: number, noticeMs: number): Promise<void> => {
      // Whoever asks is told that we leave, and everything else goes on: a balancer needs a moment to notice.
      phase = 'leaving';
      watching.leave();
      hub.refuseNewLinks();
      gateway.leave();
      // Pages come back by themselves, to a process that stays.
      await live.close();
      if (noticeMs > 0) await pause(clock, noticeMs);
      // No new work. What was taken on may end, tries on other agents included.
      gateway.stopAccepting();
      peers?.leave();
      const untilMs = clock.nowMs() + graceMs;
      const underWay = (): number => gateway.underWay + (peers?.serving ?? 0);
      while (underWay() > 0 && clock.nowMs() < untilMs) await pause(clock, DRAIN_LOOK_MS);
      // Whatever is left ends with an error that says why; only then do the agents leave.
      waiting.close();
      dispatcher.close();
      await peers?.close();
      await hubServer.close();
      await money.settled(LAST_POSTINGS_MS);
      await gateway.close();
      await closeAll();
    };
    return {
      gatewayPort: gateway.port,
      hubPort: hubServer.port,
      hub,
      fleet,
      gateway,
      watching,
      underWay: () => ({
        requests: dispatcher.active,
        attempts: hub.registry.inFlight,
        promised: money.holds.totals().reserved,
        unpostedBytes: money.poster.lag.bytes,
      }),
      reloadTls: () => {
        for (const files of tls) files.reload();
      },
      close: (graceMs = config.life.graceMs, noticeMs = 0) => {
        closed ??= close(graceMs, noticeMs);
        return closed;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

export interface MarketplaceParts {
  readonly config: Config;
  /** Migrated and seeded. Stays the caller's to close. */
  readonly database: Database;
  /** For the statements of the ledger, which must outlast a stall of the server. */
  readonly databaseUrl: string;
  /** Where providers are paid. Stays the caller's to close. Without it nothing is paid out. */
  readonly chain?: MarketChain | undefined;
  readonly clock: Clock;
  /**
   * What the market is watched by: the times of probes, rules, circuits and of what is kept. Another than `clock` only where
   * a day is played faster than it passes; how long answers take is measured by `clock` all the same.
   */
  readonly watchClock?: Clock;
  readonly random: Randomness;
  readonly log: Logger;
}

export interface Marketplace {
  readonly gatewayPort: number;
  readonly hubPort: number;
  readonly hub: Hub;
  readonly fleet: ExternalFleet;
  readonly gateway: Gateway;
  readonly watching: Pick<Watching, 'incidents' | 'door' | 'probed'>;
  /** What is not over yet. All zero is a market at rest. */
  underWay(): UnderWay;
  /** Reads certificates and keys again. */
  reloadTls(): void;
  /**
   * Closes in phases: says for `noticeMs` that it leaves, stops accepting, lets what is under way end (at most `graceMs`),
   * ends the rest with an error, posts what was served, and closes everything. Calling it again waits for the first call.
   */
  close(graceMs?: number, noticeMs?: number): Promise<void>;
}

export interface UnderWay {
  /** Requests that were dispatched. */
  readonly requests: number;
  /** Attempts at them, on agents. */
  readonly attempts: number;
  /** Money promised to requests, in pico-USD. */
  readonly promised: Pico;
  /** Of the usage journal: served, and not in the ledger yet. */
  readonly unpostedBytes: number;
}

const NOWHERE: readonly string[] = [];
/** How long the ledger may stand still before a statement of its is given up. */
const LEDGER_DEADLINE_MS = 120_000;
/** How long settlement waits for its database: it reads the whole day, and the audit the whole ledger. */
const SETTLEMENT_DEADLINE_MS = 1_200_000;
/** How often the end looks whether the answers under way are over. */
const DRAIN_LOOK_MS = 20;
/** How long the end waits for the database to take what was served: what it does not take, the next start posts. */
const LAST_POSTINGS_MS = 2_000;
/** A room's last words to the database while the market closes. */
const ROOMS_LAST_WORDS_MS = 2_000;
/** The ledger's last words to a database that does not answer. What it does not take, the next start posts and gives back. */
const LAST_WORDS_MS = 10_000;
/** At the start the journal of the life before must be posted; longer than this, and something is wrong. */
const REPLAY_WAIT_MS = 60_000;

/** How often it is looked for what is kept no longer. */
const FORGET_EVERY_MS = 3_600_000;

interface Money {
  readonly holds: Holds;
  readonly book: Book;
  readonly journal: Journal;
  readonly poster: Poster;
  /** Waits until what was served is posted, at most `withinMs`. */
  settled(withinMs: number): Promise<void>;
  close(): Promise<void>;
}

async function openMoney(parts: MarketplaceParts, makeId: (prefix: string) => string): Promise<Money> {
  const { config, clock, random, log } = parts;
  const folder = path.join(config.dataFolder, 'journal');
  const unlock = lockFolder(folder);
  const instance = instanceOf(config.dataFolder, makeId);
  const database = openDatabase({
    url: parts.databaseUrl,
    log,
    clock,
    maxConnections: 4,
    applicationName: 'cygnet-ledger',
    deadlineMs: LEDGER_DEADLINE_MS,
    statementTimeoutMs: LEDGER_DEADLINE_MS,
  });
  const disk = await openJournalDisk(folder);
  const journal = await Journal.open({ disk, clock, log, sizeMax: config.money.journalBytesMax });
  const outcomes = new OutcomeTable(database, config.money.outcomeDays);
  const book = new Book({ database, instance, clock, log, outcomes });
  const poster = new Poster({ journal, disk, posting: book, clock, random, log });
  const leases = new Leases({ database, instance, makeId });
  if (!(await poster.drain(REPLAY_WAIT_MS))) {
    throw new Error('The usage journal of the last run could not be posted to the ledger in time.');
  }
  await leases.releaseAll();
  const holds = new Holds({ store: leases, clock, log, exposureMax: config.money.exposureMax });
  const recalls = await hearRecalls({ database, instance }, (consumerId) => holds.recalled(consumerId));
  const forgetting = new Rounds(clock, {
    periodMs: FORGET_EVERY_MS,
    work: async () => {
      await outcomes.dropOld(clock.wallMs());
    },
    failed: (error) => log.warn({ err: error }, 'Old days could not be dropped.'),
  });
  return {
    holds,
    book,
    journal,
    poster,
    settled: async (withinMs) => {
      await poster.drain(withinMs);
    },
    close: async () => {
      const inOrder = async (): Promise<void> => {
        await recalls.stop();
        await forgetting.close();
        await holds.close();
        await journal.close();
        await poster.drain(500);
        await poster.close();
      };
      const done = inOrder();
      await atMost(
        clock,
        LAST_WORDS_MS,
        done.catch(() => {}),
      );
      await database.close();
      try {
        await done;
      } finally {
        unlock();
      }
    },
  };
}

/**
 * Settlement and the nightly audit, on connections of their own: a batch of a million providers takes longer than a request
 * may. Without a chain nothing is paid out, and the books are audited all the same.
 */
function openPayouts(
  parts: MarketplaceParts,
  once: Once,
): {
  desk: ClaimsDesk | undefined;
  rewards: SettlementRoom | undefined;
  byHand: SettlingByHand;
  audits: {
    list(): Promise<AuditRun[]>;
    now(): Promise<boolean>;
    strangers(): Promise<Stranger[]>;
    explain(id: string, resolution: string): ReturnType<typeof resolveStranger>;
    heldBy(): Promise<string | undefined>;
  };
  standing(): AuditStanding;
  lastBatch(): LastBatch | undefined;
  close(): Promise<void>;
} {
  const { config, clock, chain } = parts;
  const { dataFolder } = config;
  const log = parts.log.child({ room: 'settlement' });
  const database = openDatabase({
    url: parts.databaseUrl,
    log,
    clock,
    maxConnections: 3,
    applicationName: 'cygnet-settlement',
    deadlineMs: SETTLEMENT_DEADLINE_MS,
    statementTimeoutMs: SETTLEMENT_DEADLINE_MS,
  });
  const heldBy = async () => (await payoutsHeldBy(database)) ?? (await auditHolds(database));
  const common = chain && { database, chain, dataFolder, clock, log, heldBy };
  const rooms = common && openSettlement({ ...common, minimum: config.money.payoutMinimum });
  const rewards = common && openRewardSettlement(common);
  const auditOnce = () =>
    auditMarket({
      database,
      chain,
      ...rooms,
      funds: () => auditFunds({ database, chain }),
      agreements: () => auditAgreements(database),
      papers: () => checkStatements(database),
    });
  let byHand: Promise<boolean> | undefined;
  const auditByHand = async (): Promise<boolean> => {
    const began = clock.nowMs();
    let { balanced, differences } = await auditOnce();
    // The market goes on meanwhile: only what is still there is a difference.
    if (!balanced) ({ balanced, differences } = await auditOnce());
    await noteAudit(database, {
      at: clock.wallMs(),
      occasion: 'command',
      balanced,
      chainAsked: chain !== undefined,
      tookMs: clock.nowMs() - began,
      differences,
    });
    return balanced;
  };
  const nights = openNights({
    settler: rooms?.settler,
    audit: auditOnce,
    lastAudit: () => lastNightly(database),
    audited: async ({ balanced, differences }, tookMs) => {
      const chainAsked = chain !== undefined;
      await noteAudit(database, {
        at: clock.wallMs(),
        occasion: 'nightly',
        balanced,
        chainAsked,
        tookMs,
        differences,
      });
    },
    clock,
    log,
    once,
  });
  let lastBatch: LastBatch | undefined;
  const looking =
    rooms &&
    new Rounds(clock, {
      periodMs: LOOK_AT_BATCH_EVERY_MS,
      work: async () => {
        [lastBatch] = await rooms.desk.list(1);
      },
      failed: (error) => log.warn({ err: error }, 'The newest batch of payouts could not be looked at.'),
    });
  return {
    lastBatch: () => lastBatch,
    desk: rooms?.desk,
    audits: {
      list: () => listAudits(database, AUDITS_LISTED),
      // Who asks while one is made is told what that one finds.
      now: () => (byHand ??= auditByHand().finally(() => (byHand = undefined))),
      strangers: () => openStrangers(database.sql, AUDITS_LISTED),
      explain: (id, resolution) => resolveStranger(database, { id, resolution, at: clock.wallMs() }),
      heldBy,
    },
    standing: () => nights.standing(),
    rewards,
    byHand: {
      minimum: config.money.payoutMinimum,
      settler: (asset, minimum) =>
        asset === 'SWAN' ? rewards?.settler : common && openSettlement({ ...common, minimum }).settler,
    },
    close: async () => {
      await looking?.close();
      await nights.close();
      await database.close();
    },
  };
}

/** What consumers want kept of what they ask, and the rounds that delete what is past its time. */
function openDebugLog(
  { clock, log }: Pick<MarketplaceParts, 'clock' | 'log'>,
  about: { book: DebugBook; catalogue: Pick<CatalogueView, 'resolve'> },
): { log: DebugLog; close(): Promise<void> } {
  const { book, catalogue } = about;
  const debug = new DebugLog({
    clock,
    log: log.child({ room: 'gateway' }),
    store: book,
    modelNamed: (name) => catalogue.resolve(name)?.id,
  });
  const forgetting = new Rounds(clock, {
    periodMs: FORGET_EVERY_MS,
    work: async () => {
      await book.forget(clock.wallMs());
    },
    failed: (error) => log.warn({ err: error }, 'Old entries of debug logs could not be deleted.'),
  });
  return {
    log: debug,
    close: async () => {
      await forgetting.close();
      await debug.close();
    },
  };
}

/** Statements, on connections of their own: closing a month reads all of it. */
function openPapers(parts: MarketplaceParts, once: Once): Statements & { close(): Promise<void> } {
  const { config, clock } = parts;
  const log = parts.log.child({ room: 'statements' });
  const database = openDatabase({
    url: parts.databaseUrl,
    log,
    clock,
    maxConnections: 3,
    applicationName: 'cygnet-statements',
    deadlineMs: STATEMENTS_DEADLINE_MS,
    statementTimeoutMs: STATEMENTS_DEADLINE_MS,
  });
  const statements = openStatements({
    database,
    settings: config.statements,
    assets: parts.chain?.assets ?? [],
    clock,
  });
  const rounds = openStatementsRounds(statements, { clock, log, once });
  return {
    ...statements,
    close: async () => {
      await rounds.close();
      await database.close();
    },
  };
}

/** Service level agreements, on a connection of their own: closing a month reads all of it. */
function openAgreements(
  parts: MarketplaceParts,
  { collateral, ids, once }: { collateral: Funds['collateral']; ids: (prefix: string) => string; once: Once },
): { desk: SlaDesk; close(): Promise<void> } {
  const { clock } = parts;
  const log = parts.log.child({ room: 'sla' });
  const database = openDatabase({
    url: parts.databaseUrl,
    log,
    clock,
    maxConnections: 2,
    applicationName: 'cygnet-sla',
    deadlineMs: SLA_DEADLINE_MS,
    statementTimeoutMs: SLA_DEADLINE_MS,
  });
  const desk = new SlaDesk({ database, collateral, clock, makeId: ids, ourOwn: [PLAYGROUND.ownerId] });
  const rounds = openSlaRounds(desk, { clock, log, once });
  return {
    desk,
    close: async () => {
      await rounds.close();
      await database.close();
    },
  };
}

const AUDITS_LISTED = 30;
const PRICES_LISTED = 500;
const LOOK_AT_BATCH_EVERY_MS = 15_000;

/** Nothing before the first night of this process. */
function auditGauge(standing: () => AuditStanding): GaugeReading {
  return {
    name: 'cygnet_audit_balanced',
    help: 'Whether the last nightly audit of this process found everything in order.',
    labels: [],
    read: () => {
      const { balanced } = standing();
      return balanced === undefined ? [] : [[{}, balanced ? 1 : 0]];
    },
  };
}

/** Rewards, on a connection of their own: a day's reward reads a week of usage. */
function openRewardRounds(
  parts: MarketplaceParts,
  settlement: SettlementRoom | undefined,
  hub: Hub,
  once: Once,
): ReturnType<typeof openRewards> {
  const { clock, database } = parts;
  const log = parts.log.child({ room: 'rewards' });
  const patientDatabase = openDatabase({
    url: parts.databaseUrl,
    log,
    clock,
    maxConnections: 1,
    applicationName: 'cygnet-rewards',
    deadlineMs: SETTLEMENT_DEADLINE_MS,
    statementTimeoutMs: SETTLEMENT_DEADLINE_MS,
  });
  const settler = settlement?.settler;
  const rewards = openRewards({
    database,
    patientDatabase,
    clock,
    log,
    // An external endpoint is somebody's server elsewhere: nobody's machine is there.
    present: function* () {
      for (const presence of hub.registry.present()) if (presence.mode === 'websocket') yield presence;
    },
    settle: settler && (() => settler.round()),
    failed: (error) => settlementFailed(log, error),
    once,
  });
  return {
    book: rewards.book,
    close: async () => {
      await rewards.close();
      await patientDatabase.close();
    },
  };
}

/** What benchmarks and likeness say against nodes, as far as it is enforced. */
function standingsOf(
  settings: Pick<BenchmarkSettings, 'mode' | 'likeness'>,
  { turns, unlike }: { turns: TurnBook; unlike: LikenessBook },
): HubStandings {
  return {
    against: (...place) => (settings.mode === 'enforce' ? turns.against(...place) : undefined),
    behind: (...place) => (settings.likeness === 'enforce' ? unlike.behind(...place) : undefined),
    watch: (changed) => {
      const stops = [turns.watch(changed), unlike.watch(changed)];
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}

/** The name under which this data folder's process leases money: made once, kept for its later lives. */
function instanceOf(dataFolder: string, makeId: (prefix: string) => string): string {
  const file = path.join(dataFolder, 'instance');
  mkdirSync(dataFolder, { recursive: true });
  if (!existsSync(file)) writeFileSync(file, `${makeId('inst')}\n`);
  return readFileSync(file, 'utf8').trim();
}

interface Shared {
  readonly line: Line;
  readonly pots: Pots;
  /** Says to the others where this gateway is. */
  say(about: string): Promise<void>;
  close(): Promise<void>;
}

/** The private links to other gateways; undefined where there are none. */
async function openPeers(
  { config, clock, log }: MarketplaceParts,
  rooms: { hub: Hub; shared: Shared; instance: string; ids: (prefix: string) => string },
): Promise<Peers | undefined> {
  const link = config.shared?.link;
  if (!link) return undefined;
  const { hub, shared, instance, ids } = rooms;
  const peers = await Peers.open({
    ...link,
    hub,
    instance,
    ids,
    clock,
    log: log.child({ room: 'peers' }),
    members: () => shared.line.members,
  });
  await shared.say(aboutLink(peers.url));
  return peers;
}

/** What several gateways share; undefined where there is only this one. */
async function openShared(
  { config, clock, log }: MarketplaceParts,
  instance: string,
): Promise<Shared | undefined> {
  if (!config.shared) return undefined;
  const sharedLog = log.child({ room: 'shared' });
  let about = aboutLink(undefined);
  const url = config.shared.redisUrl.open();
  const line = await Line.open({ url, instance, clock, log: sharedLog, about: () => about });
  const pots = await Pots.open({ line, clock, log: sharedLog });
  return {
    line,
    pots,
    say: async (text) => {
      about = text;
      // Where Redis has just gone, the next sign of life says it.
      await line.beat().catch(() => undefined);
    },
    close: async () => {
      await pots.close();
      await line.close();
    },
  };
}

function sharedGauges(line: Line): GaugeReading[] {
  return [
    {
      name: 'cygnet_shared_store_up',
      help: '1 while Redis answers; without it each gateway goes on with its part of every limit.',
      labels: [],
      read: () => [[{}, line.away ? 0 : 1]],
    },
    {
      name: 'cygnet_gateways',
      help: 'Gateways that Redis last knew of, this one among them.',
      labels: [],
      read: () => [[{}, line.place.of]],
    },
  ];
}

/**
 * The spend caps of keys, with what was spent before. The journal of the life before is posted by then, so the usage list
 * holds all of it.
 */
async function openCaps(
  keys: KeyRing,
  rooms: {
    reading: MarketReading;
    config: Config;
    instance: string;
    shared: { pots: Pots } | undefined;
    clock: Clock;
    log: Logger;
  },
): Promise<SpendCaps> {
  const { reading, clock, log, instance } = rooms;
  const membersOf = (familyId: string, families = keys.families()): string[] => [
    ...new Set(families.get(familyId) ?? [familyId]),
  ];
  const caps = rooms.shared
    ? new SharedCaps({
        clock,
        pots: rooms.shared.pots,
        requestMsMax: rooms.config.limits.requestTimeoutMs + REQUEST_SPARE_MS,
        read: async (familyId, window) => ({
          instance,
          spent: await reading.spentByInstance(membersOf(familyId), { ...window, own: instance }),
        }),
      })
    : await MemoryCaps.open({
        clock,
        log,
        keys: keys.valid(),
        read: async (familyIds, window) => {
          const families = keys.families();
          const keyIds = familyIds.flatMap((id) => membersOf(id, families));
          const byKey = await reading.spentByKeys(keyIds, window);
          return new Map(
            familyIds.map((id) => {
              const spent = { day: 0n, month: 0n };
              for (const keyId of membersOf(id, families)) {
                spent.day += byKey.get(keyId)?.day ?? 0n;
                spent.month += byKey.get(keyId)?.month ?? 0n;
              }
              return [id, spent];
            }),
          );
        },
      });
  keys.watch((key) => caps.prepare(key));
  return caps;
}

/** A request may outlast its deadline by so much until it is settled. */
const REQUEST_SPARE_MS = 60_000;

const STRATEGIES: Readonly<Record<StrategyName, () => Strategy>> = {
  'health-aware': healthAware,
  'round-robin': roundRobin,
  'least-connections': leastConnections,
  price: byPrice,
  throughput: byThroughput,
  latency: byLatency,
};

/** The files of TLS as the gateway and the hub use them; none where a proxy does TLS. */
function openTls({ tls }: Config, parts: { clock: Clock; log: Logger }): TlsFiles[] {
  if (!tls) return [];
  const { cert, key, hubClientCa } = tls;
  return [new TlsFiles({ cert, key }, parts), new TlsFiles({ cert, key, clientCa: hubClientCa }, parts)];
}

function health(
  phase: 'starting' | 'open' | 'leaving',
  { hub, dispatcher, money, audit }: { hub: Hub; dispatcher: Dispatcher; money: Money; audit: AuditStanding },
): Health {
  const { lag } = money.poster;
  const whole = money.journal.healthy ? 'ok' : 'failing';
  const status =
    phase === 'leaving' ? 'draining' : phase === 'starting' && whole === 'ok' ? 'starting' : whole;
  return {
    status,
    agents: hub.links,
    in_flight: dispatcher.active,
    ledger: { behind_bytes: lag.bytes, behind_ms: Math.round(lag.sinceMs), failures: lag.failures },
    audit: {
      at: audit.at === undefined ? null : new Date(audit.at).toISOString(),
      balanced: audit.balanced ?? null,
    },
  };
}
