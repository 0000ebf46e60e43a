import { z } from 'zod';
import { modelName } from './common.ts';

/**
 * `POST /v1/audio/transcriptions`: the fields of the form beside `file`, as texts. What a Swan agent knows (contract 1.10)
 * bounds what can be asked for: no subtitles, no streaming.
 */

export const transcriptionFieldsSchema = z
  .looseObject({
    model: modelName,
    language: z.string().max(32).optional(),
    prompt: z.string().max(4_000).optional(),
    response_format: z
      .enum(['json', 'text', 'verbose_json'], 'json, text and verbose_json are known here')
      .optional(),
    temperature: z.coerce.number().min(0).max(1).optional(),
    stream: z.literal('false', 'transcriptions are not streamed').optional(),
  })
  .meta({ id: 'TranscriptionFields' });

export const transcriptionSchema = z
  .looseObject({
    text: z.string(),
    usage: z.looseObject({ type: z.literal('duration'), seconds: z.number() }).optional(),
    duration: z.number().optional(),
    language: z.string().optional(),
  })
  .meta({ id: 'Transcription' });
