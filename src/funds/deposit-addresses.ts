import type { AddressTree } from '#chain/derived-address.ts';
import type { Database, Sql } from '#db/database.ts';
import type { Address } from '#domain/hex.ts';
import type { Clock } from '#kit/clock.ts';

/** Which address is whose. An address is handed out once for ever; one key's consumers have one each. */
export class DepositAddresses {
  readonly #database: Database;
  readonly #tree: AddressTree;
  readonly #clock: Clock;

  constructor(parts: { database: Database; tree: AddressTree; clock: Clock }) {
    this.#database = parts.database;
    this.#tree = parts.tree;
    this.#clock = parts.clock;
  }

  /** The consumer's address, made the first time it is asked for. */
  async of(consumerId: string): Promise<Address> {
    const known = await this.#find(consumerId);
    if (known) return known;
    const [next] = await this.#database.sql<{ index: bigint }[]>`
      select nextval('deposit_address_index') as index`;
    const index = Number(next?.index);
    const address = this.#tree.address(index);
    // Two at once: the first stays, and an index is left out.
    await this.#database.sql`
      insert into deposit_addresses (key_id, index, consumer_id, address, made_at)
      values (${this.#tree.id}, ${index}, ${consumerId}, ${address}, ${new Date(this.#clock.wallMs())})
      on conflict (key_id, consumer_id) do nothing`;
    return (await this.#find(consumerId)) as Address;
  }

  async #find(consumerId: string): Promise<Address | undefined> {
    const [row] = await this.#database.sql<{ address: Address }[]>`
      select address from deposit_addresses where key_id = ${this.#tree.id} and consumer_id = ${consumerId}`;
    return row?.address;
  }
}

/** The index of the next address that will be given out; those from it on were given to nobody. */
export async function nextIndex(sql: Sql): Promise<number> {
  const [row] = await sql<{ next: bigint }[]>`
    select case when is_called then last_value + 1 else last_value end as next from deposit_address_index`;
  return Number(row?.next ?? 0n);
}

export interface DerivedAddress {
  readonly index: number;
  readonly address: Address;
  readonly consumerId: string;
}

/** The addresses of one key, in the order they were made. */
export async function addressesOf(database: Database, keyId: string): Promise<DerivedAddress[]> {
  const rows = await database.sql<{ index: bigint; address: Address; consumer_id: string }[]>`
    select index, address, consumer_id from deposit_addresses where key_id = ${keyId} order by index`;
  return rows.map((row) => ({ index: Number(row.index), address: row.address, consumerId: row.consumer_id }));
}
