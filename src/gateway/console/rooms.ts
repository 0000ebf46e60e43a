import type { Benchmarks } from '#benchmark/open.ts';
import type { LifeTerms } from '#domain/lifecycle.ts';
import type { Model } from '#domain/model.ts';
import type { KeyAnswer, Provider } from '#domain/party.ts';
import type { SplitPolicy } from '#domain/policy.ts';
import type { Funds } from '#funds/open.ts';
import type { Stranger } from '#funds/strangers.ts';
import type { NetworkRules } from '#hub/external/endpoint-url.ts';
import type { ExternalFleet } from '#hub/external/fleet.ts';
import type { Registry } from '#hub/registry.ts';
import type { ServiceBook } from '#hub/service-book.ts';
import type { Accounts } from '#identity/accounts.ts';
import type { EndpointDesk } from '#identity/endpoint-desk.ts';
import type { KeyDesk } from '#identity/key-desk.ts';
import type { ProviderDesk } from '#identity/provider-desk.ts';
import type { SessionBook } from '#identity/session-book.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Balance } from '#ledger/book.ts';
import type { MarketReading } from '#ledger/market-reading.ts';
import type { AttemptTable } from '#reliability/attempts.ts';
import type { MinuteTable } from '#reliability/minute-table.ts';
import type { Standings } from '#reliability/standings.ts';
import type { RewardBook } from '#rewards/book.ts';
import type { AuditRun } from '#settlement/audit-runs.ts';
import type { ClaimsDesk } from '#settlement/claims-desk.ts';
import type { Statements } from '#statements/open.ts';
import type { ClientAddresses } from '../client-address.ts';
import type { Quotas } from '../plan-quotas.ts';
import type { SpendCaps } from '../spend-caps.ts';

/** What the management API works with. */
export interface ConsoleRooms {
  readonly clock: Clock;
  readonly ids: IdMaker;
  readonly log: Logger;
  readonly accounts: Accounts;
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
  readonly book: { balance(consumerId: string): Promise<Balance> };
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
  readonly funds: Funds;
  readonly benchmarks: Benchmarks;
  /** What a provider must have before it is active. */
  readonly life: LifeTerms;
  /** Undefined where the market settles on no chain. */
  readonly claims: ClaimsDesk | undefined;
  readonly statements: Statements;
  readonly audits: { list(): Promise<AuditRun[]>; strangers(): Promise<Stranger[]> };
  /** Likewise for rewards; undefined where they are not paid out. */
  readonly rewardClaims: ClaimsDesk | undefined;
  readonly rewards: RewardBook;
  readonly addresses: ClientAddresses;
  readonly policy: SplitPolicy;
  readonly signUp: 'open' | 'closed';
}
