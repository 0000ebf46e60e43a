import { AudioLines } from 'lucide-react';
import { useState } from 'react';
import type { MarketModel } from '../../../api.ts';
import { Button } from '../../../parts/button.tsx';
import { Problem, useForm } from '../../../parts/form.tsx';
import { price } from '../../../parts/format.ts';
import { Card } from '../../../parts/page.tsx';
import { Empty } from '../../../parts/states.tsx';
import { Took } from './took.tsx';
import { askWhole, type Whole } from './whole.ts';

/** Words from a recording. */
export function Transcriber({ model, secret }: { model: MarketModel; secret: string | undefined }) {
  const [file, setFile] = useState<File>();
  const [heard, setHeard] = useState<Whole<{ text: string }>>();
  const form = useForm(async () => {
    if (!file) return;
    const body = new FormData();
    body.set('model', model.id);
    body.set('file', file);
    setHeard(await askWhole<{ text: string }>('/v1/audio/transcriptions', body, secret));
  });
  const { request, minute } = model.pricing;
  const prices = [
    minute !== undefined && `${price(minute)} a minute`,
    request !== undefined && minute === undefined && `${price(request)} a recording`,
  ];
  return (
    <Card title={model.name} hint={prices.find(Boolean) || 'Transcripts of recordings'}>
      <form onSubmit={form.onSubmit} className="space-y-3">
        <label className="block text-sm font-medium" htmlFor="recording">
          Recording
        </label>
        <input
          id="recording"
          type="file"
          accept="audio/*"
          onChange={(event) => setFile(event.target.files?.[0])}
          className="block w-full rounded-lg border border-line-strong p-2 text-sm"
        />
        <Problem>{form.problem}</Problem>
        <Button type="submit" kind="primary" busy={form.busy} disabled={!file || secret === undefined}>
          Transcribe
        </Button>
        {secret === undefined && (
          <p className="text-sm text-soft">Transcripts need a key; use one on the left.</p>
        )}
      </form>
      {heard ? (
        <div className="mt-5">
          <blockquote className="rounded-lg bg-sunken p-4 text-lg leading-7 wrap-anywhere">
            {heard.answer.text}
          </blockquote>
          <Took of={heard} />
        </div>
      ) : (
        <Empty icon={AudioLines} title="Nothing heard yet">
          Choose a recording, and have it transcribed.
        </Empty>
      )}
    </Card>
  );
}
