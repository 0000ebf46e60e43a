import { CHAT_ONLY, type OperationSet, operationSet } from '#domain/operation.ts';
import { STREAM_EXTENSION } from '#wire/agent/frames.ts';
import type { Hardware, RegisterRead } from '#wire/agent/messages.ts';
import { contradiction } from './pins.ts';
import type { ModelFinder } from './ports.ts';
import type { HubSettings } from './settings.ts';

/** The generations of the Swan agent (Swan contract, first table). */
export type Generation = 'A' | 'B' | 'C';
export type Dialect = 'swan' | 'stream';

/** A model that an agent may serve. */
export interface DeclaredModel {
  readonly modelId: string;
  /** The agent's own spelling: what it must be called by. */
  readonly name: string;
  readonly capacity: number;
  readonly operations: OperationSet;
  /** As stated, in lower case; null when not stated. */
  readonly quantization: string | null;
  /** The parameters stated as supported; null when none are stated. */
  readonly parameters: ReadonlySet<string> | null;
  /** The hash of the weights, as stated; null when not stated. */
  readonly version: string | null;
}

/** What a registration comes to, once the catalogue and the limits have had their say. */
export interface Declaration {
  readonly generation: Generation;
  readonly dialect: Dialect;
  readonly models: readonly DeclaredModel[];
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
  readonly vramGb: number | null;
  readonly linkCapacity: number;
  readonly requestBytesMax: number;
}

/** Reads a registration. Pure: the same words and the same catalogue give the same declaration. */
export function readDeclaration(
  register: RegisterRead,
  models: ModelFinder,
  settings: HubSettings,
): Declaration {
  const dialect: Dialect = register.capabilities.includes(STREAM_EXTENSION) ? 'stream' : 'swan';
  const generation = generationOf(register.cp_version, settings.generationCFrom);
  const declares = dialect === 'stream' || generation === 'C';
  const hardware = memoryOf(register.hardware);
  const accepted = new Map<string, DeclaredModel>();
  const refused: { name: string; reason: string }[] = [];
  let largest = 0;
  let together = 0;
  for (const name of new Set(register.models)) {
    const model = models.resolve(name);
    const reason =
      refusal(model, hardware, accepted, settings) ??
      (model &&
        contradiction(model, register, {
          name,
          totalGb: hardware?.totalGb,
          toleranceGb: settings.vramToleranceGb * (hardware?.gpus ?? 1),
        }));
    if (reason !== undefined || !model) {
      refused.push({ name, reason: reason ?? 'not in the catalogue' });
      continue;
    }
    const stated = declares ? statedCapacity(register, name) : undefined;
    const capacity = Math.min(stated ?? settings.modelCapacityDefault, settings.modelCapacityMax);
    largest = Math.max(largest, capacity);
    together += capacity;
    accepted.set(model.id, {
      modelId: model.id,
      name,
      capacity,
      operations: operationsOf(register, name, { dialect, generation }),
      ...statedOf(register, name),
    });
  }
  const linkLimit =
    dialect === 'stream' ? settings.linkCapacityMax : Math.max(settings.linkCapacityDefault, largest);
  return {
    generation,
    dialect,
    models: [...accepted.values()],
    refused,
    vramGb: hardware?.totalGb ?? null,
    linkCapacity: Math.min(together, linkLimit, settings.linkCapacityMax),
    requestBytesMax: declares ? settings.requestBytesMaxNew : settings.requestBytesMaxOld,
  };
}

/** A: no version. C: at least `from`. B, which is treated like A where it matters: anything else, the unreadable too. */
function generationOf(version: string | undefined, from: string): Generation {
  if (version === undefined) return 'A';
  const have = versionParts(version);
  const want = versionParts(from);
  if (!have || !want) return 'B';
  for (let i = 0; i < 3; i++) {
    const difference = (have[i] as number) - (want[i] as number);
    if (difference !== 0) return difference > 0 ? 'C' : 'B';
  }
  return 'C';
}

function versionParts(version: string): number[] | undefined {
  const match = /^v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?![\d.])/.exec(version);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

interface Memory {
  readonly perGpuGb: number;
  readonly gpus: number;
  readonly totalGb: number;
}

const GPUS_MAX = 64;

/**
 * GPU memory, where it is known: generation C says 0 when it does not know, A says 1 for memory shared with the
 * processor (Swan contract 1.4).
 */
function memoryOf(hardware: Hardware | undefined): Memory | undefined {
  const perGpuGb = hardware?.vram_gb;
  if (perGpuGb === undefined || perGpuGb <= 1) return undefined;
  const gpus = Math.min(Math.max(1, hardware?.gpu_count ?? 1), GPUS_MAX);
  return { perGpuGb, gpus, totalGb: perGpuGb * gpus };
}

function refusal(
  model: ReturnType<ModelFinder['resolve']>,
  hardware: Memory | undefined,
  accepted: ReadonlyMap<string, DeclaredModel>,
  settings: HubSettings,
): string | undefined {
  if (!model) return 'not in the catalogue';
  if (!model.active) return 'not offered at present';
  if (accepted.has(model.id)) return 'listed twice under different names';
  if (accepted.size >= settings.modelsPerNodeMax) return 'more models than one node may list';
  if (!hardware) return settings.unknownHardwareAllowed ? undefined : 'the hardware is unknown';
  const { vramFloorGb, vramToleranceGb } = settings;
  if (hardware.perGpuGb + vramToleranceGb < vramFloorGb) return `a GPU needs ${vramFloorGb} GB`;
  if (hardware.totalGb + vramToleranceGb * hardware.gpus < model.minVramGb)
    return `needs ${model.minVramGb} GB`;
  return undefined;
}

/** What the agent states about a model; where it declares and hashes, the declaration is preferred (Swan contract 1.3). */
function statedOf(
  register: RegisterRead,
  name: string,
): Pick<DeclaredModel, 'quantization' | 'parameters' | 'version'> {
  const declaration = register.model_declarations?.find((each) => each.model_id === name);
  const hash = register.model_hashes?.find((each) => each.model_id === name);
  const parameters = declaration?.output_modalities?.flatMap((each) => each.supported_parameters ?? []);
  return {
    quantization: (declaration?.quantization ?? hash?.quantization)?.toLowerCase() ?? null,
    parameters: parameters && parameters.length > 0 ? new Set(parameters) : null,
    version: declaration?.weight_hash ?? hash?.weight_hash ?? null,
  };
}

/** The concurrency that the agent declares for a model, when it declares one. */
function statedCapacity(register: RegisterRead, name: string): number | undefined {
  const declaration = register.model_declarations?.find((each) => each.model_id === name);
  const stated = declaration?.capacity?.find((each) => each.type === 'concurrency')?.value;
  return stated !== undefined && Number.isSafeInteger(stated) && stated >= 1 ? stated : undefined;
}

/** What generation C tells apart by `operation`; text completions it knows only as chat (`text-by-chat.ts`). */
const SWAN_C: OperationSet = operationSet([
  'chat/completions',
  'embeddings',
  'images/generations',
  'audio/transcriptions',
]);
const BY_MODALITY: Readonly<Record<string, string>> = {
  text: 'chat/completions',
  embeddings: 'embeddings',
  image: 'images/generations',
  transcription: 'audio/transcriptions',
};

/**
 * What may be asked of a model. Generations A and B post everything to their backend's chat (Swan contract 1.10), unless
 * one declares another kind of output; C goes by `operation`; an agent that speaks the extension says it in words.
 */
function operationsOf(
  register: RegisterRead,
  name: string,
  agent: { dialect: Dialect; generation: Generation },
): OperationSet {
  const declaration = register.model_declarations?.find((each) => each.model_id === name);
  if (agent.dialect === 'stream') {
    const declared = operationSet(declaration?.operations ?? []);
    return declared === 0 ? CHAT_ONLY : declared;
  }
  if (agent.generation === 'C') return SWAN_C;
  const modalities = declaration?.output_modalities?.map(({ type }) => type) ?? [];
  return CHAT_ONLY | operationSet(modalities.map((type) => BY_MODALITY[type] ?? ''));
}
