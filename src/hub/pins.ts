import type { Model } from '#domain/model.ts';
import type { RegisterRead } from '#wire/agent/messages.ts';

/**
 * Whether what an agent states of a model contradicts what the operator pins it to. Only contradictions are held against it: a
 * Swan agent states little, and our own has checked every pin before (`agent/market-pins.ts`). What is stated proves nothing;
 * it spares an honest provider with the wrong set-up a market that sends it work.
 */
export function contradiction(
  model: Pick<Model, 'requirements'>,
  register: RegisterRead,
  about: { name: string; totalGb: number | undefined; toleranceGb: number },
): string | undefined {
  const pins = model.requirements;
  if (!pins) return undefined;
  const { name, totalGb, toleranceGb } = about;
  const declaration = register.model_declarations?.find((each) => each.model_id === name);
  const hash = register.model_hashes?.find((each) => each.model_id === name);
  const weights = declaration?.weight_hash ?? hash?.weight_hash;
  const algorithm = declaration?.hash_algo ?? hash?.hash_algo ?? 'sha256';
  const context =
    declaration?.input_modalities?.find((each) => each.max_context_length)?.max_context_length?.value ??
    hash?.context_length;
  const { weights_sha256: wanted, engine, min_context_length: least, min_vram_gb: memory } = pins;
  if (wanted !== undefined && weights !== undefined && algorithm === 'sha256' && weights !== wanted)
    return 'pinned to other weights';
  if (engine !== undefined && declaration?.engine !== undefined && declaration.engine !== engine)
    return `pinned to the engine ${engine}`;
  if (typeof least === 'number' && context !== undefined && context < least)
    return `pinned to a context of at least ${least}`;
  if (typeof memory === 'number' && totalGb !== undefined && totalGb + toleranceGb < memory)
    return `pinned to at least ${memory} GB`;
  return undefined;
}
