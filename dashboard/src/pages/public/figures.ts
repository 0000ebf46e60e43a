import { useQuery } from '@tanstack/react-query';
import type { StatusBody } from '#wire/status.ts';
import type { MarketModel } from '../../api.ts';
import { market } from '../../api.ts';
import type { Tone } from '../../parts/badge.tsx';

/** A model with what was measured of it in the last 24 hours. */
export interface MeasuredModel extends MarketModel {
  readonly ttftMs: number | null;
  /** Null as well where no tokens are made, as of pictures. */
  readonly tokensPerSecond: number | null;
  readonly availability: number | null;
  readonly state: Component['state'];
  readonly requests24h: number;
  readonly tier: string;
}

export type Component = StatusBody['components'][number];

/** The list of models, joined with what is measured; figures that have not come yet are null. */
export function useMeasuredModels(): {
  models: MeasuredModel[] | undefined;
  error: unknown;
  retry: () => void;
} {
  const models = useQuery(market.models());
  const status = useQuery(market.status()).data;
  const demand = useQuery(market.demand()).data;
  const measured = new Map(
    status?.components.filter(({ region }) => region === '').map((each) => [each.model, each]),
  );
  const asked = new Map(demand?.models.map((each) => [each.model_id, each]));
  return {
    error: models.error,
    retry: () => void models.refetch(),
    models: models.data
      ?.map((model): MeasuredModel => {
        const component = measured.get(model.id);
        return {
          ...model,
          ttftMs: component?.last_24h?.ttft_p50_ms ?? null,
          tokensPerSecond: component?.last_24h?.tokens_per_second || null,
          availability: component?.availability_90d ?? null,
          state: component?.state ?? (model.available ? 'operational' : 'unserved'),
          requests24h: asked.get(model.id)?.requests_24h ?? 0,
          tier: asked.get(model.id)?.tier ?? '',
        };
      })
      .toSorted(byInterest),
  };
}

/** What is served first, and of that what is asked for most. */
function byInterest(a: MeasuredModel, b: MeasuredModel): number {
  return (
    Number(b.available) - Number(a.available) ||
    b.requests24h - a.requests24h ||
    a.name.localeCompare(b.name, 'en')
  );
}

export const STATES: Readonly<Record<Component['state'], { tone: Tone; words: string }>> = {
  operational: { tone: 'good', words: 'Available' },
  degraded: { tone: 'warn', words: 'Impaired' },
  outage: { tone: 'bad', words: 'Down' },
  maintenance: { tone: 'accent', words: 'Maintenance' },
  unserved: { tone: 'neutral', words: 'No provider' },
};

export const CATEGORIES = {
  llm: 'Language',
  multimodal: 'Multimodal',
  embedding: 'Embeddings',
  image: 'Images',
  audio: 'Audio',
} as const satisfies Record<MarketModel['category'], string>;
