import type { Fault } from '#kit/fault.ts';
import { type BodyLimits, readChatRequest } from './body.ts';
import { readEmbeddingsRequest } from './embeddings-request.ts';
import type { Ask } from './endpoint.ts';
import { readImagesRequest } from './images-request.ts';
import { readTextRequest } from './text-request.ts';
import { readMessagesRequest } from './translate/messages-to-chat.ts';
import { readResponsesRequest } from './translate/responses-to-chat.ts';

/** How the JSON body of each endpoint is read. By name, because large bodies are read in a thread (`body-pool.ts`). */
export const READERS = {
  chat: readChatRequest,
  text: readTextRequest,
  embeddings: readEmbeddingsRequest,
  images: readImagesRequest,
  messages: readMessagesRequest,
  responses: readResponsesRequest,
} as const satisfies Record<string, (bytes: Buffer, limits: BodyLimits) => Ask | Fault>;

export type ReaderName = keyof typeof READERS;
export type Read<N extends ReaderName = ReaderName> = Exclude<ReturnType<(typeof READERS)[N]>, Fault>;
