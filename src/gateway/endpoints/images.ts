import { operationSet } from '#domain/operation.ts';
import { rewriteBody } from '../body.ts';
import { type Endpoint, json } from '../endpoint.ts';
import type { ImagesRequest } from '../images-request.ts';

const NEEDS = operationSet(['images/generations']);

/** `POST /v1/images/generations`. Each image that was made is one piece. */
export const images: Endpoint<ImagesRequest> = {
  name: 'requests for images',
  operation: 'images/generations',
  categories: new Set(['image']),
  needs: () => NEEDS,
  ceiling: ({ n }) => ({ inputTokens: 0, outputTokens: 0, units: n, seconds: 0 }),
  expects: ({ n }) => ({ items: n }),
  body: (ask, bytes) => (ask.needsRewrite ? rewriteBody(bytes) : bytes),
  contentBytes: () => 0,
  pieces: (_ask, answer) => ({ units: (answer['data'] as unknown[]).length }),
  render: ({ body }) => json(body),
};
