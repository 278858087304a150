import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { api, ok, type JobFile, type JobWhole } from '../lib/api';
import { fileSize } from '../lib/format';
import { Loaded, Panel } from '../ui/panel';
import { complain } from '../ui/toast';

/** What the job made, to be looked at and saved. Nothing where there is none. */
export function JobFiles({ job }: { job: JobWhole }) {
  const files = useQuery({
    queryKey: ['files', job.id, job.status, job.attempt],
    queryFn: () => ok(api.GET('/jobs/{id}/files', { params: { path: { id: job.id } } })),
    enabled: job.attempt > 0,
    placeholderData: (before) => before,
  });
  if (files.isError && !files.data) {
    return <Panel title="Files"><Loaded query={files}>{() => null}</Loaded></Panel>;
  }
  const items = files.data?.items ?? [];
  if (!items.length) {
    return null;
  }
  return (
    <Panel title={`Files (${items.length})`}>
      <ul className="divide-y divide-line">
        {items.map((file) => (
          <FileRow key={`${file.name} ${file.sha256}`} job={job.id} file={file} />
        ))}
      </ul>
    </Panel>
  );
}

const IMAGES = new Set(['image/png', 'image/jpeg', 'image/webp', 'image/gif']);
const TEXTS = /^(text\/(plain|csv|tab-separated-values|markdown)|application\/(json|x-ndjson|jsonl))$/;
const IMAGE_MOST = 10_000_000;
const TEXT_MOST = 5_000_000;
const TEXT_SHOWN = 20_000;

const typeOf = (file: JobFile): string => file.content_type.replace(/\s*;.*/, '').toLowerCase();
const isImage = (file: JobFile): boolean => IMAGES.has(typeOf(file)) && file.size <= IMAGE_MOST;
const isText = (file: JobFile): boolean => TEXTS.test(typeOf(file)) && file.size <= TEXT_MOST;

function FileRow({ job, file }: { job: string; file: JobFile }) {
  const [shown, setShown] = useState<{ image?: string; text?: string } | null>(null);
  const save = useMutation({ mutationFn: () => download(job, file), onError: complain });
  const show = useMutation({
    mutationFn: async () => {
      const bytes = await read(job, file);
      setShown(isImage(file) ? { image: URL.createObjectURL(bytes) } : { text: await bytes.text() });
    },
    onError: complain,
  });
  const image = shown?.image;
  useEffect(() => (image ? () => URL.revokeObjectURL(image) : undefined), [image]);
  return (
    <li className="px-4 py-3">
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-48">
          <div className="break-all font-medium">{file.name}</div>
          <div className="text-xs text-muted">{typeOf(file)}, {fileSize(file.size)}</div>
        </div>
        <div className="flex gap-2">
          {(isImage(file) || isText(file)) && (
            <button type="button" className="button" aria-expanded={shown !== null} aria-label={`Show ${file.name}`} disabled={show.isPending} onClick={() => (shown ? setShown(null) : show.mutate())}>
              {shown ? 'Hide' : 'Show'}
            </button>
          )}
          <button type="button" className="button" aria-label={`Download ${file.name}`} disabled={save.isPending} onClick={() => save.mutate()}>Download</button>
        </div>
      </div>
      {image && <img src={image} alt={file.name} className="mt-3 max-h-96 max-w-full rounded border border-line bg-raised" />}
      {shown?.text !== undefined && (
        <>
          {/* it scrolls, so it can be reached with the keyboard */}
          {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
          <pre role="group" aria-label={`Text of ${file.name}`} tabIndex={0} className="mt-3 max-h-96 overflow-auto rounded bg-raised p-3 font-mono text-xs">{shown.text.slice(0, TEXT_SHOWN)}</pre>
          {shown.text.length > TEXT_SHOWN && <p className="mt-1 text-xs text-muted">The beginning; the whole of it is in the download.</p>}
        </>
      )}
    </li>
  );
}

/** With the session's token, which a link could not carry. */
const read = (id: string, file: JobFile): Promise<Blob> =>
  ok(api.GET('/jobs/{id}/files/{file}', { params: { path: { id, file: file.name } }, parseAs: 'blob' }));

async function download(id: string, file: JobFile): Promise<void> {
  const url = URL.createObjectURL(await read(id, file));
  const link = document.createElement('a');
  link.href = url;
  link.download = file.name;
  link.click();
  // the browser has taken it by then
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
