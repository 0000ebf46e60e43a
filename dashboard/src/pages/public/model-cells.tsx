import { Link } from '@tanstack/react-router';
import type { MarketModel } from '../../api.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import type { Column } from '../../parts/data-table.tsx';
import { duration, NOTHING, perMillion, plural, price, rate, tokens } from '../../parts/format.ts';
import { CATEGORIES, type MeasuredModel, STATES } from './figures.ts';

const dollars = (model: MarketModel, part: string): number | null =>
  model.pricing[part] === undefined ? null : Number(model.pricing[part]);

/** What a price is for, where it is not for a million tokens. */
function pieces(model: MarketModel): string {
  const { request, minute } = model.pricing;
  if (minute !== undefined) return `${price(minute)} / min`;
  return request === undefined
    ? NOTHING
    : `${price(request)} / ${model.category === 'image' ? 'image' : 'request'}`;
}

/** The price in one line, for narrow screens. */
function inBrief(model: MarketModel): string {
  const { prompt, completion } = model.pricing;
  if (prompt === undefined) return pieces(model);
  const output = answers(model) && completion !== undefined ? `, ${perMillion(completion)} out` : '';
  return `${perMillion(prompt)} in${output}`;
}

/** Whether it makes tokens that are paid for; embeddings are only read. */
function answers(model: MarketModel): boolean {
  return model.category !== 'embedding';
}

/** Columns that lists of models share. */
export const MODEL_COLUMNS = {
  name: {
    name: 'Model',
    sort: (model) => model.name,
    show: (model) => (
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <Link to={`/models/${model.id}`} className="truncate font-medium hover:text-accent">
            {model.name}
          </Link>
          {model.tier === 'free' && <Badge tone="accent">Free plan</Badge>}
          {model.category !== 'llm' && <Badge>{CATEGORIES[model.category]}</Badge>}
        </div>
        <p className="max-w-72 truncate font-mono text-xs text-faint">{model.id}</p>
        <p className="figures mt-0.5 text-sm text-soft md:hidden">{inBrief(model)}</p>
      </div>
    ),
  },
  context: {
    name: 'Context',
    number: true,
    wide: true,
    sort: (model) => model.context_length,
    show: (model) => tokens(model.context_length),
  },
  input: {
    name: 'Input / 1M',
    number: true,
    wide: true,
    sort: (model) => dollars(model, 'prompt'),
    show: (model) =>
      model.pricing['prompt'] === undefined ? (
        <span className="text-soft">{pieces(model)}</span>
      ) : (
        perMillion(model.pricing['prompt'])
      ),
  },
  output: {
    name: 'Output / 1M',
    number: true,
    wide: true,
    sort: (model) => (answers(model) ? dollars(model, 'completion') : null),
    show: (model) =>
      model.pricing['completion'] === undefined || !answers(model)
        ? NOTHING
        : perMillion(model.pricing['completion']),
  },
  ttft: {
    name: 'First token',
    number: true,
    wide: true,
    sort: (model) => model.ttftMs,
    show: (model) => duration(model.ttftMs),
  },
  speed: {
    name: 'Speed',
    number: true,
    wide: true,
    sort: (model) => model.tokensPerSecond,
    show: (model) => rate(model.tokensPerSecond),
  },
  state: {
    name: 'Now',
    wide: true,
    sort: (model) => -model.providers,
    show: (model) => (
      <StateDot tone={STATES[model.state].tone}>
        <span className={model.available ? undefined : 'text-faint'}>
          {model.available ? plural(model.providers, 'provider') : STATES[model.state].words}
        </span>
      </StateDot>
    ),
  },
} as const satisfies Record<string, Column<MeasuredModel>>;
