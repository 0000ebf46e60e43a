import { existsSync } from 'node:fs';
import type { Operation } from '#domain/operation.ts';
import type { Clock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Rounds } from '#kit/rounds.ts';
import type { ModelDeclaration, ModelHash } from '#wire/agent/messages.ts';
import type { Backend } from './backends/backend.ts';
import { EmbeddedBackend } from './backends/embedded.ts';
import { OpenAiCompatibleBackend } from './backends/openai-compatible.ts';
import { RehearsalBackend } from './backends/rehearsal.ts';
import { Connection } from './connection.ts';
import { findHardware, gpuFigures, type RunProgram } from './hardware.ts';
import { readTls } from './line-tls.ts';
import { HealthWatch } from './model-health.ts';
import { nodeId } from './node-key.ts';
import { Desk, type ServedModel } from './serve.ts';
import { type AgentSettings, type ModelSetting, SettingsError } from './settings.ts';
import { tellStanding } from './standing.ts';

/**
 * The agent's life: look at the machine, load the models, connect, serve, drain, leave. A program of its own towards the
 * hub, even where it runs in one process with it (tests, the simulation): it knows nothing but the protocol.
 */

export interface AgentParts {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly log: Logger;
  /** How other programs are run, to look at the hardware. */
  readonly program: RunProgram;
  readonly machine: { readonly platform: string; readonly arch: string };
  /** Our version, as the package has it. */
  readonly version: string;
}

export interface RunningAgent {
  readonly nodeId: string;
  /** Resolves with what the hub accepted, at the first registration with any. */
  readonly registered: Promise<Registration>;
  /** Resolves with a hub's reason the first time one refuses our key. */
  readonly refused: Promise<string>;
  /** True while every hub has us registered. */
  readonly connected: boolean;
  /** Takes no new work, finishes what is under way (for at most the drain time), and leaves. */
  drain(): Promise<void>;
  /** Leaves now. */
  close(): Promise<void>;
}

export interface Registration {
  readonly models: readonly string[];
  /** Whether the binary extension is spoken. */
  readonly extension: boolean;
}

const WAITING = 256;
const WAIT_MS_MAX = 30_000;
const GPU_FIGURES_EVERY_MS = 30_000;
/** The generation of the Swan protocol that we speak, for hubs that look at the version; our own follows as build data. */
const SWAN_GENERATION = '0.6.0';

/** Starts an agent. Rejects when a model cannot be opened or the folder cannot be used; a hub that is away is waited for. */
export async function runAgent(settings: AgentSettings, parts: AgentParts): Promise<RunningAgent> {
  const { clock, randomness, log } = parts;
  const node = nodeId(settings.folder, randomness);
  const models = await openModels(settings, parts);
  const desk = new Desk({
    models,
    limits: { concurrent: settings.concurrency, waiting: WAITING, waitMsMax: WAIT_MS_MAX },
    clock,
  });
  const [hardware] = await Promise.all([
    findHardware(parts.program, parts.machine),
    settings.serviceUrl === undefined ? undefined : tellStanding(settings.serviceUrl, settings.key, log),
  ]);
  const watch = new HealthWatch({ models: models.values(), clock, log });
  let figures: Record<string, number> = {};
  const looks = hardware
    ? new Rounds(clock, {
        periodMs: GPU_FIGURES_EVERY_MS,
        work: async () => {
          figures = await gpuFigures(parts.program);
        },
        failed: () => {},
      })
    : undefined;

  let sayRegistered: (registration: Registration) => void = () => {};
  let sayRefused: (message: string) => void = () => {};
  const registered = new Promise<Registration>((resolve) => {
    sayRegistered = resolve;
  });
  const refused = new Promise<string>((resolve) => {
    sayRefused = resolve;
  });

  const open = (hubUrl: string): Connection =>
    new Connection(
      {
        hubUrl,
        key: settings.key,
        tls: () => readTls(settings.tls),
        nodeId: node,
        nodeName: settings.name,
        version: `${SWAN_GENERATION}+cygnet.${parts.version}`,
        hardware,
      },
      {
        desk,
        clock,
        randomness,
        ids: idMaker(clock, randomness),
        log,
        readyModels: () => watch.ready(),
        modelHealth: () => watch.health(),
        declarations: (ids) => declarationsOf(ids, models, settings.models),
        metrics: () => metricsOf(desk, figures),
        registered: ({ extension, models: accepted }) => {
          const served = accepted ?? watch.ready();
          log.info(
            { hub: hubUrl, models: served, extension, node: node.slice(0, 16) },
            'registered with the hub',
          );
          sayRegistered({ models: served, extension });
        },
        refused: (message) => sayRefused(message),
      },
    );
  const connections = settings.hubUrls.map(open);
  await watch.start(() => {
    for (const connection of connections) connection.modelsChanged();
  });
  for (const connection of connections) connection.open();

  let leaving: Promise<void> | undefined;
  const leave = async (): Promise<void> => {
    await Promise.all(connections.map((connection) => connection.close()));
    desk.close();
    await Promise.all([watch.close(), looks?.close()]);
    await Promise.all([...models.values()].map(({ backend }) => backend.close()));
  };
  return {
    nodeId: node,
    registered,
    refused,
    get connected() {
      return connections.every((connection) => connection.registered);
    },
    drain() {
      leaving ??= (async () => {
        desk.refuseNewJobs();
        for (const connection of connections) connection.drain();
        let timer: { cancel(): void } | undefined;
        const deadline = new Promise<void>((resolve) => {
          timer = clock.after(settings.drainMs, resolve);
        });
        await Promise.race([desk.idle(), deadline]);
        timer?.cancel();
        await leave();
      })();
      return leaving;
    },
    close() {
      leaving ??= leave();
      return leaving;
    },
  };
}

async function openModels(settings: AgentSettings, parts: AgentParts): Promise<Map<string, ServedModel>> {
  const models = new Map<string, ServedModel>();
  try {
    for (const model of settings.models) {
      const backend = await openBackend(model, parts);
      const parallel = backend.facts.parallel ?? settings.concurrency;
      const concurrent = Math.min(settings.concurrency, model.concurrency ?? parallel);
      models.set(model.id, { id: model.id, backend, concurrent });
    }
  } catch (error) {
    await Promise.all([...models.values()].map(({ backend }) => backend.close()));
    throw error;
  }
  return models;
}

async function openBackend({ source, contextLength }: ModelSetting, parts: AgentParts): Promise<Backend> {
  if (source.kind === 'openai-compatible') return new OpenAiCompatibleBackend(source, parts);
  if (source.kind === 'rehearsal') return new RehearsalBackend(source.plan, { clock: parts.clock });
  if (!existsSync(source.path)) throw new SettingsError(`There is no model file at ${source.path}.`);
  return EmbeddedBackend.open({ ...source, contextLength }, { log: parts.log });
}

function declarationsOf(
  ids: readonly string[],
  models: ReadonlyMap<string, ServedModel>,
  settings: readonly ModelSetting[],
): { hashes: ModelHash[]; declarations: ModelDeclaration[] } {
  const hashes: ModelHash[] = [];
  const declarations: ModelDeclaration[] = [];
  for (const id of ids) {
    const model = models.get(id);
    const setting = settings.find((each) => each.id === id);
    if (!model || !setting) continue;
    const context = setting.contextLength ?? model.backend.facts.contextLength;
    const source = setting.contextLength === undefined ? 'detected' : 'override';
    const engine = model.backend.facts.engine;
    hashes.push({
      model_id: id,
      ...(setting.format === undefined ? {} : { format: setting.format }),
      ...(setting.quantization === undefined ? {} : { quantization: setting.quantization }),
      ...(context === undefined ? {} : { context_length: context, context_source: source }),
    });
    declarations.push({
      schema_version: '1',
      model_id: id,
      ...(context === undefined ? {} : { context_source: source }),
      ...(engine === undefined || engine === 'rehearsal' ? {} : { engine }),
      input_modalities: [
        {
          type: 'text',
          ...(context === undefined ? {} : { max_context_length: { value: context, unit: 'token' } }),
        },
      ],
      output_modalities: modalitiesOf(model.backend.operations),
      operations: [...model.backend.operations],
      capacity: [{ type: 'concurrency', unit: 'request', value: model.concurrent }],
    });
  }
  return { hashes, declarations };
}

function metricsOf(desk: Desk, gpu: Record<string, number>): Record<string, number> {
  const figures = desk.figures();
  return {
    gpu_utilization: 0,
    memory_utilization: 0,
    ...gpu,
    active_requests: figures.active,
    waiting_requests: figures.waiting,
    total_requests: figures.total,
    failed_requests: figures.failed,
    requests_per_minute: figures.requestsPerMinute,
    avg_latency_ms: figures.latencyMs,
    tokens_per_second: figures.tokensPerSecond,
  };
}

const MODALITY: Readonly<Record<Operation, string>> = {
  'chat/completions': 'text',
  completions: 'text',
  embeddings: 'embeddings',
  'images/generations': 'image',
  'audio/transcriptions': 'transcription',
};

function modalitiesOf(operations: readonly Operation[]): { type: string; streaming?: boolean }[] {
  const types = new Set(operations.map((operation) => MODALITY[operation]));
  return [...types].map((type) => (type === 'text' ? { type, streaming: true } : { type }));
}
