import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Database } from '#db/database.ts';
import { CATEGORIES } from '#domain/model.ts';
import { packageRoot } from '#kit/package-root.ts';

/**
 * The catalogue a market opens with. `data/catalogue.json` was reviewed by people; after the first start the database is
 * the truth. Seeding only ever adds: a model that is missing, and a price to a model that never had one. What an operator
 * has changed stays changed, and seeding again, or from two processes at once, adds nothing twice.
 */

/** Micro-dollars per million tokens are pico-dollars per token; a micro-dollar is a million pico-dollars. */
const amount = z.union([z.string().regex(/^\d{1,12}$/), z.number().int().nonnegative()]).transform(BigInt);
const PICO_PER_MICRO = 1_000_000n;

const catalogueFile = z.object({
  version: z.literal(1),
  reviewed: z.iso.date(),
  models: z.array(
    z.object({
      id: z.string().min(1).max(200),
      slug: z
        .string()
        .regex(/^[a-z0-9][a-z0-9._-]*$/)
        .max(200),
      aliases: z.array(z.string().min(1).max(200)).default([]),
      name: z.string().min(1),
      category: z.enum(CATEGORIES as [(typeof CATEGORIES)[number]]),
      contextTokens: z.number().int().positive().nullish(),
      maxOutputTokens: z.number().int().positive().nullish(),
      minVramGb: z.number().int().nonnegative(),
      tier: z.string(),
      license: z.string(),
      price: z.discriminatedUnion('unit', [
        z.object({
          unit: z.literal('token'),
          inputMicroUsdPerMillion: amount,
          outputMicroUsdPerMillion: amount,
          source: z.string(),
        }),
        z.object({
          unit: z.literal('request'),
          microUsdPerRequest: amount,
          microUsdPerMinute: amount.optional(),
          source: z.string(),
        }),
      ]),
    }),
  ),
});

/** A catalogue file, read. */
export type CatalogueFile = z.output<typeof catalogueFile>;

/** Reads a catalogue file, by default the one we ship. Throws with the place of each mistake. */
export function readCatalogueFile(
  file: string = path.join(packageRoot(), 'data', 'catalogue.json'),
): CatalogueFile {
  const read = catalogueFile.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (read.success) return read.data;
  throw new Error(`${file} is not a catalogue:\n${z.prettifyError(read.error)}`);
}

/**
 * Adds what is missing. The first price of a model holds from the day the file was reviewed (or from now, on a machine
 * whose clock is behind that day), so that a clock set back later does not leave the market without prices.
 */
export async function seedCatalogue(
  database: Database,
  seed: { catalogue: CatalogueFile; at: number },
): Promise<{ models: number; prices: number }> {
  const { catalogue } = seed;
  const at = new Date(seed.at);
  const effective = new Date(Math.min(seed.at, Date.parse(`${catalogue.reviewed}T00:00:00Z`)));
  return await database.transaction(async (sql) => {
    let models = 0;
    let prices = 0;
    // Two processes that start together would otherwise both see a model without a price.
    await sql`select pg_advisory_xact_lock(hashtext('seed-catalogue'))`;
    const known = new Set<string>();
    for (const row of await sql<{ id: string }[]>`
      select id from models where exists (select from prices where model_id = models.id)`) {
      known.add(row.id);
    }
    for (const model of catalogue.models) {
      if (known.has(model.id)) continue;
      const [added] = await sql`
        insert into models
          (id, slug, aliases, name, category, context_tokens, max_output_tokens, min_vram_gb, tier, license, created_at)
        values (
          ${model.id}, ${model.slug}, ${model.aliases}, ${model.name}, ${model.category}, ${model.contextTokens ?? null},
          ${model.maxOutputTokens ?? null}, ${model.minVramGb}, ${model.tier}, ${model.license}, ${at}
        )
        on conflict (id) do nothing returning id`;
      if (added) models++;
      const { price } = model;
      const [input, output, request, minute] =
        price.unit === 'token'
          ? [price.inputMicroUsdPerMillion, price.outputMicroUsdPerMillion, null, null]
          : [
              null,
              null,
              price.microUsdPerRequest * PICO_PER_MICRO,
              price.microUsdPerMinute === undefined ? null : price.microUsdPerMinute * PICO_PER_MICRO,
            ];
      const [priced] = await sql`
        insert into prices
          (id, model_id, effective_from, unit, input_pico, output_pico, request_pico, minute_pico, source, created_at)
        values (
          ${`price_first_${model.slug}`}, ${model.id}, ${effective}, ${price.unit},
          ${input}, ${output}, ${request}, ${minute}, ${price.source}, ${at}
        )
        on conflict do nothing returning id`;
      if (priced) prices++;
    }
    return { models, prices };
  });
}
