import { askAgent } from '../control-client.ts';
import type { AgentEnv } from '../env.ts';
import type { CatalogueModel, Demand, ModelDetails } from '../market.ts';
import type { StatusBody } from '../status-body.ts';
import { readSwanFolder } from '../swan-folder.ts';
import { type AccessOptions, withMarket } from './access.ts';
import { type Answer, table, usd } from './print.ts';

/**
 * `cygnet agent models`: what this folder serves, and what the market makes of it; with `--all` everything that the market
 * sells, by what a newcomer would earn with it in a day at today's demand.
 */
export async function models(
  options: AccessOptions & { all?: boolean | undefined },
  env: AgentEnv,
): Promise<Answer> {
  return await withMarket(options, env, async ({ market, key, folder }) => {
    const [catalogue, demand] = await Promise.all([market.catalogue(), market.demand().catch(() => [])]);
    const wanted = new Map(demand.map((each) => [each.model_id, each]));
    if (options.all) return sold(catalogue, wanted);
    const [agent, says] = await Promise.all([
      askAgent<StatusBody>(folder, 'GET', '/status'),
      market.standing(key),
    ]);
    const details = says.provider_id ? await market.modelDetails(key, says.provider_id).catch(() => []) : [];
    return served({ folder, catalogue, wanted, agent, details });
  });
}

function served(facts: {
  folder: string;
  catalogue: readonly CatalogueModel[];
  wanted: ReadonlyMap<string, Demand>;
  agent: StatusBody | undefined;
  details: readonly ModelDetails[];
}): Answer {
  const { models: filed, passedOver } = readSwanFolder(facts.folder);
  const running = new Map(facts.agent?.models.map((model) => [model.id, model]));
  const sources = new Map(
    filed.map(({ id, endpoint, localName }) => [id, `${endpoint}${localName ? `#${localName}` : ''}`]),
  );
  const ids = [...new Set([...sources.keys(), ...running.keys()])];
  const accepted = new Set(facts.agent?.hubs.flatMap((hub) => hub.accepted));
  const rows = ids.map((id) => {
    const known = facts.catalogue.find((model) => model.id === id);
    const detail = facts.details.find(({ model_id }) => model_id === id);
    const model = running.get(id);
    const done = (detail?.recent_success_count ?? 0) + (detail?.recent_failure_count ?? 0);
    return {
      id,
      source: model?.source ?? sources.get(id) ?? '',
      sold: known !== undefined,
      state: model?.state ?? (facts.agent ? 'not loaded' : 'not running'),
      accepted: accepted.has(id),
      requests_24h: done,
      success_24h: done === 0 ? null : (detail?.recent_success_count ?? 0) / done,
      tokens_per_second: detail?.throughput_tok_per_s ?? null,
      market_requests_24h: facts.wanted.get(id)?.requests_24h ?? null,
      earns_output_per_million: facts.wanted.get(id)?.provider_output_price ?? null,
      reasons: model?.reasons ?? [],
    };
  });
  return {
    value: { folder: facts.folder, models: rows, passed_over: passedOver },
    lines: [
      ...(rows.length === 0
        ? ['No model is set up here. Run: cygnet agent setup']
        : table(
            ['MODEL', 'HERE', 'AT THE HUB', '>REQUESTS 24H', '>WELL', '>TOKENS/S', '>$ PER M OUT', 'FROM'],
            rows.map((row) => [
              row.id,
              row.state,
              !row.sold ? 'not sold' : row.accepted ? 'accepted' : facts.agent ? 'not accepted' : '',
              String(row.requests_24h),
              row.success_24h === null ? '' : `${Math.round(row.success_24h * 100)} %`,
              row.tokens_per_second === null ? '' : row.tokens_per_second.toFixed(1),
              row.earns_output_per_million === null ? '' : row.earns_output_per_million.toFixed(3),
              row.source,
            ]),
          )),
      ...rows.flatMap(({ id, reasons }) => reasons.map((reason) => `${id}: ${reason}`)),
      ...passedOver.map(({ id, because }) => `${id} is passed over. ${because}`),
    ],
  };
}

function sold(catalogue: readonly CatalogueModel[], wanted: ReadonlyMap<string, Demand>): Answer {
  const rows = catalogue
    .map((model) => ({ ...model, demand: wanted.get(model.id) }))
    .toSorted(
      (a, b) =>
        (b.demand?.est_entrant_daily_earnings ?? 0) - (a.demand?.est_entrant_daily_earnings ?? 0) ||
        (b.demand?.requests_24h ?? 0) - (a.demand?.requests_24h ?? 0) ||
        a.id.localeCompare(b.id),
    );
  return {
    value: { models: rows },
    lines: table(
      ['MODEL', 'CATEGORY', '>GPU GB', '>PROVIDERS', '>REQUESTS 24H', '>$ PER M OUT', '>A DAY FOR ONE MORE'],
      rows.map(({ id, category, min_vram_gb: memory, online_providers: online, demand }) => [
        id,
        category ?? '',
        memory ? String(memory) : '',
        String(online ?? 0),
        String(demand?.requests_24h ?? 0),
        demand?.provider_output_price?.toFixed(3) ?? '',
        usd(demand?.est_entrant_daily_earnings ?? 0),
      ]),
    ),
  };
}
