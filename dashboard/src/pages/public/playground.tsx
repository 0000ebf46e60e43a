import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type MarketModel, market } from '../../api.ts';
import { Select } from '../../parts/form.tsx';
import { PageHead } from '../../parts/page.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { Chat } from './play/chat.tsx';
import { ImageMaker } from './play/image-maker.tsx';
import { KeyPanel, keptKey } from './play/key-panel.tsx';
import { Transcriber } from './play/transcriber.tsx';

/** Try a model: chat that streams, with what it took and what it cost; images and transcripts where they are served. */
export default function Playground() {
  const query = useQuery(market.models());
  const [wish, setWish] = useUrlState('model', '');
  const [key, setKey] = useState(keptKey);
  return (
    <>
      <PageHead title="Playground">
        Real requests to real providers. With a key answers stream; without one they are short and come whole.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-128 rounded-xl" />}>
        {(models) => {
          const playable = models.filter((model) => model.category !== 'embedding').toSorted(byService);
          const model = playable.find((each) => each.id === wish || each.slug === wish) ?? playable[0];
          if (!model) return <p className="text-soft">No model is on sale yet.</p>;
          return (
            <div className="grid gap-6 lg:grid-cols-[17rem_minmax(0,1fr)]">
              <div className="space-y-5">
                <Select
                  label="Model"
                  value={model.id}
                  onChange={setWish}
                  options={playable.map((each) => ({
                    value: each.id,
                    label: each.available ? each.name : `${each.name} (no provider)`,
                  }))}
                />
                <KeyPanel secret={key} onChange={setKey} />
              </div>
              <Surface model={model} secret={key} key={model.id} />
            </div>
          );
        }}
      </Loaded>
    </>
  );
}

function Surface({ model, secret }: { model: MarketModel; secret: string | undefined }) {
  if (model.category === 'image') return <ImageMaker model={model} secret={secret} />;
  if (model.category === 'audio') return <Transcriber model={model} secret={secret} />;
  return <Chat model={model} secret={secret} />;
}

function byService(a: MarketModel, b: MarketModel): number {
  return Number(b.available) - Number(a.available) || a.name.localeCompare(b.name, 'en');
}
