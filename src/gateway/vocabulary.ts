import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';

/**
 * The vocabularies that the market knows, for counting tokens exactly. `data/tokenizers/index.json` lists them; each is
 * a standard `tokenizer.json`. Loading one takes milliseconds to seconds and counting is slow: both belong in a worker.
 */

/** A row of `data/tokenizers/index.json`. */
export interface VocabularyEntry {
  readonly modelId: string;
  /** In the same folder. */
  readonly file: string;
  /** How a conversation becomes a prompt; null when that is not known and input cannot be counted. */
  readonly template: 'chatml' | null;
  /** A beginning-of-text token goes first. */
  readonly bos: boolean;
  /** Servers of this model count the token that ends an answer, though nobody sees it. */
  readonly countsStopToken: boolean;
}

/** The models whose vocabulary is in `folder`. Throws when the list cannot be read. */
export function readVocabularyIndex(folder: string): readonly VocabularyEntry[] {
  return JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8'));
}

export class Vocabulary {
  readonly entry: VocabularyEntry;
  readonly #tokenizer: Tokenizer;
  /** `role\n`, `\n` and the like come in every message. */
  readonly #known = new Map<string, number>();

  constructor(entry: VocabularyEntry, folder: string) {
    this.entry = entry;
    const file = JSON.parse(readFileSync(path.join(folder, entry.file), 'utf8'));
    // Without its special tokens: in a consumer's or a model's text, `<|im_end|>` is seven ordinary tokens.
    this.#tokenizer = new Tokenizer({ ...file, added_tokens: [] }, {});
  }

  /** The tokens of `text` as plain text. About a second for a million characters; linear. */
  count(text: string): number {
    return text === '' ? 0 : this.#tokenizer.encode(text, { add_special_tokens: false }).ids.length;
  }

  /**
   * The tokens of a prompt made of `messages` (as in the body of a request), up to where the answer begins. Undefined
   * when that is not known: no template, tools, images, roles the template has no words for.
   */
  countPrompt(messages: unknown): number | undefined {
    if (this.entry.template !== 'chatml' || !Array.isArray(messages)) return undefined;
    let tokens = this.entry.bos ? 1 : 0;
    for (const message of messages) {
      const content = plainContent(message);
      if (content === undefined) return undefined;
      // <|im_start|> role newline content <|im_end|> newline; the pieces are tokenised apart, as llama.cpp's clients do.
      tokens += 1 + this.#countKnown(`${message.role}\n`) + this.count(content) + 1 + this.#countKnown('\n');
    }
    return tokens + 1 + this.#countKnown('assistant\n');
  }

  #countKnown(text: string): number {
    let tokens = this.#known.get(text);
    if (tokens === undefined) {
      tokens = this.count(text);
      this.#known.set(text, tokens);
    }
    return tokens;
  }
}

const ROLES = new Set(['system', 'developer', 'user', 'assistant']);

/** A message's text; undefined when there is more to it than text. */
function plainContent(message: unknown): string | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { role, content, tool_calls, function_call } = message as Record<string, unknown>;
  if (!ROLES.has(role as string) || tool_calls || function_call) return undefined;
  if (typeof content === 'string') return content;
  if (content === null) return '';
  if (!Array.isArray(content)) return undefined;
  let text = '';
  for (const part of content) {
    if (part?.type !== 'text' || typeof part.text !== 'string') return undefined;
    text += part.text;
  }
  return text;
}
