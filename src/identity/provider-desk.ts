import type { Database } from '#db/database.ts';
import type { Provider, ProviderState } from '#domain/party.ts';
import { noteEvent } from './account-events.ts';
import { setProviderAsk } from './asks.ts';
import { type Node, nodesOf } from './nodes.ts';
import { type ListedProvider, listProviders, setProviderState } from './providers.ts';

/** What a provider tells of itself, and when its agents were last seen. */
export interface ProviderDetails extends Provider {
  readonly ownerAddress: string | null;
  readonly workerAddress: string | null;
  readonly beneficiaryAddress: string | null;
  readonly description: string;
  /** Wall milliseconds. */
  readonly createdAt: number;
  readonly lastConnectedAt: number | null;
}

const NODES_LISTED = 500;

/** What providers ask and change about themselves. */
export class ProviderDesk {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** What the agents of a provider ask for a model from now on; without `amounts`, the listed price. */
  async ask(wish: Parameters<typeof setProviderAsk>[1]): Promise<'set' | 'unknown'> {
    return await setProviderAsk(this.#database, wish);
  }

  async details(id: string): Promise<ProviderDetails | undefined> {
    const [row] = await this.#database.sql<
      (Provider & {
        owner_address: string | null;
        worker_address: string | null;
        beneficiary_address: string | null;
        description: string;
        created_at: Date;
        last_seen: Date | null;
      })[]
    >`
      select id, name, state, region, data_policy as "dataPolicy", owner_address, worker_address, beneficiary_address, description, created_at,
        (select max(last_seen) from nodes where provider_id = providers.id) as last_seen
      from providers where id = ${id}`;
    return (
      row && {
        id: row.id,
        name: row.name,
        state: row.state,
        region: row.region,
        dataPolicy: row.dataPolicy,
        ownerAddress: row.owner_address,
        workerAddress: row.worker_address,
        beneficiaryAddress: row.beneficiary_address,
        description: row.description,
        createdAt: row.created_at.getTime(),
        lastConnectedAt: row.last_seen?.getTime() ?? null,
      }
    );
  }

  /**
   * Sets addresses; what is undefined stays. The owner's is written once: `owner-set` when it is another already,
   * `owner-taken` when it is another provider's. Nothing changes then.
   */
  async setAddresses(change: {
    id: string;
    ownerAddress: string | undefined;
    workerAddress: string | undefined;
    beneficiaryAddress: string | undefined;
    actor: string;
    at: number;
  }): Promise<'set' | 'unknown' | 'owner-set' | 'owner-taken'> {
    return await this.#database.transaction(async (sql) => {
      const [before] = await sql<{ owner_address: string | null; beneficiary_address: string | null }[]>`
        select owner_address, beneficiary_address from providers where id = ${change.id} for update`;
      if (!before) return 'unknown';
      const { ownerAddress = null } = change;
      if (ownerAddress !== null && before.owner_address !== null && before.owner_address !== ownerAddress)
        return 'owner-set';
      if (ownerAddress !== null && before.owner_address === null) {
        // Another provider may be claiming the same address in this moment.
        await sql`select pg_advisory_xact_lock(hashtextextended(${`owner ${ownerAddress}`}, 0))`;
        const [taken] = await sql`select id from providers where owner_address = ${ownerAddress}`;
        if (taken) return 'owner-taken';
      }
      await sql`
        update providers set
          owner_address = coalesce(${ownerAddress}, owner_address),
          worker_address = coalesce(${change.workerAddress ?? null}, worker_address),
          beneficiary_address = coalesce(${change.beneficiaryAddress ?? null}, beneficiary_address)
        where id = ${change.id}`;
      await noteEvent(sql, {
        at: change.at,
        actor: change.actor,
        what: 'addresses-set',
        about: change.id,
        detail: {
          ...(change.beneficiaryAddress !== undefined && {
            beneficiary: change.beneficiaryAddress,
            beneficiaryBefore: before.beneficiary_address ?? '',
          }),
          ...(ownerAddress !== null && { owner: ownerAddress }),
        },
      });
      return 'set';
    });
  }

  /** Asks the operator for approval. `refused` with the present state when there is nothing to ask for. */
  async requestApproval(request: {
    id: string;
    providerId: string;
    providerName: string;
    hardwareSummary: string;
    contactEmail: string;
    actor: string;
    at: number;
  }): Promise<'requested' | 'unknown' | { refused: ProviderState }> {
    const at = new Date(request.at);
    return await this.#database.transaction(async (sql) => {
      const [moved] = await sql`
        update providers set state = 'under_review', state_reason = 'asked for approval', state_since = ${at}
        where id = ${request.providerId} and state = 'pending' returning id`;
      if (!moved) {
        const [there] = await sql<{ state: ProviderState }[]>`
          select state from providers where id = ${request.providerId}`;
        return there ? { refused: there.state } : 'unknown';
      }
      await sql`
        insert into approval_requests (id, provider_id, provider_name, hardware_summary, contact_email, requested_at)
        values (
          ${request.id}, ${request.providerId}, ${request.providerName}, ${request.hardwareSummary},
          ${request.contactEmail}, ${at}
        )`;
      const event = { at: request.at, actor: request.actor, what: 'approval-requested' };
      await noteEvent(sql, { ...event, about: request.providerId });
      return 'requested';
    });
  }

  /** The machines that a provider ever brought, newest sign of life first. */
  async nodes(providerId: string): Promise<Node[]> {
    return await nodesOf(this.#database, { providerId, limit: NODES_LISTED });
  }

  /** The latest request of each provider that waits for a decision. */
  async asked(
    providerIds: readonly string[],
  ): Promise<Map<string, { hardware: string; contact: string; at: number }>> {
    const rows = await this.#database.sql<
      { provider_id: string; hardware_summary: string; contact_email: string; requested_at: Date }[]
    >`
      select distinct on (provider_id) provider_id, hardware_summary, contact_email, requested_at
      from approval_requests where provider_id = any(${[...providerIds]}::text[])
      order by provider_id, requested_at desc`;
    return new Map(
      rows.map((row) => [
        row.provider_id,
        { hardware: row.hardware_summary, contact: row.contact_email, at: row.requested_at.getTime() },
      ]),
    );
  }

  /** All providers with what they asked for, oldest first; for operators. */
  async list(limit: number): Promise<ListedProvider[]> {
    return await listProviders(this.#database, limit);
  }

  /** Moves a provider to another state in an operator's name. */
  async move(move: {
    id: string;
    to: ProviderState;
    reason: string;
    actor: string;
    at: number;
  }): Promise<Awaited<ReturnType<typeof setProviderState>>> {
    const answer = await setProviderState(this.#database, move);
    if (answer === 'moved') {
      const detail = { to: move.to, reason: move.reason };
      const event = { at: move.at, actor: move.actor, what: 'provider-moved', about: move.id, detail };
      await noteEvent(this.#database.sql, event);
    }
    return answer;
  }
}
