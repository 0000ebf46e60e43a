import type { Model } from '#domain/model.ts';
import type { Price } from '#domain/price.ts';

/** What is sold in the simulated world, with prices that change. Every version ever in force stays known. */
export class Catalogue {
  readonly #byName = new Map<string, Model>();
  readonly prices = new Map<string, Price>();
  readonly ids: string[] = [];

  constructor() {
    // The one model whose tokens can be counted exactly (data/tokenizers lists it).
    this.#add('cygnet/cygnet-nano', 'cygnet-nano', { inputPico: 10n, outputPico: 40n });
    this.#add('zai-org/GLM-4.7-Flash', 'glm-4.7-flash', { inputPico: 50n, outputPico: 360n });
    this.#add('Qwen/Qwen3-8B', 'qwen3-8b', { inputPico: 7n, outputPico: 13n });
    const picture: Model = {
      ...(this.#byName.get('Qwen/Qwen3-8B') as Model),
      id: 'black-forest/FLUX',
      slug: 'flux',
      category: 'image',
      maxOutputTokens: null,
      price: { id: 'price_flux', unit: 'request', requestPico: 5_000n },
    };
    this.#byName.set('flux', picture);
  }

  resolve(name: string): Model | undefined {
    return this.#byName.get(name);
  }

  /** A new version of a model's price comes into force. */
  reprice(modelId: string, price: { inputPico: bigint; outputPico: bigint }): Price {
    const model = this.#byName.get(modelId) as Model;
    return this.#put({ ...model, price: this.#version(modelId, price) }).price;
  }

  #add(id: string, slug: string, price: { inputPico: bigint; outputPico: bigint }): void {
    this.ids.push(id);
    this.#put({
      id,
      slug,
      aliases: [],
      name: slug,
      category: 'llm',
      contextTokens: 8_192,
      maxOutputTokens: 512,
      minVramGb: 0,
      active: true,
      canary: null,
      price: this.#version(id, price),
    });
  }

  #version(modelId: string, price: { inputPico: bigint; outputPico: bigint }): Price {
    const version: Price = { id: `price_${modelId}_${this.prices.size + 1}`, unit: 'token', ...price };
    this.prices.set(version.id, version);
    return version;
  }

  #put(model: Model): Model {
    this.#byName.set(model.id, model);
    this.#byName.set(model.slug, model);
    return model;
  }
}
