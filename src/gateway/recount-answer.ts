import { type Said, saidByCompletion, saidByEvents } from './said.ts';
import type { ExactCount } from './verdict.ts';
import { readVocabularyIndex, Vocabulary, type VocabularyEntry } from './vocabulary.ts';

/** One finished answer, as it goes to the worker. */
export interface RecountWork {
  readonly modelId: string;
  /** The JSON body of the request; empty when its prompt is not to be counted. */
  readonly request: Uint8Array;
  /** What went to the consumer: all events of a streamed answer, or the body of an unstreamed one. */
  readonly answer: Uint8Array;
  readonly streamed: boolean;
}

/** A function that counts answers exactly with the vocabularies in `folder`, each loaded when it is first needed. */
export function answerCounter(folder: string): (work: RecountWork) => ExactCount {
  const entries = new Map(readVocabularyIndex(folder).map((entry) => [entry.modelId, entry]));
  const loaded = new Map<string, Vocabulary>();
  return (work) => {
    const entry = entries.get(work.modelId);
    if (!entry) return { inputTokens: undefined, outputTokens: undefined, stopTokens: 0, complete: false };
    const vocabulary = loaded.get(work.modelId) ?? load(entry);
    const said = work.streamed ? saidByEvents(work.answer) : saidByCompletion(work.answer);
    return {
      inputTokens: countRequest(vocabulary, work.request),
      outputTokens: countSaid(vocabulary, said),
      stopTokens: entry.countsStopToken ? said.stopped : 0,
      complete: said.complete,
    };
  };

  function load(entry: VocabularyEntry): Vocabulary {
    const vocabulary = new Vocabulary(entry, folder);
    loaded.set(entry.modelId, vocabulary);
    return vocabulary;
  }
}

function countSaid(vocabulary: Vocabulary, said: Said): number | undefined {
  if (said.opaque) return undefined;
  return said.texts.reduce((sum, text) => sum + vocabulary.count(text), 0);
}

function countRequest(vocabulary: Vocabulary, body: Uint8Array): number | undefined {
  if (body.length === 0) return undefined;
  let request: Record<string, unknown>;
  try {
    request = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
  // Descriptions of tools become part of the prompt in each template's own words.
  if (request['tools'] || request['functions']) return undefined;
  const { prompt } = request;
  // Whoever served it may have had a template around it; nobody can have read more than that.
  if (typeof prompt === 'string') return vocabulary.countPrompt([{ role: 'user', content: prompt }]);
  return vocabulary.countPrompt(request['messages']);
}
