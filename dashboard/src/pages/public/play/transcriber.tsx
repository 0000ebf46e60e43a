import { AudioLines } from 'lucide-react';
import { useState } from 'react';
import { call, type MarketModel } from '../../../api.ts';
import { Button } from '../../../parts/button.tsx';
import { Problem, useForm } from '../../../parts/form.tsx';
import { duration } from '../../../parts/format.ts';
import { Card } from '../../../parts/page.tsx';
import { Empty } from '../../../parts/states.tsx';
import { ticksMs } from '../../../surroundings.ts';

/** Words from a recording. */
export function Transcriber({ model, secret }: { model: MarketModel; secret: string | undefined }) {
  const [file, setFile] = useState<File>();
  const [heard, setHeard] = useState<{ text: string; tookMs: number }>();
  const form = useForm(async () => {
    if (!file) return;
    const begun = ticksMs();
    const body = new FormData();
    body.set('model', model.id);
    body.set('file', file);
    const { text } = await call<{ text: string }>('POST', '/v1/audio/transcriptions', { body, key: secret });
    setHeard({ text, tookMs: ticksMs() - begun });
  });
  return (
    <Card title={model.name} hint="Transcripts of recordings">
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
        <blockquote className="mt-5 rounded-lg bg-sunken p-4 text-lg leading-7">
          {heard.text}
          <footer className="mt-2 text-sm text-soft">{duration(heard.tookMs)}</footer>
        </blockquote>
      ) : (
        <Empty icon={AudioLines} title="Nothing heard yet">
          Choose a recording, and have it transcribed.
        </Empty>
      )}
    </Card>
  );
}
