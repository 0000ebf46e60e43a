import { parentPort } from 'node:worker_threads';
import type { DocumentBody } from '#wire/documents.ts';
import { documentFonts, pdfOf, type SlaPaper } from './pdf.ts';

/** A document to print, and the operator's font where there is one. */
export interface PrintWork {
  readonly body: DocumentBody | SlaPaper;
  readonly fontFile: string | undefined;
}
export type Printed = { readonly pdf: Uint8Array } | { readonly failed: string };

const port = parentPort;

async function print({ body, fontFile }: PrintWork): Promise<Printed> {
  try {
    return { pdf: await pdfOf(body, documentFonts(fontFile)) };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

port?.on('message', (work: PrintWork) => {
  void print(work).then((printed) => port.postMessage(printed));
});
