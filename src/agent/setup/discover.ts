import { Agent } from 'undici';
import { z } from 'zod';

/**
 * Which model servers run on this machine, and what they serve. Each address is asked for its list of models, and for the one
 * page that only its kind of server has; what that tells (`serverOf`) is pure.
 */
export interface Server {
  /** Without `/v1`. */
  readonly url: string;
  /** `vllm`, `sglang`, `ollama`, `llama.cpp`, `tgi`, or undefined for any other that speaks OpenAI's API. */
  readonly engine: string | undefined;
  readonly version: string | undefined;
  readonly models: readonly ServerModel[];
}

export interface ServerModel {
  /** The server's own name. */
  readonly name: string;
  readonly contextLength: number | undefined;
  /** Requests that it computes together. */
  readonly parallel: number | undefined;
  /** As the server counts it: `7.6B`. */
  readonly size: string | undefined;
  readonly quantization: string | undefined;
  readonly isEmbedding: boolean;
}

/** Where servers listen by themselves: SGLang, vLLM and TGI, Ollama, llama.cpp and TGI, and two that people use. */
const USUAL_PORTS = [30_000, 8_000, 11_434, 8_080, 5_000, 8_001] as const;

/** The pages that are looked at; a page that did not answer 200 with JSON is undefined. */
export const PAGES = {
  models: '/v1/models',
  ollamaVersion: '/api/version',
  ollamaTags: '/api/tags',
  ollamaLoaded: '/api/ps',
  vllm: '/version',
  sglang: '/get_server_info',
  llamaCpp: '/props',
  tgi: '/info',
} as const;
export type Pages = Readonly<Partial<Record<keyof typeof PAGES, unknown>>>;

const LOOK_MS = 2_500;
const PAGE_BYTES_MAX = 4 * 1_048_576;
const MODELS_MAX = 512;

const text = z.string().min(1).max(512).optional().catch(undefined);
const count = z.number().int().positive().optional().catch(undefined);

const modelsPage = z.looseObject({
  data: z.array(z.looseObject({ id: z.string().min(1).max(512), owned_by: text, max_model_len: count })),
});
const tagsPage = z.looseObject({
  models: z.array(
    z.looseObject({
      name: z.string(),
      details: z
        .looseObject({ parameter_size: text, quantization_level: text, family: text })
        .optional()
        .catch(undefined),
    }),
  ),
});
const loadedPage = z.looseObject({
  models: z.array(z.looseObject({ name: z.string(), context_length: count })),
});
const versionPage = z.looseObject({ version: z.string().min(1).max(100) });
const sglangPage = z.looseObject({
  model_path: z.string(),
  context_length: count,
  max_running_requests: count,
  version: text,
});
const propsPage = z.looseObject({
  total_slots: count,
  default_generation_settings: z.looseObject({ n_ctx: count }),
  build_info: text,
});
const infoPage = z.looseObject({
  model_id: z.string(),
  max_total_tokens: count,
  max_input_tokens: count,
  max_concurrent_requests: count,
  version: text,
});

/** What these pages say of the server at `url`; undefined when it is none that we could sell from. */
export function serverOf(url: string, pages: Pages): Server | undefined {
  const listed = modelsPage.safeParse(pages.models);
  const info = infoPage.safeParse(pages.tgi);
  if (!listed.success && !info.success) return undefined;
  const names = listed.success
    ? listed.data.data.slice(0, MODELS_MAX)
    : [
        {
          id: (info.data as z.output<typeof infoPage>).model_id,
          owned_by: undefined,
          max_model_len: undefined,
        },
      ];
  const tags = tagsPage.safeParse(pages.ollamaTags);
  const loaded = loadedPage.safeParse(pages.ollamaLoaded);
  const sglang = sglangPage.safeParse(pages.sglang);
  const props = propsPage.safeParse(pages.llamaCpp);
  const kind = kindOf(pages, names[0]?.owned_by);
  const details = new Map((tags.success ? tags.data.models : []).map((model) => [model.name, model.details]));
  return {
    url,
    ...kind,
    models: names.map(({ id, max_model_len: stated }) => {
      const detail = details.get(id);
      const context =
        kind.engine === 'sglang' && sglang.success
          ? sglang.data.context_length
          : kind.engine === 'llama.cpp' && props.success
            ? props.data.default_generation_settings.n_ctx
            : kind.engine === 'tgi' && info.success
              ? info.data.max_total_tokens
              : loaded.success
                ? loaded.data.models.find((each) => each.name === id)?.context_length
                : undefined;
      return {
        name: id,
        contextLength: stated ?? context,
        parallel:
          kind.engine === 'llama.cpp' && props.success
            ? props.data.total_slots
            : kind.engine === 'sglang' && sglang.success
              ? sglang.data.max_running_requests
              : undefined,
        size: detail?.parameter_size,
        quantization: detail?.quantization_level?.toLowerCase(),
        isEmbedding: /bert|embed/i.test(`${detail?.family ?? ''} ${id}`) || /(^|[-/])(bge|e5|gte)-/i.test(id),
      };
    }),
  };
}

function kindOf(pages: Pages, ownedBy: string | undefined): Pick<Server, 'engine' | 'version'> {
  const versionIn = (page: unknown): string | undefined => {
    const read = versionPage.safeParse(page);
    return read.success ? read.data.version : undefined;
  };
  const ollama = versionIn(pages.ollamaVersion);
  if (ollama !== undefined && tagsPage.safeParse(pages.ollamaTags).success)
    return { engine: 'ollama', version: ollama };
  const sglang = sglangPage.safeParse(pages.sglang);
  if (sglang.success) return { engine: 'sglang', version: sglang.data.version };
  const props = propsPage.safeParse(pages.llamaCpp);
  if (props.success) return { engine: 'llama.cpp', version: props.data.build_info };
  const info = infoPage.safeParse(pages.tgi);
  if (info.success) return { engine: 'tgi', version: info.data.version };
  const known: Readonly<Record<string, string>> = {
    vllm: 'vllm',
    sglang: 'sglang',
    llamacpp: 'llama.cpp',
    library: 'ollama',
  };
  const engine = known[ownedBy ?? ''];
  return { engine, version: engine === 'vllm' ? versionIn(pages.vllm) : undefined };
}

/** The addresses of the usual ports. */
export function usualAddresses(): string[] {
  return USUAL_PORTS.map((port) => `http://127.0.0.1:${port}`);
}

/** Asks each address; those where no model server answers within a few seconds are left out. Never throws. */
export async function discover(addresses: readonly string[], apiKey?: string): Promise<Server[]> {
  const agent = new Agent({ connect: { timeout: LOOK_MS }, pipelining: 1, connections: 8 });
  try {
    const found = await Promise.all(addresses.map((address) => look(agent, address, apiKey)));
    return found.flatMap((server) => server ?? []);
  } finally {
    await agent.destroy();
  }
}

/** An address as a found server is called by it, without `/v1`; undefined for what is no URL. */
export function serverAddress(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined;
  const { origin, pathname } = new URL(address);
  return origin + pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
}

async function look(agent: Agent, address: string, apiKey: string | undefined): Promise<Server | undefined> {
  const called = serverAddress(address);
  if (called === undefined) return undefined;
  const { origin } = new URL(called);
  const base = called.slice(origin.length);
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const page = async (path: string): Promise<unknown> => {
    try {
      const answer = await agent.request({
        origin,
        path: base + path,
        method: 'GET',
        headers,
        headersTimeout: LOOK_MS,
        bodyTimeout: LOOK_MS,
      });
      let whole = '';
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        whole += piece.toString();
        if (whole.length > PAGE_BYTES_MAX) return undefined;
      }
      return answer.statusCode === 200 ? (JSON.parse(whole) as unknown) : undefined;
    } catch {
      return undefined;
    }
  };
  // Most ports have nobody: one look tells.
  const first = await page(PAGES.models);
  const rest = Object.entries(PAGES).filter(([name]) => name !== 'models');
  if (first === undefined && (await page(PAGES.tgi)) === undefined) return undefined;
  const pages = Object.fromEntries(
    await Promise.all(rest.map(async ([name, path]) => [name, await page(path)] as const)),
  );
  return serverOf(called, { ...pages, models: first });
}
