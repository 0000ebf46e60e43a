import type { Database, Sql } from '#db/database.ts';
import type { Address, Hex } from '#domain/hex.ts';
import type { Outcome, SignedVersion, StoredTransaction, TransactionStore } from './transactions.ts';

interface Row {
  id: string;
  chain_id: bigint;
  sender: Address;
  nonce: bigint;
  recipient: Address | null;
  data: Hex;
  value: bigint;
  gas: bigint;
  outcome: Outcome['status'] | null;
  outcome_hash: Hex | null;
  outcome_block: bigint | null;
  outcome_created: Address | null;
}

interface VersionRow {
  transaction_id: string;
  hash: Hex;
  raw: Hex;
  max_fee_per_gas: bigint;
  max_priority_fee_per_gas: bigint;
  signed_at_ms: bigint;
}

/**
 * Keeps transactions in the database, for every process that sends with the same key. Each writing method is one
 * transaction: what it answered yes to is there after any crash, and what it answered no to was never there.
 */
export class TransactionTable implements TransactionStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(id: string): Promise<StoredTransaction | undefined> {
    const rows = await this.#database.sql<Row[]>`select * from transactions where id = ${id}`;
    return (await this.#withVersions(rows))[0];
  }

  async lastNonce(chainId: number, from: Address): Promise<number | undefined> {
    const [row] = await this.#database.sql<{ nonce: bigint | null }[]>`
      select max(nonce) as nonce from transactions where chain_id = ${chainId} and sender = ${from}`;
    return row?.nonce == null ? undefined : Number(row.nonce);
  }

  async open(chainId: number, from: Address): Promise<StoredTransaction[]> {
    const rows = await this.#database.sql<Row[]>`
      select * from transactions
      where chain_id = ${chainId} and sender = ${from} and outcome is null
      order by nonce`;
    return await this.#withVersions(rows);
  }

  async add(transaction: StoredTransaction): Promise<boolean> {
    const { id, chainId, from, nonce, to, data, value, gas, versions } = transaction;
    return await this.#database.transaction(async (sql) => {
      const added = await sql`
        insert into transactions (id, chain_id, sender, nonce, recipient, data, value, gas)
        values (${id}, ${chainId}, ${from}, ${nonce}, ${to ?? null}, ${data}, ${value}, ${gas})
        on conflict do nothing`;
      if (added.count === 0) return false;
      for (const [number, version] of versions.entries()) await addVersion(sql, id, number, version);
      return true;
    });
  }

  async addVersion(id: string, known: number, version: SignedVersion): Promise<boolean> {
    return await this.#database.transaction(async (sql) => {
      // Locked, so that no version is added to what gets its outcome meanwhile.
      const [row] = await sql<{ versions: bigint }[]>`
        select (select count(*) from transaction_versions where transaction_id = id) as versions
        from transactions where id = ${id} and outcome is null for update`;
      if (!row || Number(row.versions) !== known) return false;
      return await addVersion(sql, id, known, version);
    });
  }

  async finish(id: string, outcome: Outcome): Promise<boolean> {
    const { status, hash, block, created } = outcome;
    const finished = await this.#database.sql`
      update transactions
      set outcome = ${status}, outcome_hash = ${hash ?? null}, outcome_block = ${block ?? null},
        outcome_created = ${created ?? null}
      where id = ${id} and outcome is null`;
    return finished.count === 1;
  }

  async #withVersions(rows: readonly Row[]): Promise<StoredTransaction[]> {
    if (rows.length === 0) return [];
    const ids = rows.map((row) => row.id);
    const found = await this.#database.sql<VersionRow[]>`
      select * from transaction_versions where transaction_id = any(${ids}) order by transaction_id, number`;
    const versions = new Map<string, VersionRow[]>(ids.map((id) => [id, []]));
    for (const version of found) versions.get(version.transaction_id)?.push(version);
    return rows.map((row) => ({
      id: row.id,
      chainId: Number(row.chain_id),
      from: row.sender,
      nonce: Number(row.nonce),
      to: row.recipient ?? undefined,
      data: row.data,
      value: row.value,
      gas: row.gas,
      versions: (versions.get(row.id) ?? []).map((version) => ({
        hash: version.hash,
        raw: version.raw,
        maxFeePerGas: version.max_fee_per_gas,
        maxPriorityFeePerGas: version.max_priority_fee_per_gas,
        signedAtMs: Number(version.signed_at_ms),
      })),
      outcome: row.outcome
        ? {
            status: row.outcome,
            hash: row.outcome_hash ?? undefined,
            block: row.outcome_block ?? undefined,
            created: row.outcome_created ?? undefined,
          }
        : undefined,
    }));
  }
}

/** False when another process added this version first. */
async function addVersion(sql: Sql, id: string, number: number, version: SignedVersion): Promise<boolean> {
  const { hash, raw, maxFeePerGas, maxPriorityFeePerGas, signedAtMs } = version;
  const added = await sql`
    insert into transaction_versions
      (transaction_id, number, hash, raw, max_fee_per_gas, max_priority_fee_per_gas, signed_at_ms)
    values (${id}, ${number}, ${hash}, ${raw}, ${maxFeePerGas}, ${maxPriorityFeePerGas}, ${signedAtMs})
    on conflict do nothing`;
  return added.count === 1;
}
