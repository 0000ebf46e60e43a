import { isDeepStrictEqual } from 'node:util';
import type { Operation } from '#domain/operation.ts';
import { type Clock, pause } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Sealed } from '#kit/sealed.ts';
import type { ModelDeclaration, ModelHash, ModelHealth } from '#wire/agent/messages.ts';
import type { Backend } from './backends/backend.ts';
import type { HealthWatch } from './model-health.ts';
import type { Desk, ServedModel } from './serve.ts';
import type { ModelSetting } from './settings.ts';

/**
 * What this agent offers now, and how that changes while it runs. A new list of models is compared with the old one, and
 * only what differs is touched:
 *
 * - A new model is opened, looked at, held against its pins, and only then announced.
 * - A model with another source is opened beside the old one and put in its place; the old backend ends what it has.
 * - A model with other limits is given them where it stands.
 * - A model that is gone is announced no more. What the hub sends until it has heard of that is still served; the model goes
 *   when that time is over and its last request has ended.
 *
 * So no request is lost to a change. What cannot be opened is left out, and said; it takes no other model with it.
 */
export class Shelf {
  readonly #parts: ShelfParts;
  readonly #models = new Map<string, Offered>();
  /** Limits that were set while running: they hold until the setting of that model changes. */
  readonly #overrides = new Map<string, LimitChange>();
  #work: Promise<unknown> = Promise.resolve();
  /** Backends that are ending what they have. */
  readonly #retiring = new Set<Backend>();
  readonly #closing = new AbortController();

  constructor(parts: ShelfParts) {
    this.#parts = parts;
  }

  /** Opens the first models. Rejects when one cannot be opened, and leaves none open then. */
  async open(settings: readonly ModelSetting[]): Promise<void> {
    try {
      for (const setting of settings) this.#models.set(setting.id, await this.#opened(setting));
    } catch (error) {
      await closeAll([...this.#models.values()].flatMap(({ backend }) => backend ?? []));
      throw error;
    }
    await Promise.all(
      [...this.#models.values()].map(async (offered) => {
        await this.#parts.watch.add(servedOf(offered), 'hopeful');
        await this.#check(offered);
        this.#serve(offered);
      }),
    );
  }

  /** Makes the shelf hold `settings`. Changes come one after the other; resolves with what changed, once it is announced. */
  apply(settings: readonly ModelSetting[]): Promise<ShelfChange> {
    const work = this.#work.then(() => this.#apply(settings));
    this.#work = work.catch(() => {});
    return work;
  }

  /** Changes what one model may do, until its own setting changes. False when it is not here. */
  limit(id: string, change: LimitChange): boolean {
    const offered = this.#models.get(id);
    if (!offered || offered.leaving) return false;
    this.#overrides.set(id, { ...this.#overrides.get(id), ...change });
    this.#serve(offered);
    this.#parts.announce();
    return true;
  }

  /** The limits over all models have changed: each model is given what they leave it. */
  limitsChanged(): void {
    for (const offered of this.#models.values()) this.#serve(offered);
    this.#parts.announce();
  }

  /** The models that may be sent work now. */
  ready(): string[] {
    return [...this.#models.values()]
      .filter(({ backend, leaving, unmet }) => backend && !leaving && unmet.length === 0)
      .map(({ setting }) => setting.id)
      .filter((id) => this.#parts.watch.of(id) !== 'unhealthy');
  }

  /** The health of what is offered, for the hub. */
  health(): Record<string, ModelHealth> {
    return Object.fromEntries(
      [...this.#models.values()]
        .filter(({ leaving, backend }) => !leaving && backend)
        .map(({ setting, unmet }) => [
          setting.id,
          unmet.length > 0 ? 'unhealthy' : this.#parts.watch.of(setting.id),
        ]),
    );
  }

  /** Looks again at what each model is pinned to: a backend may say only later what it is. */
  async checkPins(): Promise<void> {
    for (const offered of this.#models.values()) await this.#check(offered);
  }

  /** Everything about every model, for people and programs. */
  states(): ModelState[] {
    const tallies = this.#parts.desk.tallies();
    return [...this.#models.values()].map((offered) => {
      const { setting, unmet, leaving, failure, backend } = offered;
      const tally = tallies.get(setting.id);
      return {
        id: setting.id,
        source: describeSource(setting),
        state: failure !== undefined ? 'failed' : leaving ? 'leaving' : this.#word(offered),
        reasons: failure === undefined ? unmet : [failure],
        engine: backend?.facts.engine,
        contextLength: setting.contextLength ?? backend?.facts.contextLength,
        concurrency: this.#concurrency(offered),
        requestsPerMinute: this.#perMinute(offered),
        active: tally?.active ?? 0,
        waiting: tally?.waiting ?? 0,
        total: tally?.total ?? 0,
        failed: tally?.failed ?? 0,
        refused: tally?.refused ?? 0,
        tokensIn: tally?.tokensIn ?? 0,
        tokensOut: tally?.tokensOut ?? 0,
        tookMs: tally?.tookMs ?? 0,
      };
    });
  }

  /** What is said of these models at registration. */
  declarations(ids: readonly string[]): { hashes: ModelHash[]; declarations: ModelDeclaration[] } {
    const hashes: ModelHash[] = [];
    const declarations: ModelDeclaration[] = [];
    for (const id of ids) {
      const offered = this.#models.get(id);
      if (!offered?.backend) continue;
      const { setting, backend } = offered;
      const context = setting.contextLength ?? backend.facts.contextLength;
      const source = setting.contextLength === undefined ? 'detected' : 'override';
      const engine = backend.facts.engine;
      const weights = setting.requirements?.weights_sha256;
      hashes.push({
        model_id: id,
        ...(weights === undefined ? {} : { weight_hash: weights, hash_algo: 'sha256' }),
        ...(setting.format === undefined ? {} : { format: setting.format }),
        ...(setting.quantization === undefined ? {} : { quantization: setting.quantization }),
        ...(context === undefined ? {} : { context_length: context, context_source: source }),
      });
      const operations = setting.operations ?? backend.operations;
      declarations.push({
        schema_version: '1',
        model_id: id,
        ...(context === undefined ? {} : { context_source: source }),
        ...(engine === undefined || engine === 'rehearsal' ? {} : { engine }),
        ...(weights === undefined ? {} : { weight_hash: weights, hash_algo: 'sha256' }),
        input_modalities: [
          {
            type: 'text',
            ...(context === undefined ? {} : { max_context_length: { value: context, unit: 'token' } }),
          },
        ],
        output_modalities: modalitiesOf(operations),
        operations: [...operations],
        capacity: [{ type: 'concurrency', unit: 'request', value: this.#concurrency(offered) }],
      });
    }
    return { hashes, declarations };
  }

  /** Closes every backend. What is under way is cut off. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#work;
    const backends = [...this.#models.values()].flatMap(({ backend }) => backend ?? []);
    backends.push(...this.#retiring);
    this.#retiring.clear();
    await closeAll(backends);
  }

  async #apply(settings: readonly ModelSetting[]): Promise<ShelfChange> {
    const change: ShelfChange = { added: [], changed: [], removed: [], failed: [] };
    if (this.#closing.signal.aborted) return change;
    for (const setting of settings) {
      const old = this.#models.get(setting.id);
      if (old && !old.leaving && !old.failure && sameSource(old.setting, setting)) {
        if (isDeepStrictEqual(plain(old.setting), plain(setting))) continue;
        if (!sameLimits(old.setting, setting)) this.#overrides.delete(setting.id);
        old.setting = setting;
        this.#serve(old);
        await this.#check(old);
        change.changed.push(setting.id);
      } else await this.#replace(setting, old, change);
    }
    const wanted = new Set(settings.map(({ id }) => id));
    for (const [id, offered] of this.#models) {
      if (wanted.has(id) || offered.leaving) continue;
      change.removed.push(id);
      this.#leave(offered);
    }
    const count = change.added.length + change.changed.length + change.removed.length + change.failed.length;
    if (count > 0) this.#parts.announce();
    return change;
  }

  async #replace(setting: ModelSetting, old: Offered | undefined, change: ShelfChange): Promise<void> {
    let offered: Offered;
    try {
      offered = await this.#opened(setting);
    } catch (error) {
      const failure = error instanceof Error ? error.message : 'It could not be opened.';
      change.failed.push({ id: setting.id, because: failure });
      this.#parts.log.error({ model: setting.id, why: failure }, 'a model could not be opened');
      // One that serves goes on as it was: nobody gains from its going.
      if (!old || old.leaving || old.failure)
        this.#models.set(setting.id, { setting, backend: undefined, unmet: [], leaving: false, failure });
      return;
    }
    await this.#parts.watch.add(servedOf(offered));
    await this.#check(offered);
    if (old && !sameLimits(old.setting, setting)) this.#overrides.delete(setting.id);
    this.#models.set(setting.id, offered);
    this.#serve(offered);
    (old?.backend && !old.leaving ? change.changed : change.added).push(setting.id);
    if (old?.backend) this.#retire(old.backend);
  }

  /** Is announced no more, and goes when nobody sends it anything any longer. */
  #leave(offered: Offered): void {
    const { id } = offered.setting;
    offered.leaving = true;
    this.#overrides.delete(id);
    if (!offered.backend) {
      this.#models.delete(id);
      return;
    }
    const { backend } = offered;
    void (async () => {
      await pause(this.#parts.clock, LEAVING_MS, this.#closing.signal);
      // It may have come back meanwhile, by another change.
      if (this.#models.get(id) !== offered || this.#closing.signal.aborted) return;
      await this.#parts.desk.free(backend);
      if (this.#models.get(id) !== offered) return;
      this.#models.delete(id);
      this.#parts.desk.take(id);
      this.#parts.watch.remove(id);
      this.#retire(backend);
    })();
  }

  /** Closes a backend when its last request has ended. */
  #retire(backend: Backend): void {
    this.#retiring.add(backend);
    void (async () => {
      await this.#parts.desk.free(backend);
      if (this.#retiring.delete(backend)) await backend.close();
    })();
  }

  async #opened(setting: ModelSetting): Promise<Offered> {
    return {
      setting,
      backend: await this.#parts.open(setting),
      unmet: [],
      leaving: false,
      failure: undefined,
    };
  }

  async #check(offered: Offered): Promise<void> {
    const { setting, backend } = offered;
    if (!backend) return;
    const reasons = await this.#parts.unmet(setting, backend);
    if (isDeepStrictEqual(reasons, offered.unmet)) return;
    offered.unmet = reasons;
    if (reasons.length > 0)
      this.#parts.log.error({ model: setting.id, reasons }, 'a model is not what it is pinned to');
  }

  /** Hands the model with its limits to the desk. */
  #serve(offered: Offered): void {
    if (!offered.backend) return;
    this.#parts.desk.put({
      ...servedOf(offered),
      concurrent: this.#concurrency(offered),
      perMinute: this.#perMinute(offered),
    });
  }

  #concurrency({ setting, backend }: Offered): number {
    const own = this.#overrides.get(setting.id)?.concurrency ?? setting.concurrency;
    const all = this.#parts.desk.limits.concurrent;
    return Math.min(all, own ?? backend?.facts.parallel ?? all);
  }

  #perMinute({ setting }: Offered): number | undefined {
    const override = this.#overrides.get(setting.id);
    if (override?.requestsPerMinute === null) return undefined;
    return override?.requestsPerMinute ?? setting.requestsPerMinute;
  }

  #word({ setting, unmet }: Offered): ModelState['state'] {
    if (unmet.length > 0) return 'not as pinned';
    const health = this.#parts.watch.of(setting.id);
    return health === 'healthy' ? 'ready' : health;
  }
}

export interface ShelfParts {
  readonly open: (setting: ModelSetting) => Promise<Backend>;
  /** Why a model does not meet what it is pinned to. */
  readonly unmet: (setting: ModelSetting, backend: Backend) => Promise<string[]>;
  readonly desk: Desk;
  readonly watch: HealthWatch;
  readonly clock: Clock;
  readonly log: Logger;
  /** Tells the hubs what is offered now. */
  readonly announce: () => void;
}

/** Of one model. Undefined leaves a limit; null takes one away. */
export interface LimitChange {
  readonly concurrency?: number | undefined;
  readonly requestsPerMinute?: number | null | undefined;
}

export interface ShelfChange {
  readonly added: string[];
  readonly changed: string[];
  readonly removed: string[];
  readonly failed: { id: string; because: string }[];
}

export interface ModelState {
  readonly id: string;
  readonly source: string;
  readonly state: 'ready' | 'degraded' | 'unhealthy' | 'unknown' | 'not as pinned' | 'failed' | 'leaving';
  readonly reasons: readonly string[];
  readonly engine: string | undefined;
  readonly contextLength: number | undefined;
  readonly concurrency: number;
  readonly requestsPerMinute: number | undefined;
  readonly active: number;
  readonly waiting: number;
  readonly total: number;
  readonly failed: number;
  readonly refused: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly tookMs: number;
}

interface Offered {
  setting: ModelSetting;
  readonly backend: Backend | undefined;
  unmet: string[];
  leaving: boolean;
  readonly failure: string | undefined;
}

/** How long a hub may take to hear that a model is offered no more. */
const LEAVING_MS = 10_000;

async function closeAll(backends: readonly Backend[]): Promise<void> {
  await Promise.all(backends.map(async (backend) => await backend.close()));
}

function servedOf({ setting, backend }: Offered): ServedModel {
  if (!backend) throw new Error('a model without a backend cannot serve');
  return { id: setting.id, backend, concurrent: 1, operations: setting.operations };
}

function sameSource(a: ModelSetting, b: ModelSetting): boolean {
  // What is loaded depends on these as well.
  return isDeepStrictEqual(
    [plain(a.source), a.source.kind === 'embedded' && a.contextLength],
    [plain(b.source), b.source.kind === 'embedded' && b.contextLength],
  );
}

function sameLimits(a: ModelSetting, b: ModelSetting): boolean {
  return a.concurrency === b.concurrency && a.requestsPerMinute === b.requestsPerMinute;
}

/** With the secrets open, for comparisons: two sealed values never look different from outside. */
function plain(value: unknown): unknown {
  if (value instanceof Sealed) return value.open();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

function describeSource({ source }: ModelSetting): string {
  if (source.kind === 'embedded') return source.path;
  if (source.kind === 'rehearsal') return `rehearsal:${source.plan}`;
  const url = new URL(source.url);
  // A user name or password in an address is nobody's business.
  url.username = '';
  url.password = '';
  return `${url.href}${source.localName === undefined ? '' : `#${source.localName}`}`;
}

const MODALITY: Readonly<Record<Operation, string>> = {
  'chat/completions': 'text',
  completions: 'text',
  embeddings: 'embeddings',
  'images/generations': 'image',
  'audio/transcriptions': 'transcription',
};

function modalitiesOf(operations: readonly Operation[]): { type: string; streaming?: boolean }[] {
  const types = new Set(operations.map((operation) => MODALITY[operation]));
  return [...types].map((type) => (type === 'text' ? { type, streaming: true } : { type }));
}
