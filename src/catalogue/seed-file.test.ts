import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

// The catalogue file decides what a fresh market sells and for how much, and its prices become history that nothing
// rewrites. So what operators rely on is asserted about the file itself, without the code that loads it.

interface SeedPrice {
  unit: string;
  inputMicroUsdPerMillion?: string;
  outputMicroUsdPerMillion?: string;
  microUsdPerRequest?: string;
  microUsdPerMinute?: string;
  source: string;
}

interface SeedModel {
  id: string;
  slug: string;
  aliases?: string[];
  name: string;
  category: string;
  contextTokens: number | null;
  maxOutputTokens?: number;
  minVramGb: number;
  tier: string;
  license: string;
  price: SeedPrice;
}

const file = JSON.parse(readFileSync(join(process.cwd(), 'data', 'catalogue.json'), 'utf8')) as {
  version: number;
  reviewed: string;
  models: SeedModel[];
};
const models = file.models;
const nano = 'cygnet/cygnet-nano';

const categories = ['llm', 'image', 'audio', 'embedding', 'multimodal'];
const generates = (model: SeedModel) => model.category === 'llm' || model.category === 'multimodal';
const readsTokens = (model: SeedModel) => generates(model) || model.category === 'embedding';
const duplicates = (names: string[]) => names.filter((name, index) => names.indexOf(name) !== index);
const offenders = (wrong: (model: SeedModel) => boolean) => models.filter(wrong).map((model) => model.id);

const microUsdPerMillionMax = 100_000_000n;
const microUsdPerRequestMax = 1_000_000n;

/** The figures of a price, each with the highest value it may have. */
const figures = (price: SeedPrice) =>
  Object.entries(price)
    .filter(([field]) => field !== 'unit' && field !== 'source')
    .map(([field, value]) => ({
      field,
      value: value as unknown,
      max: field.endsWith('PerMillion') ? microUsdPerMillionMax : microUsdPerRequestMax,
    }));

describe('the catalogue file', () => {
  it('has a version and the date of its last review', () => {
    expect(file.version).toBe(1);
    expect(file.reviewed).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  });

  it('offers at least 42 models besides the shipped one, in all five categories', () => {
    const others = models.filter((model) => model.id !== nano);
    expect(others.length).toBeGreaterThanOrEqual(42);
    expect([...new Set(others.map((model) => model.category))].toSorted()).toEqual(
      [...categories].toSorted(),
    );
  });

  it('holds the shipped model at its own small limits', () => {
    expect(models.find((model) => model.id === nano)).toMatchObject({
      slug: 'cygnet-nano',
      category: 'llm',
      contextTokens: 512,
      maxOutputTokens: 256,
      minVramGb: 0,
      tier: 'free',
      price: { inputMicroUsdPerMillion: '50000', outputMicroUsdPerMillion: '200000', source: 'operator' },
    });
  });
});

describe('names', () => {
  it('never repeat an id, not even in another case', () => {
    expect(duplicates(models.map((model) => model.id.toLowerCase()))).toEqual([]);
  });

  it('never repeat a slug, aliases included', () => {
    expect(duplicates(models.flatMap((model) => [model.slug, ...(model.aliases ?? [])]))).toEqual([]);
  });

  it('are an organisation and a repository for an id', () => {
    expect(offenders((model) => !/^[A-Za-z0-9.-]+\/[A-Za-z0-9._-]+$/.test(model.id))).toEqual([]);
  });

  it('are lower case for slugs and aliases', () => {
    const names = models.flatMap((model) => [model.slug, ...(model.aliases ?? [])]);
    expect(names.filter((name) => !/^[a-z0-9.-]+$/.test(name))).toEqual([]);
  });

  it('include the repository name in lower case, underscores as dots', () => {
    const plain = (id: string) => (id.split('/')[1] ?? '').toLowerCase().replaceAll('_', '.');
    expect(offenders((model) => ![model.slug, ...(model.aliases ?? [])].includes(plain(model.id)))).toEqual(
      [],
    );
  });

  it.each([
    ['llama-3.2-3b', 'meta-llama/Llama-3.2-3B-Instruct'],
    ['glm-4.7-flash', 'zai-org/GLM-4.7-Flash'],
    ['bge-large-en-v1.5', 'BAAI/bge-large-en-v1.5'],
    ['flux-1-schnell', 'black-forest-labs/FLUX.1-schnell'],
    ['whisper-large-v3', 'openai/whisper-large-v3'],
    ['qwen2.5-7b', 'Qwen/Qwen2.5-7B-Instruct'],
  ])('let %s mean %s', (slug, id) => {
    expect(models.find((model) => model.slug === slug)?.id).toBe(id);
  });
});

describe('each model', () => {
  it('has a known category and tier, a name, and a licence that does not forbid paid serving', () => {
    expect(offenders((model) => !categories.includes(model.category))).toEqual([]);
    expect(offenders((model) => !['free', 'standard', 'premium'].includes(model.tier))).toEqual([]);
    expect(offenders((model) => model.name.trim() === '')).toEqual([]);
    expect(
      offenders((model) => model.license === '' || /non-?commercial|\bNC\b/i.test(model.license)),
    ).toEqual([]);
  });

  it('states its memory in whole gigabytes', () => {
    expect(offenders((model) => !Number.isInteger(model.minVramGb) || model.minVramGb < 0)).toEqual([]);
  });

  it('has a context exactly when it reads tokens', () => {
    const fits = ({ contextTokens }: SeedModel) =>
      Number.isInteger(contextTokens) && (contextTokens ?? 0) > 0;
    expect(offenders((model) => (readsTokens(model) ? !fits(model) : model.contextTokens !== null))).toEqual(
      [],
    );
  });

  it('has an output limit exactly when it writes tokens, at most 16,384 and at most its context', () => {
    expect(offenders((model) => generates(model) !== (model.maxOutputTokens !== undefined))).toEqual([]);
    expect(
      offenders(({ maxOutputTokens = 1, contextTokens }) => {
        const within =
          maxOutputTokens <= 16_384 && maxOutputTokens <= (contextTokens ?? Number.POSITIVE_INFINITY);
        return !Number.isInteger(maxOutputTokens) || maxOutputTokens < 1 || !within;
      }),
    ).toEqual([]);
  });
});

describe('prices', () => {
  it('are non-negative integers in strings, within $100 per million tokens and $1 per request or minute', () => {
    const wrong = models.flatMap((model) =>
      figures(model.price)
        .filter(
          ({ value, max }) =>
            typeof value !== 'string' || !/^(0|[1-9]\d*)$/.test(value) || BigInt(value) > max,
        )
        .map(({ field, value }) => `${model.id} ${field} ${String(value)}`),
    );
    expect(wrong).toEqual([]);
  });

  it('carry exactly the figures their category is billed by', () => {
    const fields = (model: SeedModel) =>
      figures(model.price)
        .map(({ field }) => field)
        .toSorted();
    const expected = (model: SeedModel) => {
      if (readsTokens(model)) return ['inputMicroUsdPerMillion', 'outputMicroUsdPerMillion'];
      if (model.category === 'audio' && model.price.microUsdPerMinute !== undefined)
        return ['microUsdPerMinute', 'microUsdPerRequest'];
      return ['microUsdPerRequest'];
    };
    expect(offenders((model) => fields(model).join() !== expected(model).join())).toEqual([]);
    expect(offenders((model) => model.price.unit !== (readsTokens(model) ? 'token' : 'request'))).toEqual([]);
  });

  it('never let a model be used for nothing', () => {
    expect(
      offenders(({ price }) => price.inputMicroUsdPerMillion === '0' || price.microUsdPerRequest === '0'),
    ).toEqual([]);
  });

  it('cost nothing for the output of an embedding', () => {
    expect(
      offenders((model) => model.category === 'embedding' && model.price.outputMicroUsdPerMillion !== '0'),
    ).toEqual([]);
  });

  it('say where they come from', () => {
    expect(offenders(({ price }) => price.source !== 'contract' && price.source !== 'operator')).toEqual([]);
  });

  const published: Record<string, Partial<SeedPrice>> = {
    'qwen3-coder-30b': { inputMicroUsdPerMillion: '50000', outputMicroUsdPerMillion: '100000' },
    'glm-4.7-flash': { inputMicroUsdPerMillion: '50000', outputMicroUsdPerMillion: '360000' },
    'sapphira-70b': { inputMicroUsdPerMillion: '200000', outputMicroUsdPerMillion: '300000' },
    'cydonia-24b': { inputMicroUsdPerMillion: '300000', outputMicroUsdPerMillion: '500000' },
    'bge-large-en-v1.5': { inputMicroUsdPerMillion: '10000', outputMicroUsdPerMillion: '0' },
    'whisper-large-v3': { microUsdPerMinute: '3000' },
  };

  it.each(Object.entries(published))('of %s are the published ones', (slug, price) => {
    expect(models.find((model) => model.slug === slug)?.price).toMatchObject(price);
  });

  it('claim the contract as their source only where it publishes one', () => {
    const claimed = models.filter((model) => model.price.source === 'contract').map((model) => model.slug);
    expect(claimed.toSorted()).toEqual(Object.keys(published).toSorted());
  });
});
