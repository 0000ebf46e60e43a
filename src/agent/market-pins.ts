import type { Logger } from '#kit/log.ts';
import { type Requirements, requirementsSchema } from '#wire/requirements.ts';
import type { CatalogueModel } from './market.ts';
import type { Found } from './requirements.ts';
import { unmet } from './requirements.ts';

/**
 * What the market pins its models to, as its catalogue says: read before anything is offered, and again from time to time.
 * A pin that this version of the agent does not know cannot be checked, and so counts as not met. While the catalogue cannot
 * be read what was read last holds; before the first reading nothing is pinned, and the hub decides.
 */
export class MarketPins {
  readonly #read: () => Promise<readonly CatalogueModel[]>;
  readonly #log: Logger;
  #byName = new Map<string, Pinned>();
  #known = '';

  constructor(parts: { read: () => Promise<readonly CatalogueModel[]>; log: Logger }) {
    this.#read = parts.read;
    this.#log = parts.log;
  }

  /** Reads them anew. True when they are others than before. Never throws. */
  async look(): Promise<boolean> {
    let models: readonly CatalogueModel[];
    try {
      models = await this.#read();
    } catch (error) {
      this.#log.warn({ why: (error as Error).message }, 'what the market pins its models to cannot be read');
      return false;
    }
    const byName = new Map<string, Pinned>();
    for (const { id, slug, requirements } of models) {
      if (!requirements) continue;
      const pinned = pinnedOf(requirements);
      if (slug !== undefined) byName.set(slug, pinned);
      byName.set(id, pinned);
    }
    const now = JSON.stringify([...byName]);
    const changed = now !== this.#known;
    this.#byName = byName;
    this.#known = now;
    return changed;
  }

  /** Why the market would not have a model so, a sentence for each pin. `find` is asked only where there are pins. */
  async unmet(modelId: string, find: (pins: Requirements) => Promise<Found>): Promise<string[]> {
    const pinned = this.#byName.get(modelId);
    if (!pinned) return [];
    const found = await find(pinned.pins);
    return [
      ...unmet(pinned.pins, found),
      ...pinned.unknown.map((name) => `${name} is pinned, and this version of the agent cannot check it.`),
    ].map((reason) => `The market wants it otherwise. ${reason}`);
  }
}

interface Pinned {
  readonly pins: Requirements;
  readonly unknown: readonly string[];
}

function pinnedOf(stated: Readonly<Record<string, unknown>>): Pinned {
  const pins: Record<string, unknown> = {};
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(stated)) {
    const read = requirementsSchema.safeParse({ [name]: value });
    if (read.success) pins[name] = value;
    else unknown.push(name.slice(0, 100));
  }
  return { pins: requirementsSchema.parse(pins), unknown };
}
