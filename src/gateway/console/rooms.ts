import type { Benchmarks } from '#benchmark/open.ts';
import type { PriceProposals } from '#catalogue/price-proposals.ts';
import type { PriceVersion } from '#catalogue/prices.ts';
import type { ReservationView } from '#catalogue/reservations.ts';
import type { TierView } from '#catalogue/tiers.ts';
import type { LifeTerms } from '#domain/lifecycle.ts';
import type { Model } from '#domain/model.ts';
import type { KeyAnswer, Provider } from '#domain/party.ts';
import type { SplitPolicy } from '#domain/policy.ts';
import type { Funds } from '#funds/open.ts';
import type { Stranger } from '#funds/strangers.ts';
import type { Trial } from '#funds/trial.ts';
import type { NetworkRules } from '#hub/external/endpoint-url.ts';
import type { ExternalFleet } from '#hub/external/fleet.ts';
import type { Registry } from '#hub/registry.ts';
import type { ServiceBook } from '#hub/service-book.ts';
import type { Accounts } from '#identity/accounts.ts';
import type { ConsumerDesk } from '#identity/consumer-desk.ts';
import type { DebugBook } from '#identity/debug-book.ts';
import type { EndpointDesk } from '#identity/endpoint-desk.ts';
import type { KeyDesk } from '#identity/key-desk.ts';
import type { OperatorLog } from '#identity/operator-log.ts';
import type { ProviderDesk } from '#identity/provider-desk.ts';
import type { SecondFactors } from '#identity/second-factors.ts';
import type { SessionBook } from '#identity/session-book.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Book } from '#ledger/book.ts';
import type { ConsumerReading } from '#ledger/consumer-reading.ts';
import type { MarketReading } from '#ledger/market-reading.ts';
import type { RefusalLog } from '#ledger/refusal-log.ts';
import type { AttemptTable } from '#reliability/attempts.ts';
import type { IncidentDesk } from '#reliability/incident-desk.ts';
import type { IncidentWatch } from '#reliability/incident-watch.ts';
import type { MinuteTable } from '#reliability/minute-table.ts';
import type { ObjectiveRow } from '#reliability/objective-report.ts';
import type { ObjectiveView } from '#reliability/objective-terms.ts';
import type { Standings } from '#reliability/standings.ts';
import type { Watching } from '#reliability/watching.ts';
import type { RewardBook } from '#rewards/book.ts';
import type { AuditRun } from '#settlement/audit-runs.ts';
import type { SettlingByHand } from '#settlement/by-hand.ts';
import type { ClaimsDesk } from '#settlement/claims-desk.ts';
import type { SlaDesk } from '#sla/desk.ts';
import type { Statements } from '#statements/open.ts';
import type { ClientAddresses } from '../client-address.ts';
import type { LiveEvents } from '../live-events.ts';
import type { Quotas } from '../plan-quotas.ts';
import type { SpendCaps } from '../spend-caps.ts';
import type { Tries } from './tries.ts';

/** Where this market is for others. */
export interface MarketFacts {
  readonly version: string;
  /** As the operator names them; undefined where it has not. */
  readonly publicUrl: string | undefined;
  readonly hubUrl: string | undefined;
  readonly hubPort: number;
  /** Whether that port itself speaks TLS. */
  readonly hubTls: boolean;
}

/** What the management API works with. */
export interface ConsoleRooms {
  readonly clock: Clock;
  readonly ids: IdMaker;
  readonly log: Logger;
  /** How often passwords may be guessed, and accounts made. */
  readonly tries: Tries;
  readonly accounts: Accounts;
  readonly factors: SecondFactors;
  readonly debugBook: DebugBook;
  readonly operatorLog: OperatorLog;
  readonly keyDesk: KeyDesk;
  readonly providerDesk: ProviderDesk;
  readonly external: {
    readonly desk: EndpointDesk;
    readonly fleet: Pick<ExternalFleet, 'stateOf' | 'check'>;
    readonly rules: NetworkRules;
    /** Learns of an endpoint that was added or removed a moment ago. */
    look(id: string): Promise<void>;
  };
  readonly reading: MarketReading;
  /** A consumer's own usage. */
  readonly own: ConsumerReading;
  /** What was refused, request by request. */
  readonly refusals: Pick<RefusalLog, 'latest'>;
  readonly book: Pick<Book, 'balance' | 'grant'>;
  readonly live: LiveEvents;
  readonly consumers: ConsumerDesk;
  readonly proposals: PriceProposals;
  /** Of a model, newest first, those of the future included. */
  prices(modelId: string): Promise<PriceVersion[]>;
  /** What the operator set for everybody, to be looked at. */
  readonly settings: {
    readonly limits: {
      readonly requestsPerMinute: Readonly<Record<string, number>>;
      readonly concurrentPerKey: number;
      readonly bodyBytesMax: number;
      readonly messagesMax: number;
      readonly messageCharsMax: number;
      readonly inputTokensMax: number;
      readonly outputTokensMax: number;
      readonly embeddingTokensMax: number;
      readonly requestTimeoutMs: number;
    };
    readonly playground: {
      readonly enabled: boolean;
      readonly requestsPerHour: number;
      readonly outputTokensMax: number;
    };
  };
  readonly tiers: Pick<TierView, 'of' | 'set'>;
  readonly reservations: Pick<ReservationView, 'list' | 'add' | 'end'>;
  readonly caps: Pick<SpendCaps, 'left'>;
  readonly quotas: Pick<Quotas, 'left'>;
  /** `look` learns what was changed a moment ago: whoever is told that a key was made or revoked finds it so at once. */
  readonly keys: { find(secret: string): KeyAnswer; look(keyIds: readonly string[]): Promise<void> };
  readonly providers: {
    find(id: string): Pick<Provider, 'name' | 'state' | 'asks' | 'reason'> | undefined;
    look(id: string): Promise<void>;
  };
  readonly models: { resolve(name: string): Model | undefined; list(): readonly Model[] };
  readonly registry: Pick<Registry, 'everywhere' | 'candidates'>;
  readonly sessions: Pick<SessionBook, 'of' | 'nodeMs'>;
  readonly measured: {
    readonly table: Pick<MinuteTable, 'figures'>;
    readonly attempts: Pick<AttemptTable, 'byModel'>;
    readonly standings: Pick<Standings, 'of'>;
  };
  readonly routing: Pick<ServiceBook, 'inquiry'>;
  readonly watching: Pick<Watching, 'lastProbeOf'>;
  readonly incidents: IncidentDesk;
  /** Wall milliseconds, at most 35 days back. */
  readonly objectives: (window: { from: number; until: number }) => Promise<ObjectiveRow[]>;
  readonly objectiveTerms: ObjectiveView;
  /** What serving heeds now, and why. */
  readonly watch: Pick<IncidentWatch, 'posture' | 'alerts'>;
  readonly funds: Funds;
  readonly benchmarks: Benchmarks;
  /** What a provider must have before it is active. */
  readonly life: LifeTerms;
  /** Undefined where the market settles on no chain. */
  readonly claims: ClaimsDesk | undefined;
  readonly statements: Statements;
  readonly agreements: SlaDesk;
  readonly audits: {
    list(): Promise<AuditRun[]>;
    /** Audits the books and the chain: whether they balance. Whoever asks while one is made waits for that one. */
    now(): Promise<boolean>;
    strangers(): Promise<Stranger[]>;
    /** Takes an operator's word on what the ledger does not know of. */
    explain(id: string, resolution: string): Promise<'resolved' | 'known' | 'unknown'>;
    /** Why nothing is paid out now; undefined when nothing holds it. */
    heldBy(): Promise<string | undefined>;
  };
  readonly settling: SettlingByHand;
  /** Likewise for rewards; undefined where they are not paid out. */
  readonly rewardClaims: ClaimsDesk | undefined;
  readonly rewards: RewardBook;
  readonly addresses: ClientAddresses;
  readonly policy: SplitPolicy;
  readonly signUp: 'open' | 'closed';
  readonly facts: MarketFacts;
  /** Undefined where the market is no trial. */
  readonly trial: Trial | undefined;
}
