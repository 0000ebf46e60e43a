import path from 'node:path';
import type { Address, Hex } from '#domain/hex.ts';
import { writeClaims } from './day.ts';
import { claimsFileName, readClaims } from './publish.ts';
import type { Settlement, SettlementStore } from './store.ts';
import { MerkleTree } from './tree.ts';

/** What an account may claim by a batch, with the proof that the contract takes. */
export interface Proof {
  readonly account: Address;
  /** Everything it was ever promised, this batch included. */
  readonly cumulative: bigint;
  readonly increase: bigint;
  readonly proof: readonly Hex[];
}

/** The tree of a batch takes 64 bytes for each account and the rows more; the newest two are asked for. */
const KEPT = 2;

/** What anybody may know of settlements: which there are, their files, and the proof of an account. */
export class ClaimsDesk {
  readonly #store: SettlementStore;
  readonly #folder: string;
  readonly #trees = new Map<number, Promise<Tree>>();

  constructor(parts: { store: SettlementStore; folder: string }) {
    this.#store = parts.store;
    this.#folder = parts.folder;
  }

  get scope(): SettlementStore['scope'] {
    return this.#store.scope;
  }

  /** The desk of another token, whose files are in the same folder. */
  of(store: SettlementStore): ClaimsDesk {
    return new ClaimsDesk({ store, folder: this.#folder });
  }

  /** Newest first. */
  async list(limit: number): Promise<Settlement[]> {
    return await this.#store.list(limit);
  }

  async find(number: number): Promise<Settlement | undefined> {
    return await this.#store.find(number);
  }

  /** Where the claims file of a batch is, if it is there. */
  placeOf(settlement: Settlement): string {
    return path.join(this.#folder, claimsFileName(this.#store.scope.token, settlement.number));
  }

  /** The claims file of a batch, written where it is missing. */
  async fileOf(settlement: Settlement): Promise<string> {
    return await writeClaims(this.#store, this.#folder, settlement);
  }

  /** Whom a batch pays, by provider, at most `limit`. */
  async payoutsOf(settlement: Settlement, limit: number): ReturnType<SettlementStore['payoutsOf']> {
    return await this.#store.payoutsOf(settlement, limit);
  }

  /** How a batch went on: when, by which transactions, and what of it was collected. */
  async trailOf(settlement: Settlement): ReturnType<SettlementStore['trailOf']> {
    return await this.#store.trailOf(settlement);
  }

  /** What a provider was paid, by batch, newest first. */
  async payoutsTo(providerId: string, limit: number): ReturnType<SettlementStore['payoutsTo']> {
    return await this.#store.payoutsTo(providerId, limit);
  }

  /** What an account was promised by batches that were not revoked, and what it collected, in the token's units. */
  async standingOf(account: Address): ReturnType<SettlementStore['standingOf']> {
    return await this.#store.standingOf(account);
  }

  /** Undefined when the batch has no such account. */
  async proofOf(settlement: Settlement, account: Address): Promise<Proof | undefined> {
    const { tree, places, rows } = await this.#treeOf(settlement);
    const place = places.get(account);
    const row = place === undefined ? undefined : rows[place];
    if (place === undefined || !row) return undefined;
    return { ...row, proof: tree.proofOf(place) };
  }

  async #treeOf(settlement: Settlement): Promise<Tree> {
    const known = this.#trees.get(settlement.number);
    if (known) return await known;
    const planting = this.#plant(settlement);
    this.#trees.set(settlement.number, planting);
    planting.catch(() => this.#trees.delete(settlement.number));
    for (const number of [...this.#trees.keys()].slice(0, -KEPT)) this.#trees.delete(number);
    return await planting;
  }

  async #plant(settlement: Settlement): Promise<Tree> {
    const { rows } = await readClaims(await this.fileOf(settlement));
    const places = new Map(rows.map(({ account }, i) => [account, i]));
    return { tree: new MerkleTree(this.#store.scope, rows), places, rows };
  }
}

interface Tree {
  readonly tree: MerkleTree;
  readonly places: ReadonlyMap<Address, number>;
  readonly rows: readonly { account: Address; cumulative: bigint; increase: bigint }[];
}
