import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '#kit/package-root.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import type { Hardware } from '#wire/agent/messages.ts';
import { isPrivateLine } from '../connection.ts';
import type { AgentEnv } from '../env.ts';
import { findProcessor } from '../hardware.ts';
import { type CatalogueModel, Market, MarketError, type SignedIn, type Standing } from '../market.ts';
import { folderOf, parseModel, SettingsError } from '../settings.ts';
import type { Asker, Choice } from '../setup/asker.ts';
import { discover, type Server, type ServerModel, serverAddress, usualAddresses } from '../setup/discover.ts';
import { answersAsHub, findHub, hubPlaces } from '../setup/find-hub.ts';
import { type Match, matches, sureMatch } from '../setup/match.ts';
import { readSwanFolder, type SwanFolder } from '../swan-folder.ts';
import { type ModelEntry, writeSwanFolder } from '../swan-folder-writer.ts';

/**
 * `cygnet agent setup`: from nothing to a folder that `cygnet agent run` (and the Swan agent) serves from. In this order: the
 * market · a provider key (pasted, or made by signing in or up) · the hub · the model servers of this machine · which models
 * of the catalogue they serve · the files. Nothing is written before the last step; a key that was made before something
 * failed is shown, since it is shown only once. Every question has a flag, and what a folder says already is not asked again.
 */
export interface SetupOptions {
  readonly folder?: string | undefined;
  readonly market?: string | undefined;
  readonly hub?: string | undefined;
  readonly key?: string | undefined;
  readonly email?: string | undefined;
  readonly signUp?: boolean | undefined;
  readonly provider?: string | undefined;
  readonly wallet?: string | undefined;
  readonly name?: string | undefined;
  readonly backend?: readonly string[] | undefined;
  readonly backendKey?: string | undefined;
  readonly discover?: boolean | undefined;
  readonly model?: readonly string[] | undefined;
  readonly allowPlain?: boolean | undefined;
}

export interface SetupParts {
  readonly env: AgentEnv;
  readonly asker: Asker;
  readonly randomness: Randomness;
  readonly hardware: Hardware | undefined;
}

export interface SetUp {
  readonly folder: string;
  readonly market: string;
  readonly hub: string;
  readonly standing: Standing;
  readonly models: readonly ChosenModel[];
  /** What servers offer and nobody sells, by the server's own name. */
  readonly unmatched: readonly {
    readonly name: string;
    readonly url: string;
    readonly nearest: Match | undefined;
  }[];
}

interface ChosenModel {
  readonly id: string;
  readonly score: number;
  readonly because: string;
  readonly entry: ModelEntry;
  /** From its size and this machine's GPU, where both are known. */
  readonly warning: string | undefined;
}

const NAME_CHARS_MAX = 64;

/** Throws `SettingsError` or `MarketError`, in a sentence for the person. */
export async function setUp(options: SetupOptions, parts: SetupParts): Promise<SetUp> {
  const { asker, env } = parts;
  const folder = folderOf(options, env);
  const before = reading(folder);
  const { wallet } = options;
  if (wallet !== undefined && !WALLET.test(wallet))
    throw new SettingsError(`--wallet ${wallet}: an address is 0x and 40 hexadecimal digits.`);
  const market = await theMarket(options, env, before, asker);
  try {
    const key = await theKey(options, parts, before, market);
    try {
      const hub = await theHub(options, env, before, market, asker);
      const catalogue = await market.catalogue();
      const { models, unmatched } = await theModels(options, parts, catalogue);
      const name = options.name ?? env.CYGNET_AGENT_NAME ?? before.nodeName ?? nodeName();
      writeSwanFolder(
        folder,
        {
          serviceUrl: market.url,
          hubUrl: hub,
          key: key.value.open(),
          nodeName: name,
          models: Object.fromEntries(models.map(({ id, entry }) => [id, entry])),
        },
        parts.randomness,
      );
      const standing = await askForApproval(await market.standing(key.value), key, market, parts);
      return { folder, market: market.url, hub, standing, models, unmatched };
    } catch (error) {
      if (key.isNew) asker.say(`Keep this provider key, it is shown only once: ${key.value.open()}`);
      throw error;
    }
  } finally {
    await market.close();
  }
}

function reading(folder: string): SwanFolder {
  try {
    return readSwanFolder(folder);
  } catch (error) {
    throw new SettingsError((error as Error).message);
  }
}

async function theMarket(
  options: SetupOptions,
  env: AgentEnv,
  before: SwanFolder,
  asker: Asker,
): Promise<Market> {
  const known = options.market ?? env.CYGNET_AGENT_SERVICE ?? before.serviceUrl;
  const url =
    known ??
    (await asker.text({
      message: 'Which market do you want to serve?',
      flag: '--market <url>',
      check: (answer) =>
        /^https?:\/\/\S+$/.test(answer.trim()) ? undefined : 'An address such as https://market.example.',
    }));
  const market = new Market(url);
  try {
    if (!isPrivateLine(url.replace(/^http:/, 'ws:').replace(/^https:/, 'wss:')) && !options.allowPlain)
      throw new SettingsError(
        `${market.url} would carry your password and key unencrypted. Use https://, or say --allow-plain if you mean it.`,
      );
    await asker.during(`Asking the market at ${market.url}.`, market.health());
    return market;
  } catch (error) {
    await market.close();
    throw error;
  }
}

interface FoundKey {
  readonly value: Sealed<string>;
  /** Made a moment ago, and never shown again. */
  readonly isNew: boolean;
  /** Of the account that it was made with. */
  readonly email?: string;
}

async function theKey(
  options: SetupOptions,
  { env, asker }: SetupParts,
  before: SwanFolder,
  market: Market,
): Promise<FoundKey> {
  const given =
    options.key ?? (options.email === undefined ? (env.INFERENCE_API_KEY ?? before.key) : undefined);
  if (given !== undefined) {
    const { api_key_valid: valid, message } = await market.standing(new Sealed(given));
    if (valid) return { value: new Sealed(given), isNew: false };
    const from = options.key === undefined ? 'that this machine has' : 'that was given';
    asker.say(`The provider key ${from} does not hold: ${message ?? 'no reason was given.'}`);
    if (options.key !== undefined) throw new MarketError(message ?? 'The key is not known.', 401);
  }
  const way =
    options.email !== undefined
      ? options.signUp
        ? 'sign up'
        : 'log in'
      : await asker.choose<'paste' | 'log in' | 'sign up'>({
          message: 'A provider key says who is paid. Where shall it come from?',
          flag: '--key <sk-prov-…>, or --email <address> with --sign-up for a new account',
          options: [
            { value: 'log in', label: 'I have an account at this market' },
            { value: 'sign up', label: 'I am new here' },
            { value: 'paste', label: 'I have a provider key', hint: 'sk-prov-…' },
          ],
        });
  if (way === 'paste') {
    const pasted = await asker.secret({ message: 'The provider key', flag: '--key <key>' });
    const value = new Sealed(pasted.trim());
    const { api_key_valid: valid, message } = await market.standing(value);
    if (!valid) throw new MarketError(message ?? 'This key is not known.', 401);
    return { value, isNew: false };
  }
  const email =
    options.email ??
    (await asker.text({
      message: 'Your e-mail address',
      flag: '--email <address>',
      check: (answer) =>
        /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(answer.trim()) ? undefined : 'An e-mail address, please.',
    }));
  const password = new Sealed(
    env.CYGNET_AGENT_PASSWORD ??
      (await asker.secret({
        message: way === 'sign up' ? 'A password of at least 8 characters' : 'Your password',
        flag: 'the variable CYGNET_AGENT_PASSWORD',
        check: (answer) => (way === 'sign up' && answer.length < 8 ? 'At least 8 characters.' : undefined),
      })),
  );
  const called = (email.split('@')[0] as string).slice(0, NAME_CHARS_MAX);
  const session =
    way === 'sign up'
      ? await asker.during('Signing up.', signUpOrIn(market, { email, password, called }))
      : await asker.during('Signing in.', market.logIn(email, password));
  const name =
    options.provider ??
    (session.isProvider
      ? called
      : await asker.text({
          message: 'What shall consumers and the operator call you as a provider?',
          flag: '--provider <name>',
          initial: called,
          check: (answer) =>
            answer.trim() === '' || answer.length > NAME_CHARS_MAX ? 'One to 64 characters.' : undefined,
        }));
  const wallet = options.wallet ?? (session.isProvider ? undefined : await theWallet(asker));
  const keyName = (options.name ?? nodeName()).slice(0, NAME_CHARS_MAX);
  return { value: await market.providerKey(session, { name, keyName, wallet }), isNew: true, email };
}

/**
 * A set-up that got no further than the account is begun again with the same words: then the account is there, and the same
 * password opens it. Where it does not, what is said is that no account could be made.
 */
async function signUpOrIn(
  market: Market,
  { email, password, called }: { email: string; password: Sealed<string>; called: string },
): Promise<SignedIn> {
  try {
    return await market.signUp(email, password, called);
  } catch (error) {
    if (!(error instanceof MarketError && error.status === 409)) throw error;
    try {
      return await market.logIn(email, password);
    } catch {
      throw error;
    }
  }
}

/** Not the zero address: what is paid to it is lost. */
const WALLET = /^0x(?!0{40}$)[0-9a-fA-F]{40}$/;

async function theWallet(asker: Asker): Promise<string | undefined> {
  const answer = await asker.text({
    message: 'The wallet that earnings are paid to (0x…; empty for later)',
    flag: '--wallet <address>',
    initial: '',
    check: (text) =>
      text.trim() === '' || WALLET.test(text.trim()) ? undefined : '0x and 40 hexadecimal digits.',
  });
  return answer === '' ? undefined : answer;
}

async function theHub(
  options: SetupOptions,
  env: AgentEnv,
  before: SwanFolder,
  market: Market,
  asker: Asker,
): Promise<string> {
  const named = options.hub ?? env.INFERENCE_WS_URL?.split(/[\s,]+/)[0];
  // What stands in the folder belongs to the market that stands there.
  const known = named ?? (sameMarket(before.serviceUrl, market) ? before.hubUrl : undefined);
  const { hub: said } = known === undefined ? ((await market.facts()) ?? {}) : {};
  // What the market says goes before every guess.
  const told = said?.url && /^wss?:\/\/\S+$/.test(said.url) ? said.url : undefined;
  const found =
    known ??
    told ??
    (await asker.during('Looking for the hub of this market.', findHub(hubPlaces(market.url, said?.port))));
  const hub =
    found ??
    (await asker.text({
      message: 'The hub was not found by itself. Where do agents connect?',
      flag: '--hub <ws://… or wss://…>',
      check: (answer) =>
        /^wss?:\/\/\S+$/.test(answer.trim()) ? undefined : 'An address such as wss://hub.example.',
    }));
  const url = hub.replace(/\/+$/, '').replace(/\/ws$/, '');
  if (!isPrivateLine(url) && !options.allowPlain)
    throw new SettingsError(
      `${url} would carry your key and every prompt unencrypted. Use wss://, or say --allow-plain if you mean it.`,
    );
  const trouble =
    found === undefined || known !== undefined || told !== undefined ? await answersAsHub(url) : undefined;
  if (trouble !== undefined)
    asker.say(`No hub answers at ${url} now (${trouble}). The agent will go on trying.`);
  return url;
}

function sameMarket(serviceUrl: string | undefined, market: Market): boolean {
  if (serviceUrl === undefined) return true;
  return serviceUrl.replace(/\/+$/, '').replace(/\/api(\/v1)?$/, '') === market.url;
}

async function theModels(
  options: SetupOptions,
  { asker, hardware }: SetupParts,
  catalogue: readonly CatalogueModel[],
): Promise<Pick<SetUp, 'models' | 'unmatched'>> {
  const stated = (options.model ?? []).map((text) =>
    statedModel(text, catalogue, hardware, options.backendKey),
  );
  if (stated.length > 0 && !options.backend?.length) return { models: unique(stated), unmatched: [] };
  const addresses = [
    ...(options.backend ?? []),
    ...(options.discover === false || options.backend?.length ? [] : usualAddresses()),
  ];
  const servers = await asker.during(
    'Looking for model servers on this machine.',
    discover(addresses, options.backendKey),
  );
  for (const named of options.backend ?? [])
    if (!servers.some(({ url }) => url === serverAddress(named)))
      asker.say(
        `Nothing that speaks OpenAI's API answers at ${named}${options.backendKey === undefined ? '' : ' with that key'}.`,
      );
  const offers = servers.flatMap((server) => server.models.map((model) => offerOf(server, model, catalogue)));
  for (const server of servers)
    asker.say(
      `${server.engine ?? 'A model server'} at ${server.url}: ${server.models.map(({ name }) => name).join(', ') || 'no model'}.`,
    );
  const wanted = await chosen(offers, catalogue, asker);
  const models = unique([
    ...stated,
    ...wanted.map(({ offer, match }) => chosenModel(offer, match, catalogue, options.backendKey, hardware)),
  ]);
  if (models.length === 0) models.push(await aFile(servers, catalogue, asker, hardware));
  return {
    models,
    unmatched: offers
      .filter(({ sure }) => sure === undefined)
      .filter((offer) => !wanted.some((each) => each.offer === offer))
      .map(({ server, model, found }) => ({ name: model.name, url: server.url, nearest: found[0] })),
  };
}

interface Offer {
  readonly server: Server;
  readonly model: ServerModel;
  readonly found: readonly Match[];
  readonly sure: Match | undefined;
}

function offerOf(server: Server, model: ServerModel, catalogue: readonly CatalogueModel[]): Offer {
  const found = matches(model.name, catalogue, model.size);
  return { server, model, found, sure: sureMatch(found) };
}

/** What shall be served, and as what. Nobody there takes what is sure. */
async function chosen(
  offers: readonly Offer[],
  catalogue: readonly CatalogueModel[],
  asker: Asker,
): Promise<{ offer: Offer; match: Match }[]> {
  const options = offers.flatMap((offer): Choice<{ offer: Offer; match: Match }>[] =>
    offer.found.slice(0, offer.sure ? 1 : 3).map((match) => {
      const known = catalogue.find(({ id }) => id === match.id);
      const price = known?.output_price;
      return {
        value: { offer, match },
        label: `${offer.model.name} as ${match.id}`,
        hint: `${Math.round(match.score * 100)} %, ${match.because}${price === undefined ? '' : `; $${price} a million tokens out`}`,
      };
    }),
  );
  if (options.length === 0) return [];
  const initial = options.map(({ value }) => value).filter(({ offer, match }) => offer.sure === match);
  return [
    ...(await asker.chooseSome({
      message: 'What do you want to serve?',
      flag: '--model <id=url#name>',
      options,
      initial: onceEach(initial),
    })),
  ];
}

/** One server for each model: the first. */
function onceEach<T extends { match: Match }>(wanted: readonly T[]): T[] {
  return wanted.filter(
    ({ match }, index) => wanted.findIndex((other) => other.match.id === match.id) === index,
  );
}

function unique(models: readonly ChosenModel[]): ChosenModel[] {
  return models.filter(({ id }, index) => models.findIndex((other) => other.id === id) === index);
}

function chosenModel(
  { server, model }: Offer,
  match: Match,
  catalogue: readonly CatalogueModel[],
  apiKey: string | undefined,
  hardware: Hardware | undefined,
): ChosenModel {
  const known = catalogue.find(({ id }) => id === match.id);
  // What these say of their context, the agent reads by itself at each look.
  const reads = server.engine === 'vllm' || server.engine === 'sglang';
  return {
    ...match,
    entry: {
      endpoint: server.url,
      category: CATEGORIES[known?.category ?? ''] ?? 'text-generation',
      local_model: model.name,
      ...(apiKey !== undefined && { api_key: apiKey }),
      ...(!reads && model.contextLength !== undefined && { context_length: model.contextLength }),
    },
    warning:
      [memoryWarning(known, hardware), contextWarning(server, model)].filter(Boolean).join(' ') || undefined,
  };
}

/** Ollama cuts what is longer than its context, and says nothing. */
function contextWarning(
  { engine }: Server,
  { name, contextLength, isEmbedding }: ServerModel,
): string | undefined {
  if (engine !== 'ollama' || isEmbedding || (contextLength ?? 0) >= OLLAMA_CONTEXT_ENOUGH) return undefined;
  const now =
    contextLength === undefined ? '4,096 tokens if it was told nothing' : `${contextLength} tokens now`;
  return `Ollama silently cuts prompts for ${name} to its own context (${now}): set OLLAMA_CONTEXT_LENGTH to what you can serve.`;
}

const OLLAMA_CONTEXT_ENOUGH = 32_768;

/** The catalogue's categories in the words of `models.json`. */
const CATEGORIES: Readonly<Record<string, string>> = {
  llm: 'text-generation',
  multimodal: 'text-generation',
  embedding: 'embedding',
  image: 'image-generation',
  audio: 'transcription',
};

/** A model as `--model` has it: trusted to be what it is called. */
function statedModel(
  text: string,
  catalogue: readonly CatalogueModel[],
  hardware: Hardware | undefined,
  apiKey?: string,
): ChosenModel {
  const { id: named, source } = parseModel(text, { sequences: 1, threads: 1, gpu: 'auto' });
  const known = catalogue.find(
    ({ id, slug }) => id.toLowerCase() === named.toLowerCase() || slug === named.toLowerCase(),
  );
  if (!known) {
    const [near] = matches(named, catalogue);
    throw new SettingsError(
      `This market sells no ${named}.${near ? ` Do you mean ${near.id}?` : ' Its models are listed by `cygnet agent models --all`.'}`,
    );
  }
  if (source.kind === 'embedded' && !existsSync(source.path))
    throw new SettingsError(`There is no model file at ${source.path}.`);
  return {
    id: known.id,
    score: 1,
    because: 'as you say',
    entry: {
      category: CATEGORIES[known.category ?? ''] ?? 'text-generation',
      ...(source.kind === 'openai-compatible'
        ? {
            endpoint: source.url,
            ...(source.localName !== undefined && { local_model: source.localName }),
            ...(apiKey !== undefined && { api_key: apiKey }),
          }
        : source.kind === 'embedded'
          ? { endpoint: pathToFileURL(source.path).href, format: 'gguf' }
          : { endpoint: `rehearsal:${source.plan}` }),
    },
    warning: memoryWarning(known, hardware),
  };
}

/** What `--model` would be for a model that is here and was not matched. */
function exampleOf(servers: readonly Server[]): string {
  const [server] = servers.filter(({ models }) => models.length > 0);
  const name = server?.models[0]?.name;
  return server && name !== undefined ? `, such as <id>=${server.url}#${name}` : '';
}

/** Where no server sells what is asked for: a model file that llama.cpp runs in the agent itself. */
async function aFile(
  servers: readonly Server[],
  catalogue: readonly CatalogueModel[],
  asker: Asker,
  hardware: Hardware | undefined,
): Promise<ChosenModel> {
  const nano = path.join(packageRoot(), 'models', 'cygnet-nano-q8_0.gguf');
  const hasNano = catalogue.some(({ id }) => id === 'cygnet/cygnet-nano') && existsSync(nano);
  const why =
    servers.length === 0
      ? 'No model server answers on this machine'
      : 'No server here has a model that this market sells';
  const file = await asker.text({
    message: `${why}. The path of a GGUF file to run in the agent itself`,
    flag: `--backend <url> for a server elsewhere, or --model <id=source>${exampleOf(servers)}`,
    ...(hasNano && { suggestion: nano }),
    check: (answer) =>
      answer.toLowerCase().endsWith('.gguf') && existsSync(answer)
        ? undefined
        : 'The path of a file that ends in .gguf.',
  });
  const found = matches(path.basename(file), catalogue);
  const id = await asker.choose({
    message: 'Which model of the market is it?',
    flag: '--model <id=file.gguf>',
    options: (found.length > 0
      ? found.map(({ id: each }) => each)
      : catalogue.map(({ id: each }) => each)
    ).map((each) => ({ value: each, label: each })),
  });
  return statedModel(`${id}=${file}`, catalogue, hardware);
}

function memoryWarning(
  known: CatalogueModel | undefined,
  hardware: Hardware | undefined,
): string | undefined {
  const needs = known?.min_vram_gb ?? 0;
  const has = (hardware?.vram_gb ?? 0) * (hardware?.gpu_count ?? 1);
  if (has === 0 || needs === 0 || has >= needs - 1 || has >= needs * 0.95) return undefined;
  return `The market reckons with ${needs} GB of GPU memory for ${known?.id}, and this machine has ${has} GB.`;
}

/** A provider that waits for its operator's word asks for it. */
async function askForApproval(
  standing: Standing,
  { value: key, email }: FoundKey,
  market: Market,
  { asker, hardware }: SetupParts,
): Promise<Standing> {
  if (standing.status !== 'pending' || email === undefined) return standing;
  const wants = await asker.confirm({
    message: 'This market approves its providers by hand. Ask for approval now?',
    flag: '--yes',
    unasked: true,
  });
  if (!wants) return standing;
  const processor = findProcessor();
  try {
    await market.requestApproval(key, {
      provider_name: standing.name ?? email,
      hardware_summary: hardware
        ? `${hardware.gpu_count ?? 1} × ${hardware.gpu_model ?? 'GPU'}, ${hardware.vram_gb ?? 0} GiB each`
        : `no GPU; ${processor.cores} cores (${processor.model}), ${processor.memoryGb} GiB`,
      contact_email: email,
    });
  } catch (error) {
    asker.say(`Approval could not be asked for: ${(error as Error).message}`);
  }
  return await market.standing(key);
}

/** This machine's name, as the market takes names. */
function nodeName(): string {
  const name = hostname()
    .replace(/[^\w-]+/g, '-')
    .replace(/^[-_]+|[-_]+$/g, '')
    .slice(0, NAME_CHARS_MAX);
  return name === '' ? 'node' : name;
}
