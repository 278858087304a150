import { useMutation, useQuery } from '@tanstack/react-query';

import { api, ok, type JobFile, type JobWhole } from '../lib/api';
import { fileSize } from '../lib/format';
import { Panel } from '../ui/panel';
import { complain } from '../ui/toast';

/** What the job made, to be saved. Nothing where there is none. */
export function JobFiles({ job }: { job: JobWhole }) {
  const files = useQuery({
    queryKey: ['files', job.id, job.status, job.attempt],
    queryFn: () => ok(api.GET('/jobs/{id}/files', { params: { path: { id: job.id } } })),
    enabled: job.attempt > 0,
    placeholderData: (before) => before,
  });
  const save = useMutation({ mutationFn: (file: JobFile) => download(job.id, file), onError: complain });
  const items = files.data?.items ?? [];
  if (!items.length) {
    return null;
  }
  return (
    <Panel title={`Files (${items.length})`}>
      <ul className="divide-y divide-line">
        {items.map((file) => (
          <li key={file.name} className="flex flex-wrap items-center justify-between gap-2 px-4 py-2">
            <span className="min-w-0 break-all">{file.name}</span>
            <span className="flex items-center gap-3 text-xs text-muted">
              {file.content_type.replace(/;.*/, '')}, {fileSize(file.size)}
              <button type="button" className="button" aria-label={`Download ${file.name}`} disabled={save.isPending} onClick={() => save.mutate(file)}>Download</button>
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** With the session's token, which a link could not carry. */
async function download(id: string, file: JobFile): Promise<void> {
  const bytes = await ok(api.GET('/jobs/{id}/files/{file}', { params: { path: { id, file: file.name } }, parseAs: 'blob' }));
  const url = URL.createObjectURL(bytes);
  const link = document.createElement('a');
  link.href = url;
  link.download = file.name;
  link.click();
  // the browser has taken it by then
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
