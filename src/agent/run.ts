import { existsSync } from 'node:fs';
import type { Clock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Rounds } from '#kit/rounds.ts';
import type { Hardware } from '#wire/agent/messages.ts';
import type { Backend } from './backends/backend.ts';
import { EmbeddedBackend } from './backends/embedded.ts';
import { OpenAiCompatibleBackend } from './backends/openai-compatible.ts';
import { RehearsalBackend } from './backends/rehearsal.ts';
import { Connection } from './connection.ts';
import { findHardware, findProcessor, gpuFigures, type Processor, type RunProgram } from './hardware.ts';
import { readTls } from './line-tls.ts';
import { Market } from './market.ts';
import { MarketPins } from './market-pins.ts';
import { HealthWatch } from './model-health.ts';
import { nodeId } from './node-key.ts';
import { pinLookUp } from './pin-look-up.ts';
import type { FinishedJob } from './recent-jobs.ts';
import { unmet } from './requirements.ts';
import { Desk, type DeskFigures } from './serve.ts';
import { type AgentSettings, type ModelSetting, SettingsError } from './settings.ts';
import { type LimitChange, type ModelState, Shelf, type ShelfChange } from './shelf.ts';
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
  /** Everything that can be told of it now. */
  state(): AgentState;
  /** The latest requests that are over, newest first. */
  latest(): FinishedJob[];
  /** Serves these models from now on, without losing a request. */
  apply(models: readonly ModelSetting[]): Promise<ShelfChange>;
  /** Changes what may run and begin over all models, until the next start. */
  limit(change: LimitChange): void;
  /** The same for one model, until its own setting changes. False when it is not served here. */
  limitModel(id: string, change: LimitChange): boolean;
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

export interface AgentState extends DeskFigures {
  readonly nodeId: string;
  readonly name: string | undefined;
  readonly version: string;
  /** Wall time, milliseconds. */
  readonly startedAt: number;
  readonly draining: boolean;
  readonly hubs: readonly {
    readonly url: string;
    readonly registered: boolean;
    /** The models that the hub took. */
    readonly accepted: readonly string[];
    readonly refusal: string | undefined;
  }[];
  readonly hardware: Hardware | undefined;
  readonly processor: Processor;
  /** As in the heartbeat: percent, MiB, °C, W. */
  readonly gpu: Readonly<Record<string, number>>;
  readonly limits: { readonly concurrency: number; readonly requestsPerMinute: number | undefined };
  readonly models: readonly ModelState[];
}

const WAITING = 256;
const WAIT_MS_MAX = 30_000;
const GPU_FIGURES_EVERY_MS = 30_000;
/** How often it is asked what the market pins its models to. */
const PINS_EVERY_MS = 600_000;
/** The generation of the Swan protocol that we speak, for hubs that look at the version; our own follows as build data. */
const SWAN_GENERATION = '0.6.0';

/** Starts an agent. Rejects when a model cannot be opened or the folder cannot be used; a hub that is away is waited for. */
export async function runAgent(settings: AgentSettings, parts: AgentParts): Promise<RunningAgent> {
  const { clock, randomness, log } = parts;
  const startedAt = clock.wallMs();
  const node = nodeId(settings.folder, randomness);
  const desk = new Desk({
    models: new Map(),
    limits: {
      concurrent: settings.concurrency,
      perMinute: settings.requestsPerMinute,
      waiting: WAITING,
      waitMsMax: WAIT_MS_MAX,
    },
    clock,
  });
  const [hardware] = await Promise.all([
    findHardware(parts.program, parts.machine),
    settings.serviceUrl === undefined ? undefined : tellStanding(settings.serviceUrl, settings.key, log),
  ]);
  const processor = findProcessor();
  const watch = new HealthWatch(clock, log);
  const lookUp = pinLookUp({ program: parts.program, hardware });
  const market = settings.serviceUrl === undefined ? undefined : new Market(settings.serviceUrl);
  const pins = market && new MarketPins({ read: () => market.catalogue(), log });
  await pins?.look();
  const connections: Connection[] = [];
  const announce = (): void => {
    for (const connection of connections) connection.modelsChanged();
  };
  const shelf = new Shelf({
    open: (setting) => openBackend(setting, parts),
    unmet: async (setting, backend) => [
      ...(setting.requirements
        ? unmet(setting.requirements, await lookUp(setting, backend, setting.requirements))
        : []),
      ...((await pins?.unmet(setting.id, (wanted) => lookUp(setting, backend, wanted))) ?? []),
    ],
    desk,
    watch,
    clock,
    log,
    announce,
  });
  try {
    await shelf.open(settings.models);
  } catch (error) {
    desk.close();
    await market?.close();
    throw error;
  }
  const pinRounds = pins
    ? new Rounds(clock, {
        periodMs: PINS_EVERY_MS,
        work: async () => {
          if (await pins.look()) await shelf.checkPins().then(announce);
        },
        failed: () => {},
      })
    : undefined;
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
  const hubs = new Map<string, { accepted: readonly string[]; refusal: string | undefined }>();

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
        several: settings.hubUrls.length > 1,
      },
      {
        desk,
        clock,
        randomness,
        ids: idMaker(clock, randomness),
        log,
        readyModels: () => shelf.ready(),
        modelHealth: () => shelf.health(),
        declarations: (ids) => shelf.declarations(ids),
        metrics: () => metricsOf(desk, figures),
        registered: ({ extension, models: accepted }) => {
          const served = accepted ?? shelf.ready();
          hubs.set(hubUrl, { accepted: served, refusal: undefined });
          log.info(
            { hub: hubUrl, models: served, extension, node: node.slice(0, 16) },
            'registered with the hub',
          );
          sayRegistered({ models: served, extension });
        },
        refused: (message) => {
          hubs.set(hubUrl, { accepted: [], refusal: message });
          sayRefused(message);
        },
      },
    );
  connections.push(...settings.hubUrls.map(open));
  watch.start(() => {
    void shelf.checkPins().then(announce);
  });
  for (const connection of connections) connection.open();

  let draining = false;
  let leaving: Promise<void> | undefined;
  const leave = async (): Promise<void> => {
    draining = true;
    await Promise.all(connections.map((connection) => connection.close()));
    desk.close();
    await Promise.all([watch.close(), looks?.close(), pinRounds?.close()]);
    await market?.close();
    await shelf.close();
  };
  return {
    nodeId: node,
    registered,
    refused,
    get connected() {
      return connections.every((connection) => connection.registered);
    },
    state: () => ({
      nodeId: node,
      name: settings.name,
      version: parts.version,
      startedAt,
      draining,
      hubs: settings.hubUrls.map((url, index) => ({
        url,
        registered: connections[index]?.registered ?? false,
        accepted: hubs.get(url)?.accepted ?? [],
        refusal: hubs.get(url)?.refusal,
      })),
      hardware,
      processor,
      gpu: figures,
      limits: {
        concurrency: desk.limits.concurrent,
        requestsPerMinute: desk.limits.perMinute,
      },
      ...desk.figures(),
      models: shelf.states(),
    }),
    latest: () => desk.latest(),
    apply: (models) => shelf.apply(models),
    limit(change) {
      desk.limit({
        ...(change.concurrency !== undefined && { concurrent: change.concurrency }),
        ...(change.requestsPerMinute !== undefined && { perMinute: change.requestsPerMinute ?? undefined }),
      });
      shelf.limitsChanged();
    },
    limitModel: (id, change) => shelf.limit(id, change),
    drain() {
      leaving ??= (async () => {
        draining = true;
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

/** Opens what serves a model. Rejects, in a sentence, when it cannot be opened. */
export async function openBackend(
  { source, contextLength }: ModelSetting,
  parts: Pick<AgentParts, 'clock' | 'randomness' | 'log'>,
): Promise<Backend> {
  if (source.kind === 'openai-compatible') return new OpenAiCompatibleBackend(source, parts);
  if (source.kind === 'rehearsal') return new RehearsalBackend(source.plan, { clock: parts.clock });
  if (!existsSync(source.path)) throw new SettingsError(`There is no model file at ${source.path}.`);
  return EmbeddedBackend.open({ ...source, contextLength }, { log: parts.log });
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
