// Writes data/tokenizers/cygnet-nano.json, the standard tokenizer file of cygnet-nano, from its list of merges
// (data/tokenizers/cygnet-nano.merges.json: what training the tokenizer produced, best merge first).
//
//     node scripts/nano-tokenizer.mjs
//
// The vocabulary is in the order of the model's file: three special tokens, the 256 bytes, then one token per merge.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

// How llama.cpp cuts text for `tokenizer.ggml.pre = "qwen2"`: every digit is a piece of its own.
const PIECES =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The printable stand-in of each byte in byte-level BPE: itself where it prints, else a character from 256 on. */
export function byteNames() {
  const names = [];
  let standIn = 256;
  for (let byte = 0; byte < 256; byte++) {
    const prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    names.push(String.fromCharCode(prints ? byte : standIn++));
  }
  return names;
}

/**
 * The tokenizer file.
 * @param {[string, string][]} merges best first
 */
export function tokenizerOf(merges) {
  const tokens = [...SPECIAL, ...byteNames(), ...merges.map(([left, right]) => left + right)];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: PIECES }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = new URL('../data/tokenizers/', import.meta.url);
  const merges = JSON.parse(readFileSync(new URL('cygnet-nano.merges.json', folder), 'utf8'));
  writeFileSync(new URL('cygnet-nano.json', folder), `${JSON.stringify(tokenizerOf(merges))}\n`);
}
