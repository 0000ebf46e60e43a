import type { Pico } from '#domain/money.ts';
import type { Chance } from '../chance.ts';
import type { Catalogue } from '../market/catalogue.ts';
import type { RegisterOffice } from '../market/register-office.ts';
import type { Drawn, RequestKind } from './request.ts';

export interface SimulatedConsumer {
  readonly id: string;
  readonly secrets: string[];
  readonly credit: Pico;
}

/** Consumers, from rich to nearly broke, each with a key or two. */
export function makeConsumers(count: number, chance: Chance, office: RegisterOffice): SimulatedConsumer[] {
  return Array.from({ length: count }, (_, i) => {
    const id = `con_${i}`;
    const secrets = Array.from({ length: chance.whole(1, 2) }, (__, k) => `sk-swan-${i}-${k}`);
    for (const secret of secrets) office.addKey(secret, 'consumer', id);
    const credit =
      i === 0 || chance.yes(0.75)
        ? 2_000_000_000n
        : chance.yes(0.5)
          ? BigInt(chance.whole(200_000, 3_000_000))
          : BigInt(chance.whole(0, 60_000));
    return { id, secrets, credit };
  });
}

const KINDS: Readonly<Record<RequestKind, number>> = {
  good: 1_000,
  'key-unknown': 4,
  'key-missing': 2,
  'key-of-provider': 2,
  'body-broken': 4,
  'body-wrong': 4,
  'tokens-oversized': 4,
  'model-unknown': 4,
  'model-of-pictures': 2,
  poison: 2,
  'huge-prompt': 3,
};

/** Draws the next request of anybody. */
export function drawRequest(
  n: number,
  chance: Chance,
  world: { consumers: readonly SimulatedConsumer[]; catalogue: Catalogue; calm: boolean },
): Drawn {
  const kind = world.calm ? 'good' : chance.weighted(KINDS);
  const consumer = world.calm ? (world.consumers[0] as SimulatedConsumer) : chance.one(world.consumers);
  const secret = {
    'key-unknown': 'sk-swan-nobody',
    'key-missing': undefined,
    'key-of-provider': 'sk-prov-0',
  }[kind as string];
  if (kind === 'poison') return poisonOf(chance, consumer, world.catalogue);
  const modelId = chance.one(world.catalogue.ids);
  const stream = chance.yes(0.8);
  const includeUsage = stream && chance.yes(0.4);
  const maxTokens =
    kind === 'tokens-oversized' ? 513 : chance.yes(0.8) ? chance.one([1, 4, 16, 64, 256]) : undefined;
  const phrases = kind === 'huge-prompt' ? chance.whole(400, 800) : chance.whole(1, 12);
  const prompt = `r${n} ${'lorem ipsum dolor '.repeat(phrases)}`;
  const slug = modelId.slice(modelId.indexOf('/') + 1).toLowerCase();
  const model =
    kind === 'model-unknown'
      ? 'gpt-nobody'
      : kind === 'model-of-pictures'
        ? 'flux'
        : chance.yes(0.3)
          ? slug
          : modelId;
  const fields: Record<string, unknown> = {
    model,
    messages: kind === 'body-wrong' ? [] : [{ role: 'user', content: prompt }],
  };
  if (stream) fields['stream'] = true;
  if (includeUsage) fields['stream_options'] = { include_usage: true };
  if (maxTokens !== undefined) fields[chance.yes(0.8) ? 'max_tokens' : 'max_completion_tokens'] = maxTokens;
  if (chance.yes(0.1)) fields['user'] = 'canary-user';
  const text = JSON.stringify(fields);
  return {
    kind,
    consumerId: consumer.id,
    secret: 'key-unknown key-missing key-of-provider'.includes(kind) ? secret : chance.one(consumer.secrets),
    modelId,
    stream,
    includeUsage,
    maxTokens,
    promptWords: 1 + 3 * phrases,
    body: Buffer.from(kind === 'body-broken' ? text.slice(0, -chance.whole(1, 20)) : text),
  };
}

/** A request that is the same whoever sends it and whenever: only so is it recognised. */
function poisonOf(chance: Chance, consumer: SimulatedConsumer, catalogue: Catalogue): Drawn {
  const modelId = chance.one(catalogue.ids);
  const body = {
    model: modelId,
    messages: [{ role: 'user', content: 'poison' }],
    stream: true,
    max_tokens: 16,
  };
  return {
    kind: 'poison',
    consumerId: consumer.id,
    secret: consumer.secrets[0],
    modelId,
    stream: true,
    includeUsage: false,
    maxTokens: 16,
    promptWords: 1,
    body: Buffer.from(JSON.stringify(body)),
  };
}
