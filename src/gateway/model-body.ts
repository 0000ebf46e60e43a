import type { Model } from '#domain/model.ts';
import { formatUsd, type Pico } from '#domain/money.ts';

/**
 * A model as `/v1/models` shows it: OpenAI's four fields, and beside them what a buyer wants to know. Prices are dollars
 * per token or request as decimal strings, the way OpenRouter writes them.
 */
export function modelBody(model: Model, providers: number): Record<string, unknown> {
  return {
    id: model.id,
    object: 'model',
    created: 0,
    owned_by: 'swan-inference',
    slug: model.slug,
    name: model.name,
    category: model.category,
    context_length: model.contextTokens,
    max_output_tokens: model.maxOutputTokens,
    pricing:
      model.price.unit === 'token'
        ? { prompt: dollars(model.price.inputPico), completion: dollars(model.price.outputPico) }
        : {
            request: dollars(model.price.requestPico),
            ...(model.price.minutePico !== undefined && { minute: dollars(model.price.minutePico) }),
          },
    available: providers > 0,
    providers,
  };
}

function dollars(amount: Pico): string {
  return formatUsd(amount).slice(1);
}
